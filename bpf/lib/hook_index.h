/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The hash and the bits of the index of a point (bpf/abi/hook_index.h). Helper-free: programs and the agent share it.
 *
 * Who chooses values that collide makes the index say yes too often, which costs time and decides nothing. */
#ifndef SLUICE_HOOK_INDEX_H
#define SLUICE_HOOK_INDEX_H

#include "bpf/abi/hook_index.h"

#define SL_HOOK_INDEX_SEED 0x51c3a9d27e8b46f1ull

/* The hash of words, one after the other: from SL_HOOK_INDEX_SEED. Those of an end come from the end on. */
static inline __u64 sl_hook_index_hash(__u64 hash, __u64 word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  return hash ^ hash >> 32;
}

/* `length` in bytes, of the text or of its part; of a number 0. The slot's place is in the upper half. */
static inline __u64 sl_hook_index_key(__u64 hash, enum sl_hook_index_kind kind, __u32 length) {
  return sl_hook_index_hash(hash, (__u64)kind << 32 | length) * 0xd6e8feb86659fd93ull;
}

/* How many hooks of the list share one bit, as a power of two. */
static inline __u32 sl_hook_index_shift(__u32 hooks) {
  __u32 shift = 0;
  while (shift < 16 && hooks > 64u << shift) shift++;
  return shift;
}

#endif
