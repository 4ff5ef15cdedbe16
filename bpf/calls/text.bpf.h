/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Appends texts to the record in the scratch. They must be appended in the order of SL_CALL_TEXTS. */
#ifndef SLUICE_CALL_TEXT_BPF_H
#define SLUICE_CALL_TEXT_BPF_H

#include "bpf/calls/call_maps.bpf.h"

/* Where the next text begins. Null: no room is left. */
static __always_inline __u8* text_room(struct call_scratch* scratch) {
  __u32 offset = scratch->length;
  barrier_var(offset);
  if (offset > SL_CALL_ROOM) return NULL;
  return &scratch->data[offset];
}

static __always_inline void keep_text(struct call_scratch* scratch, __u32 text, __u32 length) {
  barrier_var(text);
  barrier_var(length);
  if (text >= SL_CALL_TEXT_COUNT || length > SL_CALL_PATH_MAX) return;
  scratch->event.lengths[text] = length;
  scratch->length += length;
}

/* A text of the caller, up to its NUL. */
__noinline int append_string(__u32 index, __u32 text, __u64 address) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch || !address) return 0;
  __u8* to = text_room(scratch);
  if (!to) return 0;
  const long size = bpf_probe_read_user_str(to, SL_CALL_PATH_MAX, (void*)address);
  if (size < 0) {
    scratch->event.flags |= SL_CALL_TEXT_LOST;
    return 0;
  }
  if (size == SL_CALL_PATH_MAX) scratch->event.flags |= SL_CALL_TEXT_CUT;
  if (size > 0) keep_text(scratch, text, size - 1);
  return 0;
}

/* Bytes of the caller's memory. */
__noinline int append_bytes(__u32 index, __u32 text, __u64 address, __u32 size) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch || !address || !size) return 0;
  __u8* to = text_room(scratch);
  if (!to) return 0;
  if (size > SL_CALL_PATH_MAX) size = SL_CALL_PATH_MAX;
  barrier_var(size);
  if (size > SL_CALL_PATH_MAX) return 0;
  if (bpf_probe_read_user(to, size, (void*)address)) {
    scratch->event.flags |= SL_CALL_TEXT_LOST;
    return 0;
  }
  keep_text(scratch, text, size);
  return 0;
}

/* Bytes of the kernel's memory. */
static __always_inline void append_kernel_bytes(struct call_scratch* scratch, __u32 text, const void* from,
                                                __u32 size) {
  __u8* to = text_room(scratch);
  if (!to) return;
  barrier_var(size);
  if (size > SL_CALL_PATH_MAX) return;
  if (bpf_probe_read_kernel(to, size, from) == 0) keep_text(scratch, text, size);
}

/* The path of a file, from the root of the current task. Returns whether it is on no mounted file system. */
__noinline int append_path(__u32 index, __u32 text, __u64 dentry, __u64 mount) {
  struct call_scratch* scratch = scratch_at(index);
  struct path_text path = {.scratch = index};
  if (!scratch) return 0;
  write_file_path(bpf_get_current_task_btf(), (void*)dentry, (void*)mount, &path, false, false);
  const __u32 begin = path.begin & SL_PATH_END;
  __u32 length = SL_PATH_END - begin;
  barrier_var(length);
  length &= SL_PATH_END;
  append_kernel_bytes(scratch, text, &scratch->text.path[begin], length);
  if (path.truncated) scratch->event.flags |= SL_CALL_TEXT_CUT;
  return path.detached;
}

__noinline int append_working_directory(__u32 index, __u32 text) {
  struct fs_struct* fs = bpf_get_current_task_btf()->fs;
  if (!fs) return 0;
  append_path(index, text, (__u64)BPF_CORE_READ(fs, pwd.dentry), (__u64)BPF_CORE_READ(fs, pwd.mnt));
  return 0;
}

#endif
