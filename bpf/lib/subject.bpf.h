/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which container or workload the current task is of (bpf/abi/hook.h), and the share of the ring that it has. Each set
 * of programs has its own maps of it. */
#ifndef SLUICE_LIB_SUBJECT_BPF_H
#define SLUICE_LIB_SUBJECT_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/hook.h"
#include "bpf/lib/kernel_types.bpf.h"
#include "bpf/lib/once.h"
#include "bpf/lib/read.bpf.h"

#define SL_HOOK_ARRAY(map_name, value_type, size) \
  struct {                                        \
    __uint(type, BPF_MAP_TYPE_ARRAY);             \
    __uint(max_entries, size);                    \
    __type(key, __u32);                           \
    __type(value, value_type);                    \
  } map_name SEC(".maps")

/* Writer of these: agent. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, __u64);
  __type(value, __u32);
} hook_cgroups SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SL_HOOK_SUBJECTS);
  __type(key, __u32);
  __type(value, __u32);
} hook_netns SEC(".maps");

/* By subject: the ring position up to which its share is used. */
SL_HOOK_ARRAY(hook_event_shares, __u64, SL_HOOK_SUBJECTS);

SL_HOOK_ARRAY(hook_settings, struct sl_hook_settings, 1);

/* The subject of a cgroup, so that only its first event looks at the cgroups above. */
struct hook_known_cgroup {
  __u32 epoch; /* `subjects_epoch` when this was found */
  __u32 subject;
  __u32 found; /* 0: by network namespace */
  __u32 pad;
};

/* Writer: programs. Full: least recently used ones are found anew. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u64);
  __type(value, struct hook_known_cgroup);
} hook_known_cgroups SEC(".maps");

static __always_inline const struct sl_hook_settings* settings_in_force(void) {
  const __u32 zero = 0;
  return bpf_map_lookup_elem(&hook_settings, &zero);
}

#define SL_NAMESPACE(task, member) SL_LOAD(task, nsproxy, member, ns.inum)

/* The subject of the current task. */
static __always_inline __u32 subject_by_netns(void) {
  const __u32 netns = SL_NAMESPACE(bpf_get_current_task_btf(), net_ns);
  const __u32* subject = bpf_map_lookup_elem(&hook_netns, &netns);
  return subject ? *subject : 0;
}

#define SL_CGROUP_LEVELS 24

/* The lowest cgroup above the task that is a subject's. */
__noinline int find_cgroup(struct hook_known_cgroup* known) {
  if (!known) return 0;
  for (int level = 0; level < SL_CGROUP_LEVELS; level++) {
    const __u64 id = bpf_get_current_ancestor_cgroup_id(level);
    if (!id) break;
    const __u32* subject = bpf_map_lookup_elem(&hook_cgroups, &id);
    if (!subject) continue;
    known->subject = *subject;
    known->found = 1;
  }
  return 0;
}

static __always_inline __u32 current_subject(void) {
  const __u64 cgroup = bpf_get_current_cgroup_id();
  const struct sl_hook_settings* settings = settings_in_force();
  const __u32 epoch = settings ? SL_READ_ONCE(settings->subjects_epoch) : 0;
  const struct hook_known_cgroup* known = bpf_map_lookup_elem(&hook_known_cgroups, &cgroup);
  if (known && known->epoch == epoch) return known->found ? known->subject : subject_by_netns();
  struct hook_known_cgroup fresh = {.epoch = epoch};
  find_cgroup(&fresh);
  bpf_map_update_elem(&hook_known_cgroups, &cgroup, &fresh, BPF_ANY);
  return fresh.found ? fresh.subject : subject_by_netns();
}

#endif
