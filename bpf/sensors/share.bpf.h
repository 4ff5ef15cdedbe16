/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Shares of the tables that all workloads share (bpf/abi/process_class.h). */
#ifndef SLUICE_SHARE_BPF_H
#define SLUICE_SHARE_BPF_H

#include "bpf/lib/task.bpf.h"
#include "bpf/sensors/process_maps.bpf.h"

/* A task's share, by its network namespace. */
static __always_inline __u32 task_share(struct task_struct* task, bool known) {
  const __u32 netns = SL_READ(known, task, nsproxy, net_ns, ns.inum);
  const __u32* share = bpf_map_lookup_elem(&process_share_of, &netns);
  return share ? *share : SL_SHARE_OTHERS;
}

static __always_inline struct sl_process_share* share_at(__u32 share) {
  return bpf_map_lookup_elem(&process_shares, &share);
}

static __always_inline void note_added(enum sl_shared_table table, __u32 share, __u32 count) {
  struct sl_process_share *all = share_at(SL_SHARE_TOTAL), *one = share_at(share);
  if (all) __sync_fetch_and_add(&all->added[table], count);
  if (one && one != all) __sync_fetch_and_add(&one->added[table], count);
}

static __always_inline void note_refused(enum sl_shared_table table, __u32 share) {
  struct sl_process_share *all = share_at(SL_SHARE_TOTAL), *one = share_at(share);
  if (all) __sync_fetch_and_add(&all->refused[table], 1);
  if (one) __sync_fetch_and_add(&one->refused[table], 1);
}

/* A share's number of entries; 0 if it is not known. The agent may count an entry in `freed` just before a sensor
 * subtracts it from `added`: then it is below 0 for a while. */
static __always_inline __s32 entries_of(__u32 share, enum sl_shared_table table) {
  const struct sl_process_share* one = share_at(share);
  const struct sl_process_share_freed* freed = bpf_map_lookup_elem(&process_shares_freed, &share);
  return one && freed ? (__s32)(one->added[table] - freed->freed[table]) : 0;
}

/* The number of shares. */
static __always_inline __u32 share_parts(void) {
  const __u32 total = SL_SHARE_TOTAL;
  const struct sl_process_share_freed* freed = bpf_map_lookup_elem(&process_shares_freed, &total);
  return freed && freed->parts > SL_SHARE_FIRST ? freed->parts : SL_SHARE_FIRST;
}

static __always_inline bool may_add(enum sl_shared_table table, __u32 share) {
  const __u32 half = shared_capacity[table] / 2;
  if (entries_of(SL_SHARE_TOTAL, table) < (__s32)half) return true;
  if (entries_of(share, table) < (__s32)(half / share_parts())) return true;
  note_refused(table, share);
  return false;
}

#endif
