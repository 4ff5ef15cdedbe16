/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a record has of the caller's memory: texts, addresses, messages. All of it is as it was when the call returned,
 * so another thread may have changed it meanwhile; what the kernel resolved is in the description of the descriptor. */
#ifndef SLUICE_CALL_DETAIL_BPF_H
#define SLUICE_CALL_DETAIL_BPF_H

#include "bpf/calls/caller.bpf.h"
#include "bpf/calls/filter.bpf.h"

/* Where a message of sendmsg or recvmsg is (struct msghdr, of 32-bit callers compat_msghdr). */
struct call_message {
  __u64 name, vector, count;
  __u32 name_length;
};

static __always_inline bool read_message(const struct sl_call_event* event, struct call_message* to) {
  const void* from = (void*)event->arguments[1];
  if (event->caller == SL_CALL_32 || event->caller == SL_CALL_X32) {
    __u32 words[4] = {};
    if (bpf_probe_read_user(words, sizeof(words), from)) return false;
    to->name = words[0];
    to->name_length = words[1];
    to->vector = words[2];
    to->count = words[3];
    return true;
  }
  __u64 words[4] = {};
  if (bpf_probe_read_user(words, sizeof(words), from)) return false;
  to->name = words[0];
  to->name_length = words[1];
  to->vector = words[2];
  to->count = words[3];
  return true;
}

__noinline int append_address(__u32 index, __u64 address, __u32 length) {
  if (length > SL_CALL_ADDRESS_MAX) length = SL_CALL_ADDRESS_MAX;
  return append_bytes(index, SL_CALL_TEXT_ADDRESS, address, length);
}

static __always_inline void append_data(struct call_scratch* scratch, __u32 index, __u64 address, __u64 size) {
  if (!(scratch->reads & SL_CALL_READ_DATA)) return;
  if ((__s64)size > scratch->event.result) size = scratch->event.result < 0 ? 0 : scratch->event.result;
  append_bytes(index, SL_CALL_TEXT_DATA, address, size > SL_CALL_DATA_MAX ? SL_CALL_DATA_MAX : size);
}

__noinline int append_message(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct call_message message = {};
  if (!scratch || !read_message(&scratch->event, &message)) return 0;
  append_address(index, message.name, message.name_length);
  if (!(scratch->reads & SL_CALL_READ_DATA) || !message.count) return 0;
  __u64 pair[2] = {};
  if (scratch->event.caller == SL_CALL_32 || scratch->event.caller == SL_CALL_X32) {
    __u32 words[2] = {};
    if (bpf_probe_read_user(words, sizeof(words), (void*)message.vector)) return 0;
    pair[0] = words[0];
    pair[1] = words[1];
  } else if (bpf_probe_read_user(pair, sizeof(pair), (void*)message.vector)) {
    return 0;
  }
  append_data(scratch, index, pair[0], pair[1]);
  return 0;
}

/* One of the two texts of the recipe. Returns whether it is relative to a directory. */
static __always_inline bool append_text_of(struct call_scratch* scratch, __u32 index, __u32 text, __u32 place) {
  if (!place) return false;
  const __u32 before = scratch->length;
  append_string(index, text, argument_at(&scratch->event, place));
  __u32 at = before;
  barrier_var(at);
  if (at > SL_CALL_ROOM) return false;
  return scratch->length == before || scratch->data[at] != '/';
}

static __always_inline void append_base_of(struct call_scratch* scratch, __u32 index, __u32 text, __u32 place) {
  if (!place) return;
  append_directory(index, text, place == SL_CALL_AT_WORKING ? SL_AT_FDCWD : (__s32)argument_at(&scratch->event, place));
}

__noinline int append_texts(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const volatile struct call_recipe* recipe = recipe_of(scratch->event.kind);
  if (scratch->event.lengths[SL_CALL_TEXT_FIRST]) return 0; /* of what was opened, for a test */
  const bool first = append_text_of(scratch, index, SL_CALL_TEXT_FIRST, recipe->text[0]);
  const bool second = append_text_of(scratch, index, SL_CALL_TEXT_SECOND, recipe->text[1]);
  if (scratch->event.kind == SL_CALL_MOUNT) append_string(index, SL_CALL_TEXT_THIRD, scratch->event.arguments[2]);
  if (first) append_base_of(scratch, index, SL_CALL_TEXT_FIRST_BASE, recipe->base[0]);
  if (second) append_base_of(scratch, index, SL_CALL_TEXT_SECOND_BASE, recipe->base[1]);
  return 0;
}

/* recvfrom has the address's length in the caller's memory. */
__noinline int append_addresses(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_call_event* event = &scratch->event;
  const __u32 kind = event->kind;
  if (kind == SL_CALL_SENDMSG || kind == SL_CALL_RECVMSG) return append_message(index);
  const __u32 place = recipe_of(kind)->address;
  if (place) {
    __u64 length = argument_at(event, place + 1);
    if (kind == SL_CALL_RECVFROM) {
      __u32 filled = 0;
      bpf_probe_read_user(&filled, sizeof(filled), (void*)length);
      length = event->result < 0 ? 0 : filled;
    }
    append_address(index, argument_at(event, place), length);
  }
  if (kind == SL_CALL_SENDTO || kind == SL_CALL_RECVFROM)
    append_data(scratch, index, event->arguments[1], event->arguments[2]);
  return 0;
}

/* Of a program that was executed. Its pages have just been written. */
__noinline int append_environment(__u32 index) {
  const struct mm_struct___environment* mm = (const void*)bpf_get_current_task_btf()->mm;
  if (!mm) return 0;
  const __u64 from = BPF_CORE_READ(mm, env_start), size = BPF_CORE_READ(mm, env_end) - from;
  return append_bytes(index, SL_CALL_TEXT_ENVIRONMENT, from,
                      size > SL_CALL_ENVIRONMENT_MAX ? SL_CALL_ENVIRONMENT_MAX : size);
}

#endif
