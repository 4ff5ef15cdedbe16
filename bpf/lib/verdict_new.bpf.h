/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Decides the first packet of a flow by policy, and makes the entry: of an allowed flow, or of a denied one. */
#ifndef SLUICE_VERDICT_NEW_BPF_H
#define SLUICE_VERDICT_NEW_BPF_H

#include "bpf/lib/verdict_denied.bpf.h"
#include "bpf/lib/verdict_host_path.bpf.h"
#include "bpf/lib/verdict_policy.bpf.h"

/* The Service that the initiator used, if this packet is its. */
static __always_inline void sl_note_service(const struct sl_evaluation* j, struct sl_flow_entry* fresh) {
  if (j->question.reversed) return;
  fresh->service = j->service ?: j->sender.service;
  if (!j->service) return;
  fresh->flags |= j->translated ? SL_CT_TRANSLATED : SL_CT_TO_SERVICE;
  if (!j->translated) fresh->service_range = j->use.service.first;
}

/* Makes `fresh`, the entry of the flow that begins with this packet, with the result of policy. */
static __always_inline void sl_fill_fresh(struct sl_evaluation* j, int src_hi, int reason) {
  const struct sl_packet* packet = &j->packet;
  const struct sl_policy_question* q = &j->question;
  struct sl_flow_entry* fresh = &j->fresh;
  __builtin_memset(fresh, 0, sizeof(*fresh));
  j->has_fresh = 1;
  fresh->created_ns = fresh->last_seen_ns = j->now;
  fresh->id = sl_next_flow_id();
  fresh->incarnation = (__u32)(fresh->id ^ fresh->id >> 32) ?: 1;
  fresh->last_event = sl_ticks(j->now);
  fresh->generation = j->gen;
  sl_end_of(&fresh->initiator, &q->source);
  sl_end_of(&fresh->responder, &q->destination);
  fresh->egress_decision = q->egress_decision;
  fresh->ingress_decision = q->ingress_decision;
  fresh->owner = q->from_node && !sl_is_mostly_full() ? 0 : q->source.endpoint ?: q->destination.endpoint;
  fresh->flags = (src_hi != !!q->reversed ? SL_CT_INITIATOR_HI : 0) | (q->from_node ? SL_CT_FROM_NODE : 0) |
                 (q->audit ? SL_CT_AUDIT : 0) | q->by_process;
  sl_note_service(j, fresh);
  sl_note_initiator(&j->sender, fresh);
  sl_note_receiver(&j->receiver, fresh);
  if (q->reversed) sl_reverse_processes(fresh);
  fresh->reason = reason;
  fresh->hook = j->hook;
  if (j->hook != SL_HOOK_TC_TO_POD) *sl_counted_of(fresh, q->reversed) = sl_counted_now(j->now);
  fresh->tcp_flags = packet->tcp_flags;
  fresh->icmp_type = packet->icmp_type;
  fresh->icmp_code = packet->icmp_code;
}

/* Whether policy's result is a denial that this hook reports. The receiver's own hook reports a packet for a wrong
 * receiver. */
static __always_inline int sl_is_denied_here(int reason) { return reason > 0 && reason != SL_DROP_WRONG_RECEIVER; }

/* Global, as sl_evaluate_policy. */
__noinline int sl_deny_new(int src_hi, int reason) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  sl_fill_fresh(j, src_hi, reason);
  sl_account_denied(j);
  return reason;
}

/* Global, so that it has a stack of its own and is checked once. */
__noinline int sl_evaluate_new(int src_hi) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  int reason = sl_evaluate_policy_and_service(j);
  if ((reason && !sl_is_denied_here(reason)) || j->not_local) return reason;
  if (reason) return sl_deny_new(src_hi, reason);
  sl_fill_fresh(j, src_hi, SL_DROP_NONE);
  j->audit = j->question.audit;
  j->may_pass_host = sl_is_redirect_always(j) && !j->service;
  const int reply = j->question.reversed;
  sl_flow_begin(&j->fresh, &j->packet, &j->size, reply);
  if (!j->known_absent) { /* replaces a denied-flow entry, and an older flow between other owners of the addresses */
    sl_flow_forget(&j->key, SL_FLOW_DENIED);
    sl_flow_forget(&j->key, SL_FLOW_PENDING);
  }
  if (!sl_flow_put(&j->key, &j->fresh, SL_FLOW_PENDING)) {
    sl_count_event(SL_COUNTER_CT_INSERT_FAILED);
    return SL_DROP_CONNTRACK_FULL;
  }
  sl_count_event(SL_COUNTER_FLOW_NEW);
  sl_count_sender_here(j);
  if (sl_is_followed(j))
    sl_send_event(&j->key, &j->fresh, sl_share_of(&j->fresh), j->ifindex,
                  SL_FLOW_NEW | (reply ? SL_EVENT_OF_REPLY : 0));
  return SL_DROP_NONE;
}

#endif
