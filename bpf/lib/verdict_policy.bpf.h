/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides a packet of an unknown flow by policy: finds its ends, checks its source, and evaluates policy for the end
 * that opened the flow. This is the packet's sender or, if the packet is an answer, its receiver.
 */
#ifndef SLUICE_VERDICT_POLICY_BPF_H
#define SLUICE_VERDICT_POLICY_BPF_H

#include "bpf/lib/ends.bpf.h"
#include "bpf/lib/orientation.bpf.h"
#include "bpf/lib/verdict_quarantine.bpf.h"
#include "bpf/lib/verdict_service.bpf.h"

/* Reverses the question: the packet's other end opened the flow. */
static __always_inline void sl_reverse(struct sl_evaluation* j) {
  struct sl_policy_question* q = &j->question;
  const struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_address_value source = q->source;
  q->source = q->destination;
  q->destination = source;
  q->reversed = !q->reversed;
  q->service = sl_service(tuple->protocol, q->reversed ? tuple->src_port : tuple->dst_port);
  q->from_node = q->reversed ? 0 : j->from_node; /* the node only answers, it did not open the flow */
  q->source_class = q->reversed ? j->receiver.process_class : j->sender.process_class;
  q->destination_class = q->reversed ? j->sender.process_class : j->receiver.process_class;
  q->may_resolve_receiver = !q->reversed && !j->receiver.resolved;
}

/* Policy for a flow that the packet's receiver opened. A verdict that depends on the receiver's process needs its
 * socket first. */
static __always_inline int sl_decide_reversed(struct sl_evaluation* j) {
  sl_reverse(j);
  int reason = sl_decide(&j->question);
  if (reason && (j->question.by_process & SL_CT_BY_INITIATOR) && j->to_ifindex && !j->receiver.resolved)
    return SL_RESOLVE_RECEIVER;
  return reason;
}

/* Policy denied the datagram as a new flow. It passes as an answer if its receiver may open the flow and has a socket
 * that is connected to the sender. */
static __always_inline int sl_decide_as_answer(struct sl_evaluation* j) {
  if (j->to_ifindex && (!j->receiver.resolved || j->receiver.is_connected)) {
    int reason = sl_decide_reversed(j);
    if (!reason && !j->receiver.resolved) return SL_RESOLVE_RECEIVER;
    if (!reason || reason == SL_RESOLVE_RECEIVER) return reason;
    sl_reverse(j);
  }
  j->question.may_resolve_receiver = 0;
  return sl_decide(&j->question);
}

/* Policy allowed the datagram as a new flow. But where its receiver has a socket that is connected to the sender, it
 * answers: the flow is the receiver's, and policy may deny it what it allows the sender. */
static __always_inline int sl_decide_for_asker(struct sl_evaluation* j) {
  if (!j->to_ifindex) return SL_DROP_NONE;
  if (!j->receiver.resolved) return SL_RESOLVE_RECEIVER;
  return j->receiver.is_connected ? sl_decide_reversed(j) : SL_DROP_NONE;
}

/* Returns a drop reason or SL_RESOLVE_RECEIVER, and leaves the question as the flow was opened. */
static __always_inline int sl_decide_new(struct sl_evaluation* j) {
  enum sl_orientation orientation = sl_orientation_of(&j->packet);
  if (orientation == SL_UNSURE && j->from_node) orientation = SL_OPENS;
  if (orientation == SL_ANSWERS) return sl_decide_reversed(j);
  int reason = sl_decide(&j->question);
  if (sl_may_be_answer(&j->packet)) {
    if (!reason) return sl_decide_for_asker(j);
    if (reason == SL_DROP_POLICY_DENIED) return sl_decide_as_answer(j);
  }
  if (reason || orientation != SL_UNSURE) return reason;
  reason = sl_decide_reversed(j);
  if (reason || bpf_ntohs(j->packet.tuple.src_port) < bpf_ntohs(j->packet.tuple.dst_port)) return reason;
  sl_reverse(j);
  return sl_decide(&j->question);
}

/* Returns a drop reason or SL_RESOLVE_RECEIVER. Global, so that the verifier checks it once and not for each caller. */
__noinline int sl_evaluate_policy(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_policy_question* q = &j->question;
  const struct sl_tuple* tuple = &j->packet.tuple;
  __builtin_memset(q, 0, sizeof(*q));
  q->epoch = j->gen & 1;
  q->service = sl_service(tuple->protocol, tuple->dst_port);
  q->from_node = j->from_node;
  q->source_class = j->sender.process_class;
  sl_resolve(&tuple->dst, q->epoch, &q->destination);
  if (j->hook == SL_HOOK_XDP_UPLINK && !q->destination.ifindex) {
    j->not_local = 1;
    return SL_DROP_NONE;
  }
  /* A bridge flooded the packet or sent it to the wrong port. The receiver's own hook evaluates and reports it. */
  if (j->hook == SL_HOOK_TC_TO_POD && q->destination.workload && q->destination.ifindex != j->ifindex)
    return SL_DROP_WRONG_RECEIVER;
  sl_resolve(&tuple->src, q->epoch, &q->source);
  int reason = sl_check_source(j, &q->source);
  if (reason == SL_DROP_SPOOFED_SOURCE && j->hook == SL_HOOK_TC_FROM_POD) j->from_endpoint = q->source.endpoint;
  if (j->refused) reason = j->refused;
  /* At tc_to_pod the receiver is the interface's workload, also for broadcast and multicast. */
  if (!reason && j->hook == SL_HOOK_TC_TO_POD && q->destination.ifindex != j->ifindex)
    reason = sl_resolve_owner(j, &q->destination);
  if (reason) return reason;
  /* Hairpin: the workload's own packet, whose source the host has replaced on the way (kube-proxy's masquerading). The
   * flow then has the workload at both ends, so it may also send with the replaced address, to itself only. */
  if (j->hook == SL_HOOK_TC_TO_POD && j->from_ifindex == j->ifindex && !q->source.workload) q->source = q->destination;
  j->from_endpoint = q->source.endpoint;
  j->to_endpoint = q->destination.endpoint;
  j->to_ifindex = q->destination.ifindex;
  if (j->receiver.resolved != q->destination.ifindex) __builtin_memset(&j->receiver, 0, sizeof(j->receiver));
  q->destination_class = j->receiver.process_class;
  q->may_resolve_receiver = !j->receiver.resolved;
  if (sl_is_quarantined(j)) return SL_DROP_QUARANTINED;
  return sl_is_for_each_backend(j) ? SL_DROP_NONE : sl_decide_new(j);
}

/* The same, with the backends of a Service that others translate. Not one function, for the stack. */
static __always_inline int sl_evaluate_policy_and_service(const struct sl_evaluation* j) {
  const int reason = sl_evaluate_policy();
  return !reason && sl_is_for_each_backend(j) ? sl_decide_service() : reason;
}

#endif
