/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The decision, the same for XDP and tc: packet -> flow -> verdict. The first row that fits decides.
 *
 *   either end in quarantine, and the peer is not on   drop                                 verdict_quarantine.bpf.h
 *     the allow list
 *   known flow, decided under this generation          its verdict                          verdict_known.bpf.h
 *   known flow, decided under an older generation, or  evaluated again as its initiator     redecide.bpf.h
 *     for another process or socket                    opened it; a denial revokes the flow
 *   SYN from a connection's responder                  policy for a new connection; only    verdict_policy.bpf.h
 *                                                      an allowed one changes anything
 *   denied flow with an entry                          the same denial                      verdict_denied.bpf.h
 *   ICMP error about a known, allowed flow             pass                                 verdict_related.bpf.h
 *   anything else: a new flow                          anti-spoofing, policy at both ends,  verdict_new.bpf.h
 *                                                      one entry
 *
 * A later fragment first takes its ports from the first fragment (verdict_fragment.bpf.h).
 */
#ifndef SLUICE_VERDICT_BPF_H
#define SLUICE_VERDICT_BPF_H

#include "bpf/lib/verdict_denied.bpf.h"
#include "bpf/lib/verdict_fragment.bpf.h"
#include "bpf/lib/verdict_known.bpf.h"
#include "bpf/lib/verdict_new.bpf.h"
#include "bpf/lib/verdict_related.bpf.h"

/*
 * At tc_to_pod, each receiver of a multicast or broadcast packet has a flow of its own, beside the flow between the
 * sender and the group. The key then has the receiver's endpoint, so that policy decides for each receiver. Global, as
 * sl_evaluate.
 */
__noinline int sl_add_receiver_to_key(struct sl_evaluation* j) {
  if (!j) return 0;
  const struct sl_addr* to = &j->packet.tuple.dst;
  const int is_group = sl_is_mapped_ipv4(to) ? to->bytes[12] >= 224 : sl_is_multicast6(to);
  struct sl_address_value* who = &j->question.destination; /* not in use yet */
  if (!is_group && !j->packet.to_group) return 0;
  if (sl_resolve(to, j->gen & 1, who) || sl_resolve_owner(j, who)) return 0;
  j->key.receiver = who->endpoint;
  j->known_absent = 0; /* this was found for the key without the receiver */
  return 0;
}

/* Looks the flow up and decides a packet of a known flow, a denied one or an ICMP error. Returns SL_NEW_FLOW* or
 * SL_SYN_AGAINST* if policy has to decide. Global, as sl_evaluate. */
__noinline int sl_evaluate_known_flow(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_packet* packet = &j->packet;
  struct sl_flow_key* key = &j->key;
  j->gen = sl_generation();
  j->now = sl_now();
  int reason = sl_follow_fragment(j);
  if (reason) return reason;
  int src_hi = sl_flow_key_of(&packet->tuple, key);
  if (j->hook == SL_HOOK_TC_TO_POD) sl_add_receiver_to_key(j);
  if (j->refused) goto new_flow;
  j->slot = j->over_slot = sl_search_unless_absent(j, SL_FLOW_ALLOWED);
  struct sl_flow_entry* entry = sl_entry_at(j->slot);
  j->over_incarnation = entry ? SL_READ_ONCE(entry->incarnation) : 0;
  if (entry) sl_memory_barrier(&entry->flags);
  int over = entry && sl_flow_expired(entry, key->protocol, j->now);
  if (entry && !over) {
    int reply = src_hi != !!(entry->flags & SL_CT_INITIATOR_HI);
    const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
    const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
    if (sl_reopens(entry, packet, reply)) {
      over = sl_at_its_interface(j, sender, receiver);
      if (over && reply && !j->syn_allowed) goto syn_against;
    } else {
      __u64 generation;
      int verdict = sl_verdict_of(entry, &generation);
      if (generation < j->gen || sl_has_other_backends(j, entry)) verdict = sl_redecide_for(j, entry, reply, 0);
      if (!sl_flow_stands(key, j->slot)) verdict = SL_FLOW_OVER; /* evicted, and the slot may be reused */
      if (verdict >= 0 && sl_at_its_interface(j, sender, receiver)) {
        const int other_socket = sl_is_of_other_socket(j, entry, reply);
        if (sl_must_resolve_sender(&j->sender, entry, reply, other_socket)) return SL_RESOLVE_SENDER;
        if (sl_must_resolve_receiver(j, receiver, entry, reply)) return SL_RESOLVE_RECEIVER;
        if (sl_note_processes(j, entry, reply, other_socket))
          verdict = SL_FLOW_STALE;
        else if (entry->flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER))
          verdict = sl_verdict_for(j, entry, reply);
        if (verdict == SL_FLOW_STALE) verdict = sl_redecide_for(j, entry, reply, 1);
        if (!verdict && reply && !j->syn_allowed && sl_is_syn(packet)) goto syn_against;
        if (verdict >= 0) return sl_evaluate_known(j, entry, verdict, reply);
      }
      if (verdict == SL_RESOLVE_RECEIVER) return verdict;
      over = verdict == SL_FLOW_OVER;
    }
  }
  if (!entry && (reason = sl_evaluate_denied(j, src_hi))) return reason;
  /* If quarantine stops the ICMP error, the error is a new flow with a denied-flow entry of its own. */
  if (sl_is_related(j) && !sl_is_quarantined(j)) return SL_DROP_NONE;
  if (j->sender.has_socket && !j->sender.resolved) return SL_RESOLVE_SENDER;
  /* Only a flow that is over is removed: a spoofed packet must not end a live one. */
  if (over) sl_flow_forget_at(key, j->over_slot, SL_FLOW_ALLOWED, j->over_incarnation);
new_flow:
  return src_hi ? SL_NEW_FLOW_FROM_HI : SL_NEW_FLOW;
syn_against:
  if (j->sender.has_socket && !j->sender.resolved) return SL_RESOLVE_SENDER;
  return src_hi ? SL_SYN_AGAINST_FROM_HI : SL_SYN_AGAINST;
}

/*
 * A SYN from a connection's responder opens a connection of its own, so policy has to allow it. A denied SYN changes
 * nothing in the known flow: that may be alive whatever its flags say, since a RST or FIN can be spoofed like the SYN.
 * An allowed SYN begins a new flow if the old one is over; otherwise it belongs to the live one (simultaneous open).
 */
static __always_inline int sl_evaluate_syn_against(struct sl_evaluation* j, int src_hi) {
  int reason = sl_evaluate_policy_and_service(j);
  if (reason) return sl_is_denied_here(reason) ? sl_deny_new(src_hi, reason) : reason;
  j->syn_allowed = 1;
  return sl_evaluate_known_flow();
}

/*
 * Decides the packet in this CPU's evaluation. Returns SL_DROP_NONE (forward), a drop reason, or SL_RESOLVE_*. Global,
 * so that the verifier checks it once and not on each path that leads here.
 */
__noinline int sl_evaluate(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  int reason = sl_evaluate_known_flow();
  if (reason == SL_SYN_AGAINST || reason == SL_SYN_AGAINST_FROM_HI)
    reason = sl_evaluate_syn_against(j, reason == SL_SYN_AGAINST_FROM_HI);
  if (reason <= SL_NEW_FLOW) reason = sl_evaluate_new(reason == SL_NEW_FLOW_FROM_HI);
  if (reason != SL_RESOLVE_SENDER) sl_remember_fragment(j, reason);
  return reason;
}

#endif
