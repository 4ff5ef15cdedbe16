/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A short way to a denial that gets no record: plain packets from an uplink of flows that the table does not have,
 * while the budget for denied-flow entries is spent (denied_budget.bpf.h). That is a flood, and each of its packets
 * comes here.
 *
 * Asks the same tables as sl_evaluate, and does nothing but deny and count: any other answer is left to sl_evaluate.
 */
#ifndef SLUICE_VERDICT_UNRECORDED_BPF_H
#define SLUICE_VERDICT_UNRECORDED_BPF_H

#include "bpf/lib/fast_path.bpf.h"
#include "bpf/lib/prefix_cache.bpf.h"

/* Whether the packet can only be a new flow of its sender, for policy. Answers and datagrams that may be answers need
 * the receiver's socket, or policy for the other end. */
static __always_inline int sl_is_request_only(const struct sl_evaluation* j) {
  const struct sl_flow_key* key = &j->key;
  const struct sl_fast_packet* p = &j->plain;
  const __be16 src = p->from_hi ? key->hi_port : key->lo_port, dst = p->from_hi ? key->lo_port : key->hi_port;
  if (p->protocol == SL_IPPROTO_TCP) return sl_tcp_orientation(p->tcp_flags, src, dst) != SL_ANSWERS;
  return !sl_is_to_client(src, dst);
}

/* As sl_resolve. Global for the same reason. */
__noinline int sl_resolve_source(const struct sl_addr* addr, __u64 generation, struct sl_address_value* out) {
  if (!addr || !out) return 0;
  if (!sl_is_mapped_ipv4(addr)) return sl_resolve(addr, generation & 1, out);
  const struct sl_address_value* known = sl_find_address(generation & 1, addr);
  if (known) {
    *out = *known;
    return 1;
  }
  __builtin_memset(out, 0, sizeof(*out));
  out->identity = sl_known_prefix_identity(addr, generation);
  return 0;
}

/* Global, so that the verifier checks it once. SL_DROP_POLICY_DENIED, or SL_NOT_PLAIN: nothing was decided. */
__noinline int sl_evaluate_unrecorded(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j || !j->known_absent || sl_is_followed(j)) return SL_NOT_PLAIN;
  if (!sl_is_denied_budget_spent(j->now) || !sl_is_request_only(j)) return SL_NOT_PLAIN;
  struct sl_policy_question* q = &j->question;
  const struct sl_flow_key* key = &j->key;
  const __u32 from_hi = j->plain.from_hi;
  q->epoch = j->gen & 1;
  if (!sl_resolve(from_hi ? &key->lo : &key->hi, q->epoch, &q->destination)) return SL_NOT_PLAIN;
  if (!q->destination.ifindex || q->destination.ingress_ruleset == SL_RULESET_NONE) return SL_NOT_PLAIN;
  if (sl_in_quarantine(q->destination.endpoint)) return SL_NOT_PLAIN;
  sl_resolve_source(from_hi ? &key->hi : &key->lo, j->gen, &q->source);
  /* As sl_check_source: an address of this node or of its workloads is forged here. */
  if (q->source.ifindex || q->source.identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE) return SL_NOT_PLAIN;
  q->service = sl_service(j->plain.protocol, from_hi ? key->lo_port : key->hi_port);
  q->may_resolve_receiver = 1; /* a verdict by the receiver's process is not made here */
  if (sl_check_ruleset(q, q->destination.ingress_ruleset, q->source.identity, 1) != SL_DROP_POLICY_DENIED)
    return SL_NOT_PLAIN;
  j->to_endpoint = q->destination.endpoint;
  j->flow_slot = SL_NO_SLOT; /* a capture must not take an earlier packet's flow for this one's */
  j->has_fresh = 0;
  sl_count_event(SL_COUNTER_DENIED_UNRECORDED);
  return SL_DROP_POLICY_DENIED;
}

#endif
