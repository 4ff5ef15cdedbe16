/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The flow table's memory in the packet path: maps. Null: there is no such slot. */
#ifndef SLUICE_FLOW_TABLE_MAPS_BPF_H
#define SLUICE_FLOW_TABLE_MAPS_BPF_H

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/flow_hash.h"

/* Set by the loader. */
const volatile __u32 flow_bucket_count = 1;
/* Slots that are divided into shares: all, unless a test sets another number. */
const volatile __u32 flow_share_slots = SL_FLOW_WAYS;

static __always_inline __u32 sl_hash_of(const struct sl_flow_key* key) {
  const struct sl_settings* agent = sl_settings_in_force();
  return agent ? sl_flow_hash(agent->hash_seeds, key) : 0;
}

static __always_inline struct sl_flow_bucket* sl_bucket_at(__u32 index) {
  return bpf_map_lookup_elem(&flow_buckets, &index);
}

static __always_inline struct sl_flow* sl_flow_at(__u32 slot) { return bpf_map_lookup_elem(&flows, &slot); }

static __always_inline __u64* sl_share_at(__u32 endpoint) { return bpf_map_lookup_elem(&flow_shares, &endpoint); }

#endif
