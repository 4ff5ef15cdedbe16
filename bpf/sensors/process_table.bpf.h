/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Maintains `processes`: assigns ids, and finds or creates the entry of a process.
 *
 * While seeding, the iterator and the sensors may see the same instance at the same moment. The first of them puts the
 * id into process_claims, and the other one takes it from there, so that an instance has one id.
 */
#ifndef SLUICE_PROCESS_TABLE_BPF_H
#define SLUICE_PROCESS_TABLE_BPF_H

#include "bpf/sensors/home.bpf.h"
#include "bpf/sensors/share.bpf.h"

static __always_inline void count_loss(__u8 cause, __u8 event, __u64 cgroup) {
  struct sl_process_loss_key key = {
      .cgroup = cgroup, .cpu = bpf_get_smp_processor_id(), .cause = cause, .event = event};
  const __u64 one = 1;
  __sync_fetch_and_add(&losses_total, 1);
  __u64* count = bpf_map_lookup_elem(&process_losses, &key);
  if (!count) {
    if (bpf_map_update_elem(&process_losses, &key, &one, BPF_NOEXIST) == 0) return;
    count = bpf_map_lookup_elem(&process_losses, &key); /* another CPU was first */
  }
  if (!count) { /* full */
    key.cgroup = 0;
    key.cpu = ~0u;
    count = bpf_map_lookup_elem(&process_losses, &key);
  }
  if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline sl_process_id next_process_id(void) {
  const __u32 zero = 0;
  __u64* last = bpf_map_lookup_elem(&process_ids, &zero);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

/* Sets the id and the start of the instance that `process` describes. */
static __always_inline void give_id(__u32 tgid, struct sl_process* process) {
  const struct sl_process_claim_key key = {.birth_ns = process->birth_ns, .tgid = tgid, .execs = process->execs};
  struct sl_process_claim claim = {.id = next_process_id(), .start_ns = process->start_ns};
  if (seeding && bpf_map_update_elem(&process_claims, &key, &claim, BPF_NOEXIST) != 0) {
    const struct sl_process_claim* first = bpf_map_lookup_elem(&process_claims, &key);
    if (first) claim = *first;
  }
  process->id = claim.id;
  process->start_ns = claim.start_ns;
}

/* Describes the current instance of `task`'s process, except its id and its parent. */
static __always_inline void describe_process(struct task_struct* task, bool known, struct sl_process* process) {
  struct task_struct* leader = SL_READ(known, task, group_leader);
  __builtin_memset(process, 0, sizeof(*process));
  if (!leader) return;
  process->birth_ns = SL_READ(known, leader, start_boottime);
  process->start_ns = process->birth_ns;
  process->execs = (__u32)SL_READ(known, leader, self_exec_id);
  process->cgroup = task_cgroup(task, known);
  if (SL_READ(known, task, flags) & SL_PF_KTHREAD) process->flags |= SL_PROCESS_KERNEL_THREAD;
}

/* `is_new`: the process has no entry yet. */
static __always_inline void store_process(__u32 tgid, const struct sl_process* process, __u8 event, bool is_new) {
  if (is_new && !may_add(SL_SHARED_PROCESSES, process->share))
    return count_loss(SL_PROCESS_LOSS_TABLE_FULL, event, process->cgroup);
  if (is_new && bpf_map_update_elem(&processes, &tgid, process, BPF_NOEXIST) == 0)
    return note_added(SL_SHARED_PROCESSES, process->share, 1);
  if (bpf_map_update_elem(&processes, &tgid, process, BPF_ANY) == 0) return;
  count_loss(SL_PROCESS_LOSS_TABLE_FULL, event, process->cgroup);
  note_refused(SL_SHARED_PROCESSES, process->share);
}

/* False: another CPU has removed it. */
static __always_inline bool remove_process(__u32 tgid, __u32 share) {
  if (bpf_map_delete_elem(&processes, &tgid) != 0) return false;
  note_added(SL_SHARED_PROCESSES, share, -1);
  return true;
}

/* Whether `entry` is of the instance that `now` describes. Except while seeding, a lower count of execs means that an
 * exec is in progress. */
static __always_inline bool is_present_instance(const struct sl_process* entry, const struct sl_process* now) {
  return entry->birth_ns == now->birth_ns && (entry->execs == now->execs || !seeding);
}

/* Finds the current instance of a process in the table, or adds a process that existed before the sensors. False: it is
 * dead. */
static __always_inline bool find_or_add(struct task_struct* task, bool known, sl_process_id parent,
                                        struct sl_process* process) {
  const __u32 tgid = SL_READ(known, task, tgid);
  describe_process(task, known, process);
  const struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (entry && is_present_instance(entry, process)) {
    *process = *entry;
    return true;
  }
  if (task_group_dead(task, known)) return false;
  process->flags |= SL_PROCESS_SEEDED;
  process->parent = parent;
  process->share = task_share(task, known);
  if (entry && entry->birth_ns != process->birth_ns) entry = NULL;
  settle_home(task, entry, process);
  if (entry) { /* an exec was missed */
    process->parent = entry->parent;
    process->share = entry->share;
    process->start_ns = bpf_ktime_get_boot_ns();
  }
  give_id(tgid, process);
  store_process(tgid, process, SL_PROCESS_EVENT_SEED, !entry);
  if (!task_group_dead(task, known)) return true;
  remove_process(tgid, process->share); /* it may have exited before the entry was there */
  return false;
}

/* 0: not known. */
static __always_inline sl_process_id parent_process(struct task_struct* task, bool known) {
  struct task_struct* parent = SL_READ(known, task, group_leader, real_parent);
  struct sl_process process;
  if (!parent || SL_READ(known, parent, tgid) == 0) return 0; /* the idle task is the parent of init and kthreadd */
  return find_or_add(parent, known, 0, &process) ? process.id : 0;
}

#endif
