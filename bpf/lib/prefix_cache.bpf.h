/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the trie of prefixes said about IPv4 addresses, for floods: with many prefixes, a walk through the trie reads a
 * dozen lines that are in no cache, and this reads one.
 *
 * A set is one line of SL_PREFIX_WAYS entries of two words. `who`: the address, and below it the lowest 32 bits of the
 * generation that it was looked up in: an entry of another generation is no entry. `what`: the identity, and below it a
 * check over all of these, so that two halves of different entries match nothing. So no lock is needed. Each CPU writes
 * what it found; the trie does not change as long as its generation is in force.
 *
 * In .bss, so it is neither pinned nor shared with other versions, and empty after each start.
 */
#ifndef SLUICE_PREFIX_CACHE_BPF_H
#define SLUICE_PREFIX_CACHE_BPF_H

#include "bpf/lib/once.h"
#include "bpf/lib/policy.bpf.h"

#define SL_PREFIX_SETS 65536
#define SL_PREFIX_WAYS 4

__u64 known_prefixes[SL_PREFIX_SETS * SL_PREFIX_WAYS * 2] __attribute__((aligned(64))) = {};

/*
 * How well it works on one CPU. Sources that never come again only cost it a line each that is not in the cache, so
 * after SL_PREFIX_TRIES look-ups of which fewer than an eighth found something, the next SL_PREFIX_PAUSE ask the trie
 * alone. CPUs of the same index may share one: it decides what is asked first, and no answer.
 */
#define SL_PREFIX_CPUS 64
#define SL_PREFIX_TRIES 1024
#define SL_PREFIX_PAUSE 4096
struct sl_prefix_use {
  __u32 tries;
  __u32 found;
  __u32 pause;
  __u32 pad[13];
};
__u32 prefix_use[SL_PREFIX_CPUS * sizeof(struct sl_prefix_use) / sizeof(__u32)] __attribute__((aligned(64))) = {};

static __always_inline struct sl_prefix_use* sl_prefix_use_here(void) {
  const __u32 cpu = bpf_get_smp_processor_id() & (SL_PREFIX_CPUS - 1);
  return (void*)&prefix_use[cpu * (sizeof(struct sl_prefix_use) / sizeof(__u32))];
}

static __always_inline int sl_is_prefix_cache_paused(struct sl_prefix_use* use) {
  if (!use->pause) return 0;
  use->pause--;
  return 1;
}

static __always_inline void sl_note_prefix_use(struct sl_prefix_use* use, int found) {
  use->found += found;
  if (++use->tries < SL_PREFIX_TRIES) return;
  if (use->found < SL_PREFIX_TRIES / 8) use->pause = SL_PREFIX_PAUSE;
  use->tries = use->found = 0;
}

static __always_inline __u32 sl_prefix_check(__u64 who, __u32 identity) {
  return ((who ^ (__u64)identity << 17 ^ 0x2545f4914f6cdd1dULL) * 0x9e3779b97f4a7c15ULL) >> 32;
}

/* The first word of the address's set. */
static __always_inline __u64* sl_prefix_set_of(__be32 address) {
  const struct sl_settings* agent = sl_settings_in_force();
  const __u32 words[2] = {address, 0};
  const __u32 hash = agent ? sl_hash(agent->hash_seeds, words, 2) : 0;
  return &known_prefixes[(hash & (SL_PREFIX_SETS - 1)) * SL_PREFIX_WAYS * 2];
}

/* A way of the set that has no entry of this generation, else any. */
static __always_inline __u32 sl_prefix_way_for(const __u64* set, __u32 generation) {
  for (__u32 way = 0; way < SL_PREFIX_WAYS; way++)
    if ((__u32)SL_READ_ONCE(set[way * 2]) != generation) return way;
  return bpf_get_prandom_u32() & (SL_PREFIX_WAYS - 1);
}

/* The identity of an IPv4 address that is no pod's and not the node's, in this generation. As sl_prefix_identity. */
static __always_inline __u32 sl_known_prefix_identity(const struct sl_addr* addr, __u64 generation) {
  struct sl_prefix_use* use = sl_prefix_use_here();
  if (sl_is_prefix_cache_paused(use)) return sl_prefix_identity(addr, generation & 1);
  const __be32 address = sl_load_be32(addr->bytes + 12);
  const __u64 who = (__u64)address << 32 | (__u32)generation;
  __u64* set = sl_prefix_set_of(address);
  for (__u32 way = 0; way < SL_PREFIX_WAYS; way++) {
    if (SL_READ_ONCE(set[way * 2]) != who) continue;
    const __u64 what = SL_READ_ONCE(set[way * 2 + 1]);
    if ((__u32)what != sl_prefix_check(who, what >> 32)) continue;
    sl_note_prefix_use(use, 1);
    return what >> 32;
  }
  sl_note_prefix_use(use, 0);
  const __u32 identity = sl_prefix_identity(addr, generation & 1);
  const __u32 way = sl_prefix_way_for(set, generation);
  SL_WRITE_ONCE(set[(way & (SL_PREFIX_WAYS - 1)) * 2], who);
  SL_WRITE_ONCE(set[(way & (SL_PREFIX_WAYS - 1)) * 2 + 1], (__u64)identity << 32 | sl_prefix_check(who, identity));
  return identity;
}

#endif
