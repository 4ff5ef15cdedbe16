/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Facts about a task, by reads that cannot fail hard: what cannot be read is 0. */
#ifndef SLUICE_TASK_BPF_H
#define SLUICE_TASK_BPF_H

#include <bpf/bpf_core_read.h>

#include "bpf/abi/process.h"
#include "telemetry/probes/kernel_types.bpf.h"

static __always_inline __u64 task_cgroup(struct task_struct* task) {
  return BPF_CORE_READ(task, cgroups, dfl_cgrp, kn, id);
}

/* No thread of its process is left. */
static __always_inline bool task_group_dead(struct task_struct* task) {
  return BPF_CORE_READ(task, signal, live.counter) <= 0;
}

/* The number in the innermost pid namespace, and that namespace. */
static __always_inline __u32 task_ns_pid(struct task_struct* task, __u32* namespace) {
  struct pid* pid = BPF_CORE_READ(task, thread_pid);
  const __u64 level = BPF_CORE_READ(pid, level);
  struct upid* upid = (void*)__builtin_preserve_access_index(&pid->numbers) + level * bpf_core_type_size(struct upid);
  *namespace = BPF_CORE_READ(upid, ns, ns.inum);
  return BPF_CORE_READ(upid, nr);
}

static __always_inline __u32 task_login_uid(struct task_struct* task) {
  struct task_struct___audit* audit = (void*)task;
  if (!bpf_core_field_exists(audit->loginuid)) return ~0u;
  return BPF_CORE_READ(audit, loginuid.val);
}

static __always_inline void task_credentials(struct task_struct* task, struct sl_process_start* start) {
  const struct cred* cred = BPF_CORE_READ(task, cred);
  start->uid = BPF_CORE_READ(cred, uid.val);
  start->gid = BPF_CORE_READ(cred, gid.val);
  start->euid = BPF_CORE_READ(cred, euid.val);
  start->auid = task_login_uid(task);
  start->capabilities = 0;
  bpf_core_read(&start->capabilities, sizeof(start->capabilities), &cred->cap_effective);
  start->namespaces.user = BPF_CORE_READ(cred, user_ns, ns.inum);
}

static __always_inline void task_namespaces(struct task_struct* task, struct sl_process_start* start) {
  struct nsproxy* proxy = BPF_CORE_READ(task, nsproxy);
  start->namespaces.net = BPF_CORE_READ(proxy, net_ns, ns.inum);
  start->namespaces.mnt = BPF_CORE_READ(proxy, mnt_ns, ns.inum);
  start->namespaces.uts = BPF_CORE_READ(proxy, uts_ns, ns.inum);
  start->namespaces.ipc = BPF_CORE_READ(proxy, ipc_ns, ns.inum);
  start->namespaces.cgroup = BPF_CORE_READ(proxy, cgroup_ns, ns.inum);
  start->namespaces.pad = 0;
}

/* What wait(2) will say of the process when its last thread is in do_exit. */
static __always_inline __u32 task_wait_status(struct task_struct* task) {
  struct signal_struct* signal = BPF_CORE_READ(task, signal);
  if (BPF_CORE_READ(signal, flags) & SL_SIGNAL_GROUP_EXIT) return BPF_CORE_READ(signal, group_exit_code);
  return BPF_CORE_READ(task, group_leader, exit_code);
}

#endif
