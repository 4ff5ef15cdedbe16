/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The first slot to search in an epoch's hash table, relative to the epoch's part. Helper-free, as hash.h. */
#ifndef SLUICE_PROBE_START_H
#define SLUICE_PROBE_START_H

#include "bpf/abi/policy.h"
#include "bpf/lib/hash.h"

static inline __u32 sl_peer_start(const __u64* seeds, __u32 ruleset, __u32 identity, __u32 homes) {
  const __u32 words[] = {ruleset, identity};
  return sl_hash_below(sl_hash(seeds, words, 2), homes);
}

static inline __u32 sl_address_start(const __u64* seeds, const struct sl_addr* addr, __u32 homes) {
  __u32 words[4];
  __builtin_memcpy(words, addr, sizeof(words));
  return sl_hash_below(sl_hash(seeds, words, 4), homes);
}

#endif
