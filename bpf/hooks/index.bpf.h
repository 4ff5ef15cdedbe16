/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Asks a point's index (bpf/abi/hook_index.h) which hooks may want a call. kernel/hooks/point_index.h makes it. */
#ifndef SLUICE_HOOK_INDEX_BPF_H
#define SLUICE_HOOK_INDEX_BPF_H

#include "bpf/hooks/match.bpf.h"
#include "bpf/lib/hook_index.h"

#define SL_ALL_HOOKS (~0ull)

/* The hooks of the slot with the key. */
__noinline __u64 hooks_in_slot(__u32 first, __u32 mask, __u64 key) {
  for (__u32 i = 0; i < SL_HOOK_SLOT_TRIES; i++) {
    const __u32 at = first + (((__u32)(key >> 32) + i) & mask);
    const struct sl_hook_slot* slot = hook_slots_at(at);
    if (!slot) return SL_ALL_HOOKS;
    const __u64 hooks = slot->hooks;
    if (!hooks || slot->key == key) return hooks;
  }
  return 0;
}

#define SL_TEXT_AT_MASK 0x7fffu /* texts of arguments begin and end below: SL_HOOK_DATA_MAX + SL_HOOK_TEXT_ROOM */

/* Without a comparison, which the verifier would follow both ways in each round of a loop. */
static __always_inline __u64 word_of_text(struct hook_scratch* scratch, __u32 at) {
  SL_ABI_ASSERT(sizeof(scratch->data) >= SL_TEXT_AT_MASK + SL_WORD, "data");
  SL_ABI_ASSERT(SL_HOOK_DATA_MAX + SL_HOOK_TEXT_ROOM <= SL_TEXT_AT_MASK, "data");
  return *(__u64*)&scratch->data[at & SL_TEXT_AT_MASK];
}

static __always_inline __u64 hooks_of_part(const struct sl_hook_column* column, __u64 hash,
                                           enum sl_hook_index_kind kind, __u32 length) {
  return hooks_in_slot(column->slots, column->slot_mask, sl_hook_index_key(hash, kind, length));
}

/* Bits 0 to `length`. */
static __always_inline __u32 lengths_up_to(__u32 length) { return length > 30 ? ~0u : (2u << length) - 1; }

/* By the text's end. In loops, conditions on what the text has are bits that were computed before: after a comparison
 * the verifier would know another length, and walk through the rest of the loop once more. */
__noinline __u64 hooks_of_end(__u32 index, const struct sl_hook_column* column, __u32 end, __u32 length) {
  struct hook_scratch* scratch = scratch_at(index);
  __u64 hash = SL_HOOK_INDEX_SEED, found = unknown_zero;
  if (!scratch || !column) return SL_ALL_HOOKS;
  const __u32 short_lengths = column->postfix_bytes & lengths_up_to(length);
  const __u32 lengths = column->postfix_words & lengths_up_to(length / SL_WORD);
  if (short_lengths) {
    for (__u32 bytes = 1; bytes < SL_WORD; bytes++) {
      if (!(short_lengths >> bytes & 1)) continue;
      const __u64 word = first_bytes(word_of_text(scratch, end - bytes), bytes);
      found |= hooks_of_part(column, sl_hook_index_hash(hash, word), SL_HOOK_INDEX_POSTFIX, bytes);
    }
  }
  for (__u32 words = 1; words <= SL_HOOK_INDEX_POSTFIX_WORDS; words++) {
    if (!(lengths >> words)) break;
    hash = sl_hook_index_hash(hash, word_of_text(scratch, end - words * SL_WORD));
    if (lengths >> words & 1) found |= hooks_of_part(column, hash, SL_HOOK_INDEX_POSTFIX, words * SL_WORD);
  }
  return found;
}

/* `at`: in the scratch's data. */
__noinline __u64 hooks_of_text(__u32 index, const struct sl_hook_column* column, __u32 at, __u32 length) {
  struct hook_scratch* scratch = scratch_at(index);
  __u64 hash = SL_HOOK_INDEX_SEED, found = unknown_zero;
  if (!scratch || !column) return SL_ALL_HOOKS;
  const __u32 whole_words = length / SL_WORD;
  const __u32 short_lengths = column->prefix_bytes & lengths_up_to(length);
  const __u32 lengths = column->prefix_words & lengths_up_to(whole_words);
  if (short_lengths) {
    const __u64 word = word_of_text(scratch, at);
    for (__u32 bytes = 1; bytes < SL_WORD; bytes++) {
      if (!(short_lengths >> bytes & 1)) continue;
      const __u64 begin = first_bytes(word, bytes);
      found |= hooks_of_part(column, sl_hook_index_hash(hash, begin), SL_HOOK_INDEX_PREFIX, bytes);
    }
  }
  for (__u32 words = 1; words <= SL_HOOK_INDEX_WORDS; words++) {
    if (words > whole_words) break;
    hash = sl_hook_index_hash(hash, word_of_text(scratch, at + (words - 1) * SL_WORD));
    if (lengths >> words & 1) found |= hooks_of_part(column, hash, SL_HOOK_INDEX_PREFIX, words * SL_WORD);
  }
  if (column->whole) {
    if (whole_words < SL_HOOK_INDEX_WORDS && length % SL_WORD)
      hash = sl_hook_index_hash(hash, word_of_text(scratch, at + whole_words * SL_WORD));
    found |= hooks_of_part(column, hash, SL_HOOK_INDEX_WHOLE, length);
  }
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
  __u64 value = 0;
  if (!number_of(scratch, how, &value)) return column->others;
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
