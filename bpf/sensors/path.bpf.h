/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The paths of a task's program and cgroup. */
#ifndef SLUICE_SENSOR_PATH_BPF_H
#define SLUICE_SENSOR_PATH_BPF_H

#include "bpf/lib/path.bpf.h"
#include "bpf/sensors/home.bpf.h"
#include "bpf/sensors/process_maps.bpf.h"

static __always_inline struct sl_path_scratch* path_scratch(const __u32* index) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, index);
  return scratch ? &scratch->text : NULL;
}

static __always_inline __u64 mounts_of(struct sl_scratch* scratch, struct vfsmount* mount) {
  if (!mount) return 0;
  struct mount* real = real_mount(forget_type(&scratch->text, mount));
  return mounts_number((__u64)BPF_CORE_READ(real, mnt_ns));
}

/* The path of the program of `task`. False: it has none, as a kernel thread. */
static __always_inline bool write_binary_path(struct task_struct* task, struct path_text* text, bool whole) {
  struct file* file = SL_LOAD(task, mm, exe_file);
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &text->scratch);
  if (!file || !scratch) return false;
  scratch->mounts = mounts_of(scratch, file->f_path.mnt);
  write_file_path(task, file->f_path.dentry, file->f_path.mnt, text, whole, true);
  if (!scratch->mounts) text->detached = 1;
  return true;
}

/* Whether the path names the file in this home. */
static __always_inline bool is_at_home(const struct sl_scratch* scratch, const struct path_text* text, __u64 home) {
  return !text->truncated && !text->detached && scratch->mounts == home;
}

struct cgroup_walk {
  struct path_text text;
  struct kernfs_node* node;
};

static __always_inline struct kernfs_node* kernfs_parent(struct kernfs_node* node) {
  struct kernfs_node___rcu_parent* now = (void*)node;
  struct kernfs_node___parent* before = (void*)node;
  if (!node) return NULL;
  if (bpf_core_field_exists(now->__parent)) return now->__parent;
  return before->parent;
}

static long walk_cgroup(__u32 index, void* context) {
  struct cgroup_walk* walk = context;
  struct kernfs_node* node = walk->node; /* CO-RE would look for cgroup_walk in the kernel */
  struct kernfs_node* parent = kernfs_parent(node);
  if (!parent) return 1;
  const char* name = node->name;
  struct sl_path_scratch* scratch = path_scratch(&walk->text.scratch);
  if (!scratch) return 1;
  const long size = bpf_probe_read_kernel_str(scratch->name, sizeof(scratch->name), name);
  if (size <= 0 || !prepend(&walk->text, scratch->name, size - 1)) return 1;
  walk->node = parent;
  return 0;
}

static __always_inline struct kernfs_node* subsystem_node(struct task_struct* task, __u64 subsystem) {
  struct css_set* set = task->cgroups;
  if (!set) return NULL;
  struct cgroup_subsys_state** states = (void*)__builtin_preserve_access_index(&set->subsys);
  struct cgroup_subsys_state* state = states[subsystem];
  return state ? SL_LOAD(state, cgroup, kn) : NULL;
}

/* The path in the default hierarchy. If the task is at its root, the path in a version 1 hierarchy that container
 * runtimes use. */
static __always_inline void write_cgroup_path(struct task_struct* task, struct path_text* text) {
  struct cgroup_walk walk = {
      .text = empty_text(text->scratch),
      .node = SL_LOAD(task, cgroups, dfl_cgrp, kn),
  };
  if (!kernfs_parent(walk.node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, memory_cgrp_id))
    walk.node = subsystem_node(task, bpf_core_enum_value(enum cgroup_subsys_id, memory_cgrp_id));
  if (!kernfs_parent(walk.node) && bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
    walk.node = subsystem_node(task, bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id));
  bpf_loop(SL_PATH_COMPONENTS_MAX, walk_cgroup, &walk, 0);
  if (walk.text.begin == SL_PATH_END && !walk.text.truncated) prepend(&walk.text, NULL, 0);
  *text = walk.text;
}

#endif
