/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides packets of denied flows by their denied-flow entries, without policy, and makes those entries. An entry
 * counts packets and repeats a denial; it never lets a packet pass.
 */
#ifndef SLUICE_VERDICT_DENIED_BPF_H
#define SLUICE_VERDICT_DENIED_BPF_H

#include "bpf/lib/denied_budget.bpf.h"
#include "bpf/lib/orientation.bpf.h"
#include "bpf/lib/redecide.bpf.h"
#include "bpf/lib/verdict_event.bpf.h"

/* Counts one more packet of a denied flow in its entry. */
static __always_inline void sl_account_denied_again(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  sl_note_sender(&j->sender, &j->key, entry, reply, j->now);
  sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  sl_report(j, entry, reply);
}

/* Puts `fresh` into the table, if the token bucket allows it. It replaces an older entry of the same flow for free. */
static __always_inline void sl_put_denied(struct sl_evaluation* j) {
  const int is_paid = !j->known_absent && sl_flow_forget(&j->key, SL_FLOW_DENIED);
  if ((!is_paid && sl_is_denied_budget_spent(j->now)) || !sl_flow_put(&j->key, &j->fresh, SL_FLOW_DENIED))
    sl_count_event(SL_COUNTER_DENIED_UNRECORDED);
  else if (!is_paid)
    sl_take_denied_token(j->now);
}

/* After policy denied the packet: counts it in an entry with the same denial, or makes a new entry from `fresh`. */
static __always_inline void sl_account_denied(struct sl_evaluation* j) {
  const __u32 slot = sl_search_unless_absent(j, SL_FLOW_DENIED);
  struct sl_flow_entry* entry = sl_entry_at(slot);
  if (entry && entry->generation == j->fresh.generation && entry->reason == j->fresh.reason &&
      entry->initiator.endpoint == j->fresh.initiator.endpoint && /* two workloads may forge the same address */
      !((entry->flags ^ j->fresh.flags) & SL_CT_INITIATOR_HI)) {
    j->flow_slot = slot;
    sl_account_denied_again(j, entry, j->question.reversed);
    return;
  }
  sl_count_sender_here(j);
  sl_flow_begin(&j->fresh, &j->packet, &j->size, j->question.reversed);
  sl_put_denied(j);
  if (sl_is_followed(j))
    sl_send_event(&j->key, &j->fresh, sl_share_of(&j->fresh), j->ifindex,
                  SL_FLOW_NEW | (j->question.reversed ? SL_EVENT_OF_REPLY : 0));
}

/* A denied-flow entry is for one socket, with TCP too: no connection was opened. */
static __always_inline int sl_is_denied_to_another(const struct sl_flow_entry* entry, __u64 socket) {
  return socket && SL_READ_ONCE(entry->initiator_socket) != socket;
}

/* Whether the entry decides this packet: policy denied this end, under this generation and for every process, to open
 * the flow. An answer belongs to the other end's flow, and no denial of its sender's own flow counts for it. */
static __always_inline int sl_is_denied_still(const struct sl_evaluation* j, struct sl_flow_entry* entry, int src_hi,
                                              enum sl_orientation orientation) {
  __u64 generation;
  const int reason = sl_verdict_of(entry, &generation);
  if (generation != j->gen || reason != SL_DROP_POLICY_DENIED || orientation == SL_ANSWERS) return 0;
  if (entry->flags & SL_CT_TO_SERVICE) return 0; /* it may have other backends by now */
  return !(entry->flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER)) && src_hi == !!(entry->flags & SL_CT_INITIATOR_HI);
}

/* Returns SL_DROP_POLICY_DENIED, SL_RESOLVE_SENDER, or SL_DROP_NONE if no entry decides the packet. */
static __always_inline int sl_evaluate_denied(struct sl_evaluation* j, int src_hi) {
  if (j->known_absent || j->from_node || j->packet.is_icmp_error) return SL_DROP_NONE;
  const __u32 slot = sl_flow_search(&j->key, SL_FLOW_DENIED);
  struct sl_flow_entry* entry = sl_entry_at(slot);
  if (!entry || !sl_is_denied_still(j, entry, src_hi, sl_orientation_of(&j->packet))) return SL_DROP_NONE;
  if (!sl_at_its_interface(j, &entry->initiator, &entry->responder)) return SL_DROP_NONE;
  if (sl_either_quarantined(&j->packet, entry->initiator.endpoint, entry->responder.endpoint)) return SL_DROP_NONE;
  const int other_socket = sl_is_denied_to_another(entry, j->sender.socket);
  if (sl_must_resolve_sender(&j->sender, entry, 0, other_socket)) return SL_RESOLVE_SENDER;
  if (other_socket && !sl_knows(&j->sender)) j->sender.unknown = 1;
  j->from_endpoint = entry->initiator.endpoint;
  j->to_endpoint = entry->responder.endpoint;
  j->flow_slot = slot;
  sl_account_denied_again(j, entry, 0);
  return SL_DROP_POLICY_DENIED;
}

#endif
