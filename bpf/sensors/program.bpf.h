/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs and scripts by their path in the process's home: each has a number, and the patterns that it matches. The
 * path is built in the scratch's `program`.
 */
#ifndef SLUICE_PROGRAM_BPF_H
#define SLUICE_PROGRAM_BPF_H

#include "bpf/sensors/glob.bpf.h"
#include "bpf/sensors/path.bpf.h"
#include "bpf/sensors/share.bpf.h"

#define SL_ROOT_MOUNTS_MAX 4
#define SL_E2BIG 7

static __always_inline __u32 next_number(__u32 counter) {
  __u32* last = bpf_map_lookup_elem(&process_class_counters, &counter);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

/*
 * Looks up or adds the program whose path is in the scratch, and copies it to `binary` or `script`. False: not known.
 * The verifier checks functions that are not static once, and not on every path to them.
 */
__noinline bool find_program(__u32 index, __u32 length, bool script) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  if (!scratch) return false;
  struct sl_program* out = script ? &scratch->script : &scratch->binary;
  __builtin_memset(out, 0, sizeof(*out));
  if (!length || length > SL_PROGRAM_PATH_MAX) return false;
  const struct sl_program* known = bpf_map_lookup_elem(&programs, &scratch->program);
  if (!known) {
    struct sl_program fresh = {.share = scratch->share};
    if (!may_add(SL_SHARED_PROGRAMS, fresh.share) || !match_patterns(index, length, fresh.matches)) return false;
    fresh.number = next_number(0);
    const long failed = bpf_map_update_elem(&programs, &scratch->program, &fresh, BPF_NOEXIST);
    if (!failed) note_added(SL_SHARED_PROGRAMS, fresh.share, 1);
    if (failed == -SL_E2BIG) note_refused(SL_SHARED_PROGRAMS, fresh.share);
    known = bpf_map_lookup_elem(&programs, &scratch->program); /* another CPU may have added it */
  }
  if (!known) return false;
  *out = *known;
  return true;
}

/* Whether the root of the task is the root of its mount namespace: otherwise the task could choose what its paths
 * mean. */
static __always_inline bool has_plain_root(struct sl_scratch* scratch, struct task_struct* task) {
  struct fs_struct* fs = task->fs;
  if (!fs) return false;
  struct dentry* at = fs->root.dentry;
  struct vfsmount* on = forget_type(&scratch->text, fs->root.mnt);
  for (int i = 0; i < SL_ROOT_MOUNTS_MAX; i++) {
    struct mount* mount = real_mount(on);
    struct mount_point point;
    read_mount(mount, &point);
    struct mount* below = point.below; /* CO-RE would look for mount_point in the kernel */
    if (at != point.root) return false;
    if (below == mount) return true;
    at = point.at;
    on = __builtin_preserve_access_index(&below->mnt);
  }
  return false;
}

/* Copies the path buffer, if it is of the mount namespace `home`, to the scratch's `program`. Returns its length; 0:
 * too long, or of another namespace. */
static __always_inline __u32 take_path(struct sl_scratch* scratch, const struct path_text* text, __u64 home) {
  __u32 begin = text->begin, length = SL_PATH_END - begin;
  barrier_var(begin);
  barrier_var(length);
  if (!is_at_home(scratch, text, home) || length > SL_PROGRAM_PATH_MAX) return 0;
  __builtin_memset(&scratch->program, 0, sizeof(scratch->program));
  bpf_probe_read_kernel(scratch->program.text, length & SL_PROGRAM_PATH_MAX, &scratch->text.path[begin & SL_PATH_END]);
  return length;
}

/* Changes the path of the program of `task` to start at the root of the mount namespace, not at the root of the
 * task. */
static __always_inline void make_whole(struct sl_scratch* scratch, struct task_struct* task, struct path_text* text) {
  if (!has_plain_root(scratch, task)) write_binary_path(task, text, true);
}

/* Looks up the program of `task`; `text` is its path from the root of the task. */
static __always_inline bool find_binary(struct sl_scratch* scratch, struct task_struct* task, struct path_text* text) {
  make_whole(scratch, task, text);
  return find_program(text->scratch, take_path(scratch, text, scratch->home), false);
}

struct component_walk {
  __u32 scratch;
  __u32 length; /* of the path in `program` */
  __u32 bytes;  /* of the component so far */
  __u32 dots;
  __u32 odd; /* a component is empty, "." or ".." */
};

static long walk_component(__u32 at, void* context) {
  struct component_walk* walk = context;
  const struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &walk->scratch);
  if (!scratch || at > walk->length) return 1;
  const char byte = scratch->program.text[at & SL_PROGRAM_PATH_MAX];
  if (byte != '/' && at < walk->length) {
    walk->bytes++;
    if (byte == '.') walk->dots++;
    return 0;
  }
  if (at && (!walk->bytes || (walk->bytes <= 2 && walk->dots == walk->bytes))) walk->odd = 1;
  walk->bytes = walk->dots = 0;
  return walk->odd ? 1 : 0;
}

/* Copies the path of the current task's working directory, with a '/' after it, to `program`. Returns its length; 0:
 * not known. Not inlined, to save stack. */
__noinline __u32 take_directory(__u32 index) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  struct task_struct* task = bpf_get_current_task_btf();
  struct fs_struct* fs = task->fs;
  struct path_text text = {.scratch = index};
  if (!scratch || !fs) return 0;
  scratch->mounts = mounts_of(scratch, fs->pwd.mnt);
  write_file_path(task, fs->pwd.dentry, fs->pwd.mnt, &text, false, true);
  __u32 length = take_path(scratch, &text, scratch->home);
  if (length > 1) scratch->program.text[length++ & SL_PROGRAM_PATH_MAX] = '/'; /* length 1: the root, which is '/' */
  return length;
}

/*
 * Looks up the script of the current task's record, by its name as in the exec, made absolute. False: none, or a name
 * with the component "." or "..", which could look like another script.
 */
__noinline bool find_script(__u32 index) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return false;
  __u32 offset = scratch->start.binary_length, length = scratch->start.script_length, before = 0;
  __builtin_memset(&scratch->script, 0, sizeof(scratch->script));
  if (!length || length > SL_PROGRAM_PATH_MAX) return false;
  barrier_var(offset);
  offset &= SL_PROCESS_PATH_MAX; /* the compiler knows this already */
  struct fs_struct* fs = task->fs;
  if (!fs || !has_plain_root(scratch, task) || mounts_of(scratch, fs->root.mnt) != scratch->home) return false;
  if (scratch->data[offset] == '/') {
    __builtin_memset(&scratch->program, 0, sizeof(scratch->program));
  } else {
    if (scratch->data[offset] == '.' && scratch->data[offset + 1] == '/' && length > 2) {
      offset += 2;
      length -= 2;
    }
    before = take_directory(index);
    if (!before) return false;
  }
  barrier_var(before);
  barrier_var(length);
  if (before + length > SL_PROGRAM_PATH_MAX || before > SL_PROGRAM_PATH_MAX) return false;
  barrier_var(before);
  before &= SL_PROGRAM_PATH_MAX; /* the compiler knows this too */
  length &= SL_PROGRAM_PATH_MAX;
  if (before + length > SL_PROGRAM_PATH_MAX) return false;
  bpf_probe_read_kernel(&scratch->program.text[before], length, &scratch->data[offset]);
  const __u32 zero = unknown_zero;
  struct component_walk walk = {.scratch = index, .length = before + length, .bytes = zero, .dots = zero, .odd = zero};
  bpf_loop(SL_PROGRAM_PATH_MAX + 1, walk_component, &walk, 0);
  if (walk.odd) return false;
  return find_program(index, before + length, true);
}

#endif
