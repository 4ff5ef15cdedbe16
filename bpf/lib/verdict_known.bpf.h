/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Decides packets of known flows: applies the flow's verdict, or finds that a SYN begins a new connection. */
#ifndef SLUICE_VERDICT_KNOWN_BPF_H
#define SLUICE_VERDICT_KNOWN_BPF_H

#include "bpf/lib/orientation.bpf.h"
#include "bpf/lib/verdict_event.bpf.h"
#include "bpf/lib/verdict_host_path.bpf.h"
#include "bpf/lib/verdict_quarantine.bpf.h"

/* Applies `verdict` to the packet and updates the flow. A packet that quarantine stops does not move the flow's state,
 * so that the flow can continue after the release. Global, as sl_evaluate, and because Linux 6.1 limits the stack of
 * all functions on a call path to 512 bytes. */
__noinline int sl_evaluate_known(struct sl_evaluation* j, struct sl_flow_entry* entry, int verdict, int reply) {
  if (!j || !entry) return SL_DROP_RULESET_MISSING;
  const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  j->reply = reply;
  j->is_known = 1;
  j->flow_slot = j->slot;
  j->from_endpoint = sender->endpoint;
  j->to_endpoint = receiver->endpoint;
  j->to_ifindex = receiver->ifindex;
  j->audit = !!(SL_READ_ONCE(entry->flags) & SL_CT_AUDIT);
  if (reply && !(SL_READ_ONCE(entry->flags) & SL_CT_SEEN_REPLY)) sl_count_sender_here(j);
  int quarantined = sl_is_quarantined(j);
  sl_note_quarantine(entry, quarantined);
  int reason = quarantined ? SL_DROP_QUARANTINED : verdict;
  if (reason) {
    SL_WRITE_ONCE(entry->last_seen_ns, j->now);
    sl_report(j, entry, reply);
    return reason;
  }
  if (j->hook == SL_HOOK_TC_TO_POD && reply && (SL_READ_ONCE(entry->flags) & SL_CT_TRANSLATED))
    j->answer_of = entry->service;
  sl_note_path(j, entry, reply);
  j->may_pass_host = !j->packet.fragment && sl_may_pass_host(j, entry, SL_READ_ONCE(entry->flags),
                                                             j->packet.tuple.protocol, j->packet.tcp_flags, reply);
  /* Each hook moves the state: between two hooks, address translation may have made the packet another flow's. */
  if (!sl_is_counted(j, entry, reply)) sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  const __u32 flags = sl_flow_move(entry, &j->packet, reply);
  sl_report(j, entry, reply);
  if (!sl_flow_settle(&j->key, j->slot, sl_flow_state_of(flags))) sl_count_event(SL_COUNTER_CT_PROMOTE_FAILED);
  return SL_DROP_NONE;
}

/*
 * Whether the packet is a SYN that begins a new connection because the old one is over. A responder's SYN also needs
 * policy to allow it (sl_evaluate_syn_against). Only the responder may reopen a revoked flow: the initiator's SYN would
 * be denied again, and without the revoked entry the responder's data would open the old connection anew.
 */
static __always_inline int sl_reopens(const struct sl_flow_entry* entry, const struct sl_packet* packet, int reply) {
  if (!sl_is_syn(packet)) return 0;
  if (entry->flags & SL_CT_REVOKED) return reply;
  return (entry->flags & SL_CT_RESET) || sl_has_both_fins(entry->flags);
}

#endif
