/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The hash for all hash tables of our own. Helper-free: the packet path and the agent share it. */
#ifndef SLUICE_HASH_H
#define SLUICE_HASH_H

#include "bpf/abi/events.h"

/*
 * Hashes an even number of words, at most SL_HASH_SEEDS. `seeds`: settings.hash_seeds, random, so that an attacker
 * cannot choose keys that collide. The sum is from the multilinear family with half the multiplications (Lemire and
 * Kaser, "Strongly universal string hashing is fast", 2014): two keys have the same sum only by chance. The last line
 * mixes the bits: the sums of keys that differ in one word are equally spaced, and would fill a table unevenly.
 */
static inline __u64 sl_hash_whole(const __u64* seeds, const __u32* words, unsigned count) {
  __u64 sum = 0;
  for (unsigned i = 0; i < count; i += 2) sum += (seeds[i] + words[i]) * (seeds[i + 1] + words[i + 1]);
  return (sum ^ sum >> 32) * 0xd6e8feb86659fd93ULL;
}

static inline __u32 sl_hash(const __u64* seeds, const __u32* words, unsigned count) {
  return (__u32)(sl_hash_whole(seeds, words, count) >> 32);
}

/* Maps a hash evenly to 0..count-1. */
static inline __u32 sl_hash_below(__u32 hash, __u32 count) { return (__u32)((__u64)hash * count >> 32); }

#endif
