/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Puts values of arguments into the scratch's event and data. A text is followed by zeros up to a multiple of 8 bytes,
 * so that it can be compared by words. */
#ifndef SLUICE_VALUE_BPF_H
#define SLUICE_VALUE_BPF_H

#include "bpf/hooks/hook_maps.bpf.h"

#define SL_WORD 8u

static __always_inline struct sl_hook_value* value_at(struct hook_scratch* scratch, __u64 argument) {
  barrier_var(argument); /* the verifier needs the comparison, where the compiler knows the bound already */
  if (argument >= SL_HOOK_ARGUMENTS) return NULL;
  return &scratch->event.arguments[argument];
}

/* Where the next text or structure begins. Null: no room is left. */
static __always_inline __u8* room(struct hook_scratch* scratch) {
  __u64 offset = scratch->length;
  barrier_var(offset);
  if (offset > SL_HOOK_DATA_MAX) return NULL;
  return &scratch->data[offset];
}

/* Ends what was written to room(): `length` bytes, at most SL_HOOK_TEXT_MAX. */
static __always_inline void keep(struct hook_scratch* scratch, struct sl_hook_value* value, __u64 length, __u8 flags) {
  __u8* to = room(scratch);
  barrier_var(length);
  if (!to || length > SL_HOOK_TEXT_MAX) return;
  *(__u64*)(to + length) = 0;
  value->offset = scratch->length;
  value->length = length;
  value->flags = SL_HOOK_VALUE_READ | flags;
  scratch->length += (length + SL_WORD - 1) & ~(SL_WORD - 1);
}

/* A text up to its NUL, of at most `most` bytes without it. */
static __always_inline void keep_string(struct hook_scratch* scratch, struct sl_hook_value* value, const void* from,
                                        __u32 most, bool user) {
  __u8* to = room(scratch);
  __u32 space = most + 1;
  barrier_var(space);
  if (!to) return;
  if (space > SL_HOOK_TEXT_MAX) space = SL_HOOK_TEXT_MAX;
  const long size = user ? bpf_probe_read_user_str(to, space, from) : bpf_probe_read_kernel_str(to, space, from);
  if (size <= 0) return;
  keep(scratch, value, size - 1, size == SL_HOOK_TEXT_MAX ? SL_HOOK_VALUE_TRUNCATED : 0);
}

static __always_inline void keep_bytes(struct hook_scratch* scratch, struct sl_hook_value* value, const void* from,
                                       __u64 size, bool user) {
  __u8* to = room(scratch);
  __u8 flags = 0;
  if (!to) return;
  if (size > SL_HOOK_TEXT_MAX) {
    size = SL_HOOK_TEXT_MAX;
    flags = SL_HOOK_VALUE_TRUNCATED;
  }
  barrier_var(size);
  if (size > SL_HOOK_TEXT_MAX) return;
  const long rc = user ? bpf_probe_read_user(to, size, from) : bpf_probe_read_kernel(to, size, from);
  if (rc == 0) keep(scratch, value, size, flags);
}

static __always_inline void keep_number(struct sl_hook_value* value, __u64 number) {
  value->number = number;
  value->flags = SL_HOOK_VALUE_READ;
}

/* The text in the path buffer, to the data at `offset`; returns its length. */
static __always_inline __u32 take_path_text(struct hook_scratch* scratch, const struct path_text* text, __u8* to) {
  const __u32 begin = text->begin & SL_PATH_END;
  __u32 length = SL_PATH_END - begin;
  barrier_var(length);
  length &= SL_PATH_END;
  bpf_probe_read_kernel(to, length, &scratch->text.path[begin]);
  return length;
}

static __always_inline void keep_path(struct hook_scratch* scratch, struct sl_hook_value* value,
                                      const struct path_text* text) {
  __u8* to = room(scratch);
  if (!to) return;
  const __u32 length = take_path_text(scratch, text, to);
  keep(scratch, value, length,
       (text->truncated ? SL_HOOK_VALUE_TRUNCATED : 0) | (text->detached ? SL_HOOK_VALUE_DETACHED : 0));
}

#endif
