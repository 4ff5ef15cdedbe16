/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What tests can ask about the current process. */
#ifndef SLUICE_TASK_FACTS_BPF_H
#define SLUICE_TASK_FACTS_BPF_H

#include "bpf/hooks/hook_maps.bpf.h"
#include "bpf/lib/context.bpf.h"
#include "bpf/lib/once.h"
#include "bpf/lib/task.bpf.h"

static __always_inline __u64 capability_set(const void* set) {
  __u64 bits = 0;
  bpf_probe_read_kernel(&bits, sizeof(bits), set);
  return bits;
}

/* The number that `field` (enum sl_hook_field) names; 0: the task has none. */
__noinline __u64 task_number(__u32 field) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u32 pid_namespace = 0;
  const struct cred* cred = task->cred;
  switch (field) {
    case SL_HOOK_FIELD_PID:
      return task->tgid;
    case SL_HOOK_FIELD_NAMESPACED_PID:
      return task_ns_pid(task->group_leader, false, &pid_namespace);
    case SL_HOOK_FIELD_NAMESPACE_PID:
      task_ns_pid(task->group_leader, false, &pid_namespace);
      return pid_namespace;
    case SL_HOOK_FIELD_NAMESPACE_UTS:
      return SL_NAMESPACE(task, uts_ns);
    case SL_HOOK_FIELD_NAMESPACE_IPC:
      return SL_NAMESPACE(task, ipc_ns);
    case SL_HOOK_FIELD_NAMESPACE_MNT:
      return SL_NAMESPACE(task, mnt_ns);
    case SL_HOOK_FIELD_NAMESPACE_PID_FOR_CHILDREN:
      return SL_NAMESPACE(task, pid_ns_for_children);
    case SL_HOOK_FIELD_NAMESPACE_NET:
      return SL_NAMESPACE(task, net_ns);
    case SL_HOOK_FIELD_NAMESPACE_TIME:
      return SL_NAMESPACE(task, time_ns);
    case SL_HOOK_FIELD_NAMESPACE_TIME_FOR_CHILDREN:
      return SL_NAMESPACE(task, time_ns_for_children);
    case SL_HOOK_FIELD_NAMESPACE_CGROUP:
      return SL_NAMESPACE(task, cgroup_ns);
    case SL_HOOK_FIELD_NAMESPACE_USER:
      return SL_LOAD(task, cred, user_ns, ns.inum);
    case SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE:
      return cred ? capability_set(__builtin_preserve_access_index(&cred->cap_effective)) : 0;
    case SL_HOOK_FIELD_CAPABILITIES_INHERITABLE:
      return cred ? capability_set(__builtin_preserve_access_index(&cred->cap_inheritable)) : 0;
    case SL_HOOK_FIELD_CAPABILITIES_PERMITTED:
      return cred ? capability_set(__builtin_preserve_access_index(&cred->cap_permitted)) : 0;
  }
  return 0;
}

struct ancestor_search {
  struct task_struct* at;
  __u32 pid;
  __u32 found;
  __u32 namespace; /* pids are those in it; 0: of the host */
};

static long search_ancestor(__u32 ignored, void* context) {
  struct ancestor_search* search = context;
  struct task_struct* task = search->at; /* CO-RE would look for ancestor_search in the kernel */
  if (!task) return 1;
  __u32 pid = BPF_CORE_READ(task, tgid), namespace = 0;
  if (search->namespace) {
    pid = task_ns_pid(BPF_CORE_READ(task, group_leader), false, &namespace);
    if (namespace != search->namespace) return 1;
  }
  if (pid == search->pid) {
    search->found = 1;
    return 1;
  }
  if (pid <= 1) return 1;
  search->at = BPF_CORE_READ(task, group_leader, real_parent);
  return 0;
}

#define SL_ANCESTORS_SEARCHED 256

/* Whether this process or one of its living ancestors has this pid; `namespaced`: in its own pid namespace. */
__noinline int forked_from(__u32 pid, bool namespaced) {
  struct ancestor_search search = {.at = (void*)bpf_get_current_task(), .pid = pid, .found = unknown_zero};
  search.namespace = namespaced ? task_number(SL_HOOK_FIELD_NAMESPACE_PID) : unknown_zero;
  bpf_loop(SL_ANCESTORS_SEARCHED, search_ancestor, &search, 0);
  return search.found;
}

/* The same of any task, for hook_exec_facts. */
static __always_inline void read_exec_facts(struct task_struct* task, struct sl_hook_exec_facts* facts) {
  const struct cred* cred = BPF_CORE_READ(task, cred);
  __u32 pid_namespace = 0;
  task_ns_pid(task, false, &pid_namespace);
  facts->namespaces[0] = BPF_CORE_READ(task, nsproxy, uts_ns, ns.inum);
  facts->namespaces[1] = BPF_CORE_READ(task, nsproxy, ipc_ns, ns.inum);
  facts->namespaces[2] = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
  facts->namespaces[3] = pid_namespace;
  facts->namespaces[4] = BPF_CORE_READ(task, nsproxy, pid_ns_for_children, ns.inum);
  facts->namespaces[5] = BPF_CORE_READ(task, nsproxy, net_ns, ns.inum);
  facts->namespaces[6] = BPF_CORE_READ(task, nsproxy, time_ns, ns.inum);
  facts->namespaces[7] = BPF_CORE_READ(task, nsproxy, time_ns_for_children, ns.inum);
  facts->namespaces[8] = BPF_CORE_READ(task, nsproxy, cgroup_ns, ns.inum);
  facts->namespaces[9] = BPF_CORE_READ(cred, user_ns, ns.inum);
  facts->capabilities[0] = capability_set(__builtin_preserve_access_index(&cred->cap_effective));
  facts->capabilities[1] = capability_set(__builtin_preserve_access_index(&cred->cap_inheritable));
  facts->capabilities[2] = capability_set(__builtin_preserve_access_index(&cred->cap_permitted));
}

/* Whether the number of the field differs from that after the last exec in one of the bits of `mask`. What is not known
 * has not changed. */
__noinline int has_changed(__u32 field, __u64 mask) {
  struct task_struct* leader = bpf_get_current_task_btf()->group_leader;
  if (!leader) return 0;
  const struct sl_hook_exec_facts* facts = bpf_task_storage_get(&hook_exec_facts, leader, 0, 0);
  if (!facts) return 0;
  __u64 before = 0;
  if (field >= SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE) {
    __u32 set = field - SL_HOOK_FIELD_CAPABILITIES_EFFECTIVE;
    barrier_var(set);
    if (set > 2) return 0;
    before = facts->capabilities[set];
  } else {
    __u32 type = field - SL_HOOK_FIELD_NAMESPACE_UTS;
    barrier_var(type);
    if (type >= SL_HOOK_NAMESPACES) return 0;
    before = facts->namespaces[type];
  }
  return ((task_number(field) ^ before) & mask) != 0;
}

/* Whether the current process has the mark. */
__noinline int is_marked(__u32 mark) {
  struct task_struct* leader = bpf_get_current_task_btf()->group_leader;
  if (!leader) return 0;
  const struct sl_hook_exec_facts* facts = bpf_task_storage_get(&hook_exec_facts, leader, 0, 0);
  if (!facts) return 0;
  for (int i = 0; i < SL_HOOK_MARKS; i++) {
    if (facts->marks[i] == mark) return 1;
  }
  return 0;
}

__noinline int put_mark(__u32 mark) {
  if (is_marked(mark)) return 0;
  struct task_struct* leader = bpf_get_current_task_btf()->group_leader;
  if (!leader) return 0;
  struct sl_hook_exec_facts* facts = bpf_task_storage_get(&hook_exec_facts, leader, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (facts) facts->marks[facts->next_mark++ % SL_HOOK_MARKS] = mark;
  return 0;
}

#define SL_SUBJECT_UNKNOWN ~0u
/* Of an interrupt: it is in no scope but the one of everything, and its events are the host's. */
#define SL_SUBJECT_NONE (~0u - 1)

/* To call before the scratch's subject is used. Most hooks that are not hit never ask for it. */
__noinline int find_subject(__u32 index) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || scratch->subject != SL_SUBJECT_UNKNOWN) return 0;
  const __u32 subject = in_task() ? current_subject() : SL_SUBJECT_NONE;
  const struct sl_hook_subject* facts = hook_subjects_at(subject);
  scratch->subject = subject;
  scratch->endpoint = facts ? facts->endpoint : 0;
  return 0;
}

#endif
