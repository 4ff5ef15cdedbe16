/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides ICMP errors: an error about a known, allowed flow passes to the end that sent the quoted packet. Any other
 * error is evaluated as a flow of its own.
 */
#ifndef SLUICE_VERDICT_RELATED_BPF_H
#define SLUICE_VERDICT_RELATED_BPF_H

#include "bpf/lib/redecide.bpf.h"
#include "bpf/lib/verdict_host_path.bpf.h"

static __always_inline int sl_is_related(struct sl_evaluation* j) {
  const struct sl_packet* packet = &j->packet;
  if (!packet->is_icmp_error) return 0;
  int src_hi = sl_flow_key_of(&packet->inner, &j->inner_key);
  j->slot = sl_flow_search(&j->inner_key, SL_FLOW_ALLOWED);
  struct sl_flow_entry* entry = sl_entry_at(j->slot);
  if (!entry || sl_flow_expired(entry, j->inner_key.protocol, j->now)) return 0;
  __u64 generation;
  int reason = sl_verdict_of(entry, &generation);
  if (generation < j->gen) {
    sl_keep_processes(&j->question, entry);
    reason = sl_redecide(j, &j->inner_key, entry, 0);
  }
  if (reason) return 0;
  int inner_is_reply = src_hi != !!(entry->flags & SL_CT_INITIATOR_HI);
  const struct sl_flow_end* target = inner_is_reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* other = inner_is_reply ? &entry->initiator : &entry->responder;
  /* Any router on the path may send an error. A pod may only send one about its own flow, from its own address. */
  if (j->hook == SL_HOOK_TC_FROM_POD && (other->ifindex != j->ifindex || !sl_has_own_mac(j, other->endpoint) ||
                                         !sl_is_same_addr(&packet->tuple.src, &packet->inner.dst)))
    return 0;
  if (!sl_is_same_addr(&packet->tuple.dst, &packet->inner.src)) return 0;
  if (j->hook == SL_HOOK_TC_TO_POD && target->ifindex != j->ifindex) return 0;
  if (j->hook != SL_HOOK_TC_FROM_POD) {
    sl_resolve(&packet->tuple.src, j->gen & 1, &j->question.source);
    if (sl_check_source(j, &j->question.source)) return 0;
  }
  j->from_endpoint = j->hook == SL_HOOK_TC_FROM_POD ? other->endpoint : 0;
  j->to_endpoint = target->endpoint;
  j->to_ifindex = target->ifindex;
  const __u32 is_translated = entry->flags & SL_CT_TRANSLATED;
  if (j->hook == SL_HOOK_TC_TO_POD && !inner_is_reply && is_translated) j->answer_of = entry->service;
  j->may_pass_host = sl_is_redirect_always(j) && entry->hook != SL_HOOK_TC_TO_POD && !is_translated;
  return 1;
}

#endif
