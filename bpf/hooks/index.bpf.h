/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Asks a point's index (bpf/abi/hook_index.h) which hooks may want a call. kernel/hooks/point_index.h makes it. */
#ifndef SLUICE_HOOK_INDEX_BPF_H
#define SLUICE_HOOK_INDEX_BPF_H

#include "bpf/hooks/match.bpf.h"

#define SL_ALL_HOOKS (~0ull)

/* The hooks of the slot with the key. */
__noinline __u64 hooks_in_slot(__u32 first, __u32 mask, __u64 key) {
  for (__u32 i = 0; i < SL_HOOK_SLOT_TRIES; i++) {
    const __u32 at = first + (((__u32)(key >> 32) + i) & mask);
    const struct sl_hook_slot* slot = bpf_map_lookup_elem(&hook_slots, &at);
    if (!slot) return SL_ALL_HOOKS;
    const __u64 hooks = slot->hooks;
    if (!hooks || slot->key == key) return hooks;
  }
  return 0;
}

static __always_inline __u64 word_of_text(struct hook_scratch* scratch, __u32 at) {
  barrier_var(at);
  return at <= sizeof(scratch->data) - SL_WORD ? *(__u64*)&scratch->data[at] : 0;
}

static __always_inline __u64 hooks_of_part(const struct sl_hook_column* column, __u64 hash,
                                           enum sl_hook_index_kind kind, __u32 length) {
  return hooks_in_slot(column->slots, column->slot_mask, sl_hook_index_key(hash, kind, length));
}

/* By the text's end. */
__noinline __u64 hooks_of_end(__u32 index, const struct sl_hook_column* column, __u32 end, __u32 length) {
  struct hook_scratch* scratch = scratch_at(index);
  __u64 hash = SL_HOOK_INDEX_SEED, found = 0;
  if (!scratch || !column) return SL_ALL_HOOKS;
  for (__u32 bytes = 1; bytes < SL_WORD && bytes <= length; bytes++) {
    if (!(column->postfix_bytes >> bytes & 1)) continue;
    const __u64 word = first_bytes(word_of_text(scratch, end - bytes), bytes);
    found |= hooks_of_part(column, sl_hook_index_hash(SL_HOOK_INDEX_SEED, word), SL_HOOK_INDEX_POSTFIX, bytes);
  }
  for (__u32 words = 1; words <= SL_HOOK_INDEX_POSTFIX_WORDS && words * SL_WORD <= length; words++) {
    if (!(column->postfix_words >> words)) break;
    hash = sl_hook_index_hash(hash, word_of_text(scratch, end - words * SL_WORD));
    if (column->postfix_words >> words & 1)
      found |= hooks_of_part(column, hash, SL_HOOK_INDEX_POSTFIX, words * SL_WORD);
  }
  return found;
}

/* `at`: in the scratch's data. */
__noinline __u64 hooks_of_text(__u32 index, const struct sl_hook_column* column, __u32 at, __u32 length) {
  struct hook_scratch* scratch = scratch_at(index);
  __u64 hash = SL_HOOK_INDEX_SEED, found = 0;
  if (!scratch || !column) return SL_ALL_HOOKS;
  for (__u32 bytes = 1; bytes < SL_WORD && bytes <= length; bytes++) {
    if (!(column->prefix_bytes >> bytes & 1)) continue;
    const __u64 word = first_bytes(word_of_text(scratch, at), bytes);
    found |= hooks_of_part(column, sl_hook_index_hash(SL_HOOK_INDEX_SEED, word), SL_HOOK_INDEX_PREFIX, bytes);
  }
  for (__u32 words = 1; words <= SL_HOOK_INDEX_WORDS && (words - 1) * SL_WORD < length; words++) {
    hash = sl_hook_index_hash(hash, word_of_text(scratch, at + (words - 1) * SL_WORD));
    if (column->prefix_words >> words & 1 && words * SL_WORD <= length)
      found |= hooks_of_part(column, hash, SL_HOOK_INDEX_PREFIX, words * SL_WORD);
  }
  if (column->whole) found |= hooks_of_part(column, hash, SL_HOOK_INDEX_WHOLE, length);
  if (column->postfix_words || column->postfix_bytes) found |= hooks_of_end(index, column, at + length, length);
  return found;
}

/* By the last name of the path. A file that is mounted at another name, or is in no directory, has not the name that
 * its path ends with: then the path decides. */
static __always_inline __u64 hooks_of_name(struct hook_scratch* scratch, __u32 index,
                                           const struct sl_hook_column* column, __u64 number) {
  const struct file_place place = place_of(column->argument.read, number);
  struct dentry* const dentry = place.dentry; /* CO-RE would look for file_place and component in the kernel */
  const struct vfsmount* const mount = place.mount;
  struct component component;
  if (!dentry) return 0;
  read_component(dentry, &component);
  const struct dentry* const parent = component.parent;
  if (parent == dentry) return SL_ALL_HOOKS;
  if (mount && dentry == BPF_CORE_READ(mount, mnt_root)) return SL_ALL_HOOKS;
  __u8* to = room(scratch);
  if (!to) return SL_ALL_HOOKS;
  const __u32 length = component.length & SL_NAME_MAX;
  if (bpf_probe_read_kernel(to, length, component.name)) return SL_ALL_HOOKS;
  *(__u64*)(to + length) = 0;
  return hooks_of_text(index, column, scratch->length, length);
}

/* By the text of an argument, which is read as the first one, as it mostly is. */
static __always_inline __u64 hooks_of_argument(struct hook_scratch* scratch, __u32 index,
                                               const struct sl_hook_column* column) {
  if (!scratch->read_count || !reads_the_same(&scratch->read_as[0], &column->argument)) {
    scratch->length = 0;
    scratch->begins[0] = 0;
    scratch->read_as[0] = column->argument;
    scratch->read_count = 1;
    read_argument(index, 0, &column->argument);
  }
  const struct sl_hook_value* value = &scratch->event.arguments[0];
  return value->flags & SL_HOOK_VALUE_READ ? hooks_of_text(index, column, value->offset, value->length) : 0;
}

__noinline __u64 hooks_of_column(__u32 index, __u32 number) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sl_hook_column* column = bpf_map_lookup_elem(&hook_columns, &number);
  if (!scratch || !column) return SL_ALL_HOOKS;
  const struct sl_hook_argument* how = &column->argument;
  if (column->face == SL_HOOK_FACE_TEXT) return column->others | hooks_of_argument(scratch, index, column);
  const __u64 value = number_of(scratch, how);
  if (column->face == SL_HOOK_FACE_NAME) return column->others | hooks_of_name(scratch, index, column, value);
  const __u64 whole = resize(value, how->size, how->flags & SL_HOOK_ARGUMENT_SIGNED);
  return column->others | hooks_of_part(column, sl_hook_index_hash(SL_HOOK_INDEX_SEED, whole), SL_HOOK_INDEX_NUMBER, 0);
}

/* The hooks of the point that may want the call, as bits. The scratch has the registers, and nothing is read yet. */
static __always_inline __u64 hooks_that_may_want(__u32 index, const struct sl_hook_point* point) {
  __u64 hooks = SL_ALL_HOOKS;
  for (__u32 i = 0; i < SL_HOOK_COLUMNS_OF_POINT && i < point->column_count && hooks; i++)
    hooks &= hooks_of_column(index, point->columns + i);
  return hooks;
}

#endif
