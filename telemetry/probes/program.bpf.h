/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Programs and scripts, by the path that policy knows them by: a number each, and the patterns that match. The path is
 * put together in the scratch's `program`.
 */
#ifndef SLUICE_PROGRAM_BPF_H
#define SLUICE_PROGRAM_BPF_H

#include "telemetry/probes/glob.bpf.h"
#include "telemetry/probes/path.bpf.h"

#define SL_ROOT_MOUNTS_MAX 4

static __always_inline __u32 next_number(__u32 counter) {
  __u32* last = bpf_map_lookup_elem(&process_class_counters, &counter);
  return last ? __sync_fetch_and_add(last, 1) + 1 : 0;
}

/* The program whose path is in the scratch. False: not known. */
static __always_inline bool find_program(__u32 index, __u32 length, struct sl_program* out) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  if (!scratch || !length || length > SL_PROGRAM_PATH_MAX) return false;
  const struct sl_program* known = bpf_map_lookup_elem(&programs, &scratch->program);
  if (!known) {
    struct sl_program fresh = {};
    if (!match_patterns(index, length, fresh.matches)) return false;
    fresh.number = next_number(0);
    bpf_map_update_elem(&programs, &scratch->program, &fresh, BPF_NOEXIST);
    known = bpf_map_lookup_elem(&programs, &scratch->program); /* perhaps another CPU's */
  }
  if (!known) return false;
  *out = *known;
  return true;
}

/* Whether the root of the task is the root of its mount namespace: else paths from there are what the task made them.
 */
static __always_inline bool has_plain_root(struct task_struct* task) {
  struct fs_struct* fs = BPF_CORE_READ(task, fs);
  struct dentry* at = BPF_CORE_READ(fs, root.dentry);
  struct vfsmount* on = BPF_CORE_READ(fs, root.mnt);
  for (int i = 0; i < SL_ROOT_MOUNTS_MAX; i++) {
    if (at != BPF_CORE_READ(on, mnt_root)) return false;
    struct mount* mount = real_mount(on);
    struct mount* below = BPF_CORE_READ(mount, mnt_parent);
    if (below == mount) return true;
    at = BPF_CORE_READ(mount, mnt_mountpoint);
    on = __builtin_preserve_access_index(&below->mnt);
  }
  return false;
}

/* The text in the path buffer becomes the scratch's `program`. Returns its length; 0: too long. */
static __always_inline __u32 take_path(struct sl_scratch* scratch, const struct path_text* text) {
  __u32 begin = text->begin, length = SL_PATH_END - begin;
  barrier_var(begin);
  barrier_var(length);
  if (text->truncated || text->detached || length > SL_PROGRAM_PATH_MAX) return 0;
  __builtin_memset(&scratch->program, 0, sizeof(scratch->program));
  bpf_probe_read_kernel(scratch->program.text, length & SL_PROGRAM_PATH_MAX, &scratch->path[begin & SL_PATH_END]);
  return length;
}

/* What `task` runs, named from the root of its mount namespace. */
static __always_inline bool find_binary(__u32 index, struct task_struct* task, struct sl_program* out) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  struct file* file = BPF_CORE_READ(task, mm, exe_file);
  struct path_text text = {.scratch = index};
  if (!scratch || !file) return false;
  write_file_path(task, __builtin_preserve_access_index(&file->f_path), &text, !has_plain_root(task));
  return find_program(index, take_path(scratch, &text), out);
}

struct component_walk {
  __u32 scratch;
  __u32 length; /* of the path in `program` */
  __u32 bytes;  /* of the component so far */
  __u32 dots;
  __u32 odd; /* one is empty, "." or ".." */
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

/*
 * The script at `place` in the scratch's data, by the name that it was called by, made absolute. False: none, or a name
 * that leads through "." or "..", which could pass for another one.
 */
static __always_inline bool find_script(__u32 index, struct task_struct* task, __u32 place, __u32 length,
                                        struct sl_program* out) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  __u32 before = 0;
  if (!scratch || !length || length > SL_PROGRAM_PATH_MAX || place > SL_PROCESS_DATA_MAX - SL_PAGE) return false;
  if (!has_plain_root(task)) return false;
  if (scratch->data[place] == '/') {
    __builtin_memset(&scratch->program, 0, sizeof(scratch->program));
  } else {
    struct path_text text = {.scratch = index};
    struct fs_struct* fs = BPF_CORE_READ(task, fs);
    if (scratch->data[place] == '.' && scratch->data[place + 1] == '/' && length > 2) {
      place += 2;
      length -= 2;
    }
    write_file_path(task, __builtin_preserve_access_index(&fs->pwd), &text, false);
    before = take_path(scratch, &text);
    if (!before) return false;
    if (before > 1) scratch->program.text[before++ & SL_PROGRAM_PATH_MAX] = '/'; /* 1: the root, which is one */
  }
  barrier_var(before);
  barrier_var(length);
  if (before + length > SL_PROGRAM_PATH_MAX || before > SL_PROGRAM_PATH_MAX) return false;
  length &= SL_PROGRAM_PATH_MAX;
  if (before + length > SL_PROGRAM_PATH_MAX) return false;
  bpf_probe_read_kernel(&scratch->program.text[before], length, &scratch->data[place]);
  const __u32 zero = unknown_zero;
  struct component_walk walk = {.scratch = index, .length = before + length, .bytes = zero, .dots = zero, .odd = zero};
  bpf_loop(SL_PROGRAM_PATH_MAX + 1, walk_component, &walk, 0);
  if (walk.odd) return false;
  return find_program(index, before + length, out);
}

#endif
