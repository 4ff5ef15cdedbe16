/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A flow's position in the flow table (bpf/abi/flow_table.h). Helper-free, as hash.h. */
#ifndef SLUICE_FLOW_HASH_H
#define SLUICE_FLOW_HASH_H

#include "bpf/abi/flow_table.h"
#include "bpf/lib/hash.h"

static inline __u32 sl_flow_hash(const __u64* seeds, const struct sl_flow_key* key) {
  __u32 words[sizeof(*key) / sizeof(__u32)];
  __builtin_memcpy(words, key, sizeof(words));
  return sl_hash(seeds, words, sizeof(words) / sizeof(__u32));
}

static inline __u32 sl_flow_bucket_of(__u32 hash, __u32 buckets) { return sl_hash_below(hash, buckets); }

/* The secondary bucket, for a flow whose primary bucket is full. */
static inline __u32 sl_flow_other_bucket_of(__u32 hash, __u32 buckets) {
  return sl_flow_bucket_of(hash * 0x9e3779b1 + 0x85ebca77, buckets);
}

/* The tag in state BUSY. Never 0. */
static inline __u32 sl_flow_tag_of(__u32 hash) { return hash << 5 | 1 << 4; }

/* The preferred way: searched first, and used for a new flow if it is free. */
static inline __u32 sl_flow_way_of(__u32 hash) { return (hash & 0xffff) * SL_FLOW_WAYS >> 16; }

#endif
