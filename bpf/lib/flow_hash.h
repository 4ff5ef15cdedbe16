/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where a flow stands in the flow table (bpf/abi/flow_table.h). Helper-free: the packet path and the agent share it. */
#ifndef SLUICE_FLOW_HASH_H
#define SLUICE_FLOW_HASH_H

#include "bpf/abi/events.h"
#include "bpf/abi/flow_table.h"

/*
 * `seeds`: settings.flow_seeds, drawn at random, so that nobody can choose flows that meet. The sum is from the
 * multilinear family with half the multiplications (Lemire and Kaser, "Strongly universal string hashing is fast",
 * 2014): no two keys have the same one but by chance. What follows mixes it, as flows whose keys differ only in a port
 * have sums at equal distances, which fill the buckets unevenly.
 */
static inline __u32 sl_flow_hash(const __u64* seeds, const struct sl_flow_key* key) {
  __u32 words[SL_FLOW_SEEDS];
  __u64 sum = 0;
  __builtin_memcpy(words, key, sizeof(words));
  for (unsigned i = 0; i < SL_FLOW_SEEDS; i += 2) sum += (seeds[i] + words[i]) * (seeds[i + 1] + words[i + 1]);
  sum = (sum ^ sum >> 32) * 0xd6e8feb86659fd93ULL;
  return (__u32)(sum >> 32);
}

static inline __u32 sl_flow_bucket_of(__u32 hash, __u32 buckets) { return (__u32)((__u64)hash * buckets >> 32); }

/* Where a flow goes that finds its own bucket full. */
static inline __u32 sl_flow_other_bucket_of(__u32 hash, __u32 buckets) {
  return sl_flow_bucket_of(hash * 0x9e3779b1 + 0x85ebca77, buckets);
}

/* In the state BUSY. Never 0. */
static inline __u32 sl_flow_tag_of(__u32 hash) { return hash << 3 | 1 << 2; }

/* The place of its bucket where a flow is put when that is free, and looked for first. */
static inline __u32 sl_flow_way_of(__u32 hash) { return (hash & 0xffff) * SL_FLOW_WAYS >> 16; }

#endif
