/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The ports of first fragments, for the later ones (bpf/abi/conntrack.h). Each local workload has its own table, for
 * fragments that it sent or that came to it from elsewhere, so it never evicts another workload's fragments.
 */
#ifndef SLUICE_FRAGMENTS_BPF_H
#define SLUICE_FRAGMENTS_BPF_H

#include "bpf/lib/clock.bpf.h"
#include "bpf/lib/hash.h"
#include "bpf/lib/once.h"
#include "bpf/lib/policy.bpf.h"

#define SL_NO_FRAGMENT SL_FRAGMENTS /* as an index */

static __always_inline __u8 sl_fragment_time(__u64 now) { return sl_ticks(now) >> SL_FRAGMENT_TIME_SHIFT; }

static __always_inline int sl_is_fragment_old(const struct sl_fragment_value* value, __u64 now) {
  return (__u8)(sl_fragment_time(now) - value->time) > SL_FRAGMENT_TIMEOUT;
}

/* The endpoint whose table a fragment belongs to: the local sender, else the local receiver. 0: neither is local. */
static __always_inline __u32 sl_fragment_owner(const struct sl_tuple* tuple, __u32 epoch) {
  return sl_endpoint_at(&tuple->src, epoch) ?: sl_endpoint_at(&tuple->dst, epoch);
}

/* Hash of addresses, id and protocol; `key` is working memory. */
static __always_inline __u64 sl_fragment_hash(const struct sl_packet* packet, struct sl_fragment_key* key) {
  const struct sl_settings* agent = sl_settings_in_force();
  sl_copy_addr(&key->src, &packet->tuple.src);
  sl_copy_addr(&key->dst, &packet->tuple.dst);
  key->id = packet->fragment_id;
  key->protocol = packet->fragment_protocol;
  key->pad[0] = key->pad[1] = key->pad[2] = 0;
  return agent ? sl_hash_whole(agent->hash_seeds, (const __u32*)key, sizeof(*key) / sizeof(__u32)) : 0;
}

/* `check` and `value` are written one after the other, by any CPU: they match only if they are of one fragment. Global,
 * so that the verifier checks it once. */
__noinline __u32 sl_find_fragment(__u32 owner, __u64 hash) {
  struct sl_fragments* table = bpf_map_lookup_elem(&fragments, &owner);
  if (!table) return SL_NO_FRAGMENT;
  for (__u32 i = 0; i < SL_FRAGMENTS; i++) {
    const __u64 value = SL_READ_ONCE(table->last[i].value);
    if (value && (SL_READ_ONCE(table->last[i].check) ^ value) == hash) return i;
  }
  return SL_NO_FRAGMENT;
}

/* Replaces the workload's oldest fragment. */
static __always_inline void sl_put_fragment(__u32 owner, __u64 hash, const struct sl_fragment_value* ports) {
  struct sl_fragments* table = bpf_map_lookup_elem(&fragments, &owner);
  if (!owner || !table) return;
  __u32 index = sl_find_fragment(owner, hash);
  if (index >= SL_FRAGMENTS) index = __sync_fetch_and_add(&table->next, 1) % SL_FRAGMENTS;
  barrier_var(index); /* the verifier wants to see the bound */
  if (index >= SL_FRAGMENTS) return;
  __u64 value;
  __builtin_memcpy(&value, ports, sizeof(value));
  SL_WRITE_ONCE(table->last[index].value, value);
  SL_WRITE_ONCE(table->last[index].check, hash ^ value);
}

/* 0: it is not known. */
static __always_inline int sl_get_fragment(__u32 owner, __u64 hash, __u64 now, struct sl_fragment_value* ports) {
  const struct sl_fragments* table = bpf_map_lookup_elem(&fragments, &owner);
  __u32 index = owner && table ? sl_find_fragment(owner, hash) : SL_NO_FRAGMENT;
  barrier_var(index);
  if (!table || index >= SL_FRAGMENTS) return 0;
  const __u64 value = SL_READ_ONCE(table->last[index].value);
  if ((SL_READ_ONCE(table->last[index].check) ^ value) != hash) return 0; /* replaced meanwhile */
  __builtin_memcpy(ports, &value, sizeof(value));
  return !sl_is_fragment_old(ports, now);
}

#endif
