/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Facts about a task. `known`: the verifier knows the pointer's type (read.bpf.h). */
#ifndef SLUICE_TASK_BPF_H
#define SLUICE_TASK_BPF_H

#include "bpf/abi/process.h"
#include "bpf/lib/kernel_types.bpf.h"
#include "bpf/lib/read.bpf.h"

static __always_inline __u64 task_cgroup(struct task_struct* task, bool known) {
  return SL_READ(known, task, cgroups, dfl_cgrp, kn, id);
}

/* Whether no thread of its process is left. */
static __always_inline bool task_group_dead(struct task_struct* task, bool known) {
  return SL_READ(known, task, signal, live.counter) <= 0;
}

/* The pid in the innermost pid namespace, and that namespace. */
static __always_inline __u32 task_ns_pid(struct task_struct* task, bool known, __u32* namespace) {
  struct pid* pid = SL_READ(known, task, thread_pid);
  if (!pid) return 0;
  const __u64 level = SL_READ(known, pid, level);
  if (known && level == 0) { /* the verifier knows only this element of the array */
    *namespace = SL_LOAD(pid, numbers[0].ns, ns.inum);
    return pid->numbers[0].nr;
  }
  pid = BPF_CORE_READ(task, thread_pid);
  struct upid* upid = (void*)__builtin_preserve_access_index(&pid->numbers) + level * bpf_core_type_size(struct upid);
  *namespace = BPF_CORE_READ(upid, ns, ns.inum);
  return BPF_CORE_READ(upid, nr);
}

static __always_inline __u32 task_login_uid(struct task_struct* task, bool known) {
  struct task_struct___audit* audit = (void*)task;
  if (!bpf_core_field_exists(audit->loginuid)) return ~0u;
  return SL_READ(known, audit, loginuid.val);
}

static __always_inline void task_name(struct task_struct* task, bool known, __u8* name) {
  const void* comm = __builtin_preserve_access_index(&task->comm);
  if (known)
    for (int i = 0; i < 2; i++) ((__u64*)name)[i] = ((const __u64*)comm)[i];
  else
    bpf_probe_read_kernel_str(name, sizeof(task->comm), comm);
}

static __always_inline __u64 effective_capabilities(const struct cred* cred, bool known) {
  const void* capabilities = __builtin_preserve_access_index(&cred->cap_effective);
  __u64 set = 0;
  if (known) return *(const __u64*)capabilities;
  bpf_probe_read_kernel(&set, sizeof(set), capabilities);
  return set;
}

static __always_inline void task_credentials(struct task_struct* task, bool known, struct sl_process_start* start) {
  const struct cred* cred = SL_READ(known, task, cred);
  start->auid = task_login_uid(task, known);
  if (!cred) return;
  start->uid = SL_READ(known, cred, uid.val);
  start->gid = SL_READ(known, cred, gid.val);
  start->euid = SL_READ(known, cred, euid.val);
  start->capabilities = effective_capabilities(cred, known);
  start->namespaces.user = SL_READ(known, cred, user_ns, ns.inum);
}

static __always_inline void task_namespaces(struct task_struct* task, bool known, struct sl_process_start* start) {
  struct nsproxy* proxy = SL_READ(known, task, nsproxy);
  if (!proxy) return;
  start->namespaces.net = SL_READ(known, proxy, net_ns, ns.inum);
  start->namespaces.mnt = SL_READ(known, proxy, mnt_ns, ns.inum);
  start->namespaces.uts = SL_READ(known, proxy, uts_ns, ns.inum);
  start->namespaces.ipc = SL_READ(known, proxy, ipc_ns, ns.inum);
  start->namespaces.cgroup = SL_READ(known, proxy, cgroup_ns, ns.inum);
}

/* The status that wait(2) will return for the process, when its last thread is in do_exit. */
static __always_inline __u32 task_wait_status(struct task_struct* task, bool known) {
  struct signal_struct* signal = SL_READ(known, task, signal);
  if (!signal) return 0;
  if (SL_READ(known, signal, flags) & SL_SIGNAL_GROUP_EXIT) return SL_READ(known, signal, group_exit_code);
  return SL_READ(known, task, group_leader, exit_code);
}

#endif
