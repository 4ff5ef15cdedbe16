/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Paths as from bpf_d_path, which tracepoints and kprobes may not call: from the file up to the root of the current
 * task, across mount points. Written from the end of a buffer to its beginning.
 *
 * An object that includes this has buffers, by number, in a map of its own, and defines path_scratch.
 */
#ifndef SLUICE_LIB_PATH_BPF_H
#define SLUICE_LIB_PATH_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/process.h"
#include "bpf/lib/kernel_types.bpf.h"
#include "bpf/lib/read.bpf.h"

#define SL_PATH_END SL_PROCESS_PATH_MAX /* where the text ends in the buffer */
#define SL_PATH_COMPONENTS_MAX 2048     /* PATH_MAX / 2 */
#define SL_NAME_MAX 255
#define SL_PAGE 4096u

/* A path is written from its end to its beginning; reads beyond its end stay in the last 256 bytes. */
#define SL_PATH_BUFFER (SL_PROCESS_PATH_MAX + 1 + 256)

struct sl_path_scratch {
  const void* untyped;
  char name[256]; /* of a cgroup: reading it gives its length */
  char path[SL_PATH_BUFFER];
};

static __always_inline struct sl_path_scratch* path_scratch(const __u32* index);

/* Before 6.7 the verifier walks through the body of bpf_loop once, and treats code that this walk does not reach as
 * dead. So variables that change between rounds must not begin with a constant that it knows. */
volatile __u32 unknown_zero = 0;

struct path_text {
  __u32 scratch; /* index of path_scratch */
  __u32 begin;   /* in its path buffer: the text is [begin, SL_PATH_END) */
  __u32 truncated;
  __u32 detached; /* on no mounted file system */
};

static __always_inline struct path_text empty_text(__u32 scratch) {
  const __u32 zero = unknown_zero;
  return (struct path_text){.scratch = scratch, .begin = SL_PATH_END - zero, .truncated = zero, .detached = zero};
}

/* Puts "/name" before the text. False: no room. */
static __always_inline bool prepend(struct path_text* text, const void* name, __u32 length) {
  struct sl_path_scratch* scratch = path_scratch(&text->scratch);
  if (!scratch) return false;
  if (length > SL_NAME_MAX) length = SL_NAME_MAX;
  if (text->begin < length + 1 || text->begin > SL_PATH_END) {
    text->truncated = 1;
    return false;
  }
  __u32 at = text->begin - length - 1;
  text->begin = at;
  barrier_var(at); /* the bound holds already, but the verifier of 6.1 does not see it */
  barrier_var(length);
  at &= SL_PATH_END;
  scratch->path[at] = '/';
  bpf_probe_read_kernel(&scratch->path[at + 1], length & SL_NAME_MAX, name);
  return true;
}

struct file_walk {
  struct path_text text;
  struct dentry* dentry;
  struct vfsmount* mount;
  struct dentry* mount_root;
  struct dentry* root_dentry;
  struct vfsmount* root_mount;
};

/* The same pointer without its type: the verifier refuses a typed pointer to memory before the object. */
static __always_inline void* forget_type(struct sl_path_scratch* scratch, const void* pointer) {
  *(const void* volatile*)&scratch->untyped = pointer;
  return (void*)*(const void* volatile*)&scratch->untyped;
}

static __always_inline struct mount* real_mount(struct vfsmount* mount) {
  return (void*)mount - bpf_core_field_offset(struct mount, mnt);
}

struct mount_point {
  struct mount* below; /* the mount that it is mounted on; itself: none */
  struct dentry* at;
  struct dentry* root;
};

/* With one read if the three members are adjacent, as in all kernels so far. */
static __always_inline void read_mount(struct mount* mount, struct mount_point* point) {
  const __u64 first = bpf_core_field_offset(struct mount, mnt_parent);
  const __u64 root = bpf_core_field_offset(struct mount, mnt) + bpf_core_field_offset(struct vfsmount, mnt_root);
  if (bpf_core_field_offset(struct mount, mnt_mountpoint) == first + 8 && root == first + 16) {
    if (bpf_probe_read_kernel(point, sizeof(*point), (void*)mount + first) == 0) return;
    __builtin_memset(point, 0, sizeof(*point));
    return;
  }
  point->below = BPF_CORE_READ(mount, mnt_parent);
  point->at = BPF_CORE_READ(mount, mnt_mountpoint);
  point->root = BPF_CORE_READ(mount, mnt.mnt_root);
}

struct component {
  struct dentry* parent;
  __u32 hash;
  __u32 length;
  const void* name;
};

/* Likewise. */
static __always_inline void read_component(struct dentry* dentry, struct component* component) {
  const __u64 first = bpf_core_field_offset(struct dentry, d_parent);
  if (bpf_core_field_offset(struct dentry, d_name.len) == first + offsetof(struct component, length) &&
      bpf_core_field_offset(struct dentry, d_name.name) == first + offsetof(struct component, name)) {
    if (bpf_probe_read_kernel(component, sizeof(*component), (void*)dentry + first) == 0) return;
    __builtin_memset(component, 0, sizeof(*component));
    return;
  }
  component->parent = BPF_CORE_READ(dentry, d_parent);
  component->length = BPF_CORE_READ(dentry, d_name.len);
  component->name = BPF_CORE_READ(dentry, d_name.name);
}

/* One component of the path in the file's own mount, where the verifier knows the dentries' type. */
static long walk_known(__u32 index, void* context) {
  struct file_walk* walk = context;
  struct dentry* dentry = walk->dentry; /* CO-RE would look for file_walk in the kernel */
  if (!dentry || dentry == walk->mount_root) return 1;
  struct dentry* parent = dentry->d_parent;
  if (dentry == parent) return 1;
  if (walk->mount == walk->root_mount && dentry == walk->root_dentry) return 1;
  if (!prepend(&walk->text, dentry->d_name.name, dentry->d_name.len)) return 1;
  walk->dentry = parent;
  return 0;
}

/* One component, or one step from a mounted file system to the one that it is mounted on. */
static long walk_file(__u32 index, void* context) {
  struct file_walk* walk = context;
  struct dentry* dentry = walk->dentry; /* CO-RE would look for file_walk in the kernel */
  struct vfsmount* on = walk->mount;
  if (dentry == walk->root_dentry && on == walk->root_mount) return 1;
  struct component component;
  read_component(dentry, &component);
  const bool at_root = dentry == walk->mount_root;
  if (dentry == component.parent && !at_root) { /* a file without a directory, as from memfd */
    walk->text.detached = 1;
    prepend(&walk->text, component.name, component.length);
    return 1;
  }
  if (at_root) {
    struct mount* mount = real_mount(on);
    struct mount_point point;
    read_mount(mount, &point);
    struct mount* below = point.below; /* CO-RE would look for mount_point in the kernel */
    if (below == mount) {
      const long namespace = (long)BPF_CORE_READ(mount, mnt_ns);
      if (namespace <= 0 && namespace > -4096) walk->text.detached = 1; /* NULL or MNT_NS_INTERNAL, an error pointer */
      return 1;
    }
    walk->dentry = point.at;
    walk->mount = on = __builtin_preserve_access_index(&below->mnt);
    walk->mount_root = BPF_CORE_READ(on, mnt_root);
    return 0;
  }
  if (!prepend(&walk->text, component.name, component.length)) return 1;
  walk->dentry = component.parent;
  return 0;
}

/* The path from the root of `task`; `whole`: from the root of its mount namespace. `known`: the verifier knows the type
 * of `dentry` and `mount`; else NULL is no problem. */
static __always_inline void write_file_path(struct task_struct* task, struct dentry* dentry, struct vfsmount* mount,
                                            struct path_text* text, bool whole, bool known) {
  struct sl_path_scratch* scratch = path_scratch(&text->scratch);
  struct fs_struct* fs = whole ? NULL : task->fs;
  if (!scratch) return;
  struct file_walk walk = {
      .text = empty_text(text->scratch),
      .dentry = dentry,
      .mount = mount,
      .mount_root = !known  ? BPF_CORE_READ(mount, mnt_root)
                    : mount ? mount->mnt_root
                            : NULL,
      .root_dentry = fs ? fs->root.dentry : NULL,
      .root_mount = fs ? fs->root.mnt : NULL,
  };
  if (dentry) {
    if (known) bpf_loop(SL_PATH_COMPONENTS_MAX, walk_known, &walk, 0);
    if (!walk.text.truncated && !(walk.dentry == walk.root_dentry && walk.mount == walk.root_mount)) {
      if (known) walk.mount = forget_type(scratch, walk.mount);
      bpf_loop(SL_PATH_COMPONENTS_MAX, walk_file, &walk, 0);
    }
    if (walk.text.begin == SL_PATH_END && !walk.text.truncated) prepend(&walk.text, NULL, 0);
  }
  *text = walk.text;
}

#endif
