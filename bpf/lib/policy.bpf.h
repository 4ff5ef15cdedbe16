/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The compiled policy's answer for one new flow. policy/lookup.cc is its twin in C++; tests hold them together. */
#ifndef SLUICE_POLICY_BPF_H
#define SLUICE_POLICY_BPF_H

#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/parse.bpf.h"

/* Entries of `ports` in one slot; the map holds two slots. Set by the loader. */
const volatile __u32 slot_ports = 262144;

/* A flow's first packet, and what the policy says of it. */
struct sl_policy_question {
  /* in */
  struct sl_address_value source;
  struct sl_address_value destination;
  __u32 slot;
  __u32 service; /* protocol << 16 | destination port */
  __u32 from_node;
  /* out */
  __u32 egress_decision;
  __u32 ingress_decision;
  __u32 audit; /* allowed, but a policy in audit would have denied it */
};

static __always_inline int sl_is_mapped_ipv4(const struct sl_addr* addr) {
  const __u32* words = (const __u32*)addr->bytes;
  return !words[0] && !words[1] && words[2] == bpf_htonl(0xffff);
}

/* Who has this address: one hash lookup for pods and the node, one more in the trie for everybody else. */
static __always_inline void sl_resolve(const struct sl_addr* addr, __u32 slot, struct sl_address_value* out) {
  struct sl_address_key key = {.addr = *addr, .slot = slot};
  const struct sl_address_value* known = bpf_map_lookup_elem(&addresses, &key);
  if (known) {
    *out = *known;
    return;
  }
  __builtin_memset(out, 0, sizeof(*out));
  struct sl_prefix_key prefix = {.prefixlen = 32 + 128, .slot = bpf_htonl(slot), .addr = *addr};
  const struct sl_prefix_value* value = bpf_map_lookup_elem(&prefixes, &prefix);
  if (value)
    out->identity = value->identity;
  else
    out->identity =
        ((sl_is_mapped_ipv4(addr) ? (__u32)SL_KIND_WORLD4 : (__u32)SL_KIND_WORLD6) << SL_IDENTITY_KIND_SHIFT) |
        SL_IDENTITY_PLAIN;
}

/* One direction: may `identity` be the peer of a workload with `ruleset` for this service? Returns a drop reason. */
static __noinline int sl_check_ruleset(struct sl_policy_question* question, __u32 ruleset, __u32 identity,
                                       __u32* decision) {
  __u32 slot = question->slot, service = question->service;
  struct sl_peer_key key = {.slot = slot, .ruleset = ruleset, .identity = identity};
  const struct sl_peer_value* range = bpf_map_lookup_elem(&peers, &key);
  if (!range) {
    key.identity = SL_IDENTITY_ANY_OF_KIND(identity >> SL_IDENTITY_KIND_SHIFT);
    range = bpf_map_lookup_elem(&peers, &key);
    if (!range) return SL_DROP_RULESET_MISSING;
  }
  __u32 low = range->first + slot * slot_ports, count = range->count;
  for (int i = 0; i < SL_MAX_SEARCH_STEPS; i++) {
    if (count <= 1) break;
    __u32 half = count / 2, middle = low + half;
    const struct sl_port_entry* entry = bpf_map_lookup_elem(&ports, &middle);
    if (!entry) return SL_DROP_RULESET_MISSING;
    if (entry->start <= service) {
      low = middle;
      count -= half;
    } else {
      count = half;
    }
  }
  const struct sl_port_entry* entry = bpf_map_lookup_elem(&ports, &low);
  if (!entry) return SL_DROP_RULESET_MISSING;
  *decision = entry->decision;
  if (entry->flags & SL_PORT_AUDIT) question->audit = 1;
  return entry->verdict == SL_VERDICT_ALLOW ? SL_DROP_NONE : SL_DROP_POLICY_DENIED;
}

/* Both ends of a flow, each where it is a local workload. Returns a drop reason. */
static __always_inline int sl_decide(struct sl_policy_question* q) {
  int reason = SL_DROP_NONE;
  q->egress_decision = q->ingress_decision = q->audit = 0;
  if (q->from_node) return SL_DROP_NONE;                                                        /* rule 14: probes */
  if (q->source.endpoint && q->source.endpoint == q->destination.endpoint) return SL_DROP_NONE; /* rule 14: itself */
  if (q->source.ifindex && q->source.egress_ruleset != SL_RULESET_NONE)
    reason = sl_check_ruleset(q, q->source.egress_ruleset, q->destination.identity, &q->egress_decision);
  /* Also after a denial at the source: the flow then names both ends' decisions. */
  if (q->destination.ifindex && q->destination.ingress_ruleset != SL_RULESET_NONE) {
    int ingress = sl_check_ruleset(q, q->destination.ingress_ruleset, q->source.identity, &q->ingress_decision);
    if (!reason) reason = ingress;
  }
  if (reason) q->audit = 0;
  return reason;
}

#endif
