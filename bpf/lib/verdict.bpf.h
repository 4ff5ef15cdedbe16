/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * THE decision, for XDP and tc alike: packet -> flow -> verdict.
 *
 *   an end in quarantine                        drops, whatever else is true, unless the peer is on the allow list
 *   known flow, decided under this generation   its verdict
 *   known flow, older generation, or of another decide again as its initiator opened it; a denial cuts it
 *     process or socket than it was decided for
 *   ICMP error about a known, allowed flow      passes
 *   a SYN of a connection's responder           a new one: policy at both ends, which must allow it to change anything
 *   anything else                               a new flow: anti-spoofing, policy at both ends, one entry; opened by
 *                                               its sender or, where it is an answer, by the other end
 */
#ifndef SLUICE_VERDICT_BPF_H
#define SLUICE_VERDICT_BPF_H

#include "bpf/lib/conntrack.bpf.h"
#include "bpf/lib/denied_budget.bpf.h"
#include "bpf/lib/orientation.bpf.h"
#include "bpf/lib/redecide.bpf.h"

static __always_inline int sl_is_event_due(const struct sl_evaluation* j, const struct sl_flow_entry* entry) {
  const __u32 last = SL_READ_ONCE(entry->last_event);
  return (j->setting_flags & SL_SETTING_EVENTS) && (!last || sl_ticks(j->now) - last >= SL_FLOW_EVENT_INTERVAL);
}

static __always_inline void sl_report(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  const int begins = j->sender.begins && (j->setting_flags & SL_SETTING_EVENTS);
  if (!begins && !sl_is_event_due(j, entry)) return;
  SL_WRITE_ONCE(entry->last_event, sl_ticks(j->now));
  sl_send_event(&j->key, entry, sl_share_of(entry), j->ifindex,
                (begins ? SL_FLOW_NEW : SL_FLOW_UPDATE) | (reply ? SL_EVENT_OF_REPLY : 0));
}

/* At this hook a sender's socket may come along. */
static __always_inline int sl_is_sender_here(const struct sl_evaluation* j) {
  return j->hook == SL_HOOK_TC_FROM_POD || j->from_node;
}

static __always_inline __u32 sl_search_unless_absent(const struct sl_evaluation* j, __u32 state) {
  return j->known_absent ? SL_NO_SLOT : sl_flow_search(&j->key, state);
}

/* One packet more of a denied flow that has a record. */
static __always_inline void sl_account_denied_again(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  sl_note_sender(&j->sender, &j->key, entry, reply, j->now);
  sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  sl_report(j, entry, reply);
}

/* The record of a denied flow, where there is room for it or it takes the place of an older one. */
static __always_inline void sl_record_denied(struct sl_evaluation* j) {
  const int is_paid = !j->known_absent && sl_flow_forget(&j->key, SL_FLOW_DENIED);
  if ((!is_paid && sl_is_denied_budget_spent(j->now)) || !sl_flow_put(&j->key, &j->fresh, SL_FLOW_DENIED))
    sl_count_event(SL_COUNTER_DENIED_UNRECORDED);
  else if (!is_paid)
    sl_take_denied_token(j->now);
}

/* A new denied flow, or a packet more of one that policy was asked about again. */
static __always_inline void sl_account_denied(struct sl_evaluation* j) {
  struct sl_flow_entry* entry = sl_entry_at(sl_search_unless_absent(j, SL_FLOW_DENIED));
  if (entry && entry->generation == j->fresh.generation && entry->reason == j->fresh.reason &&
      entry->initiator.endpoint == j->fresh.initiator.endpoint && /* of others who forge the same address, too */
      !((entry->flags ^ j->fresh.flags) & SL_CT_INITIATOR_HI)) {
    sl_account_denied_again(j, entry, j->question.turned);
    return;
  }
  if (sl_is_sender_here(j)) sl_count_sender(&j->sender);
  sl_flow_begin(&j->fresh, &j->packet, &j->size, j->question.turned);
  sl_record_denied(j);
  if (j->setting_flags & SL_SETTING_EVENTS)
    sl_send_event(&j->key, &j->fresh, sl_share_of(&j->fresh), j->ifindex,
                  SL_FLOW_NEW | (j->question.turned ? SL_EVENT_OF_REPLY : 0));
}

static __always_inline int sl_is_quarantined(const struct sl_evaluation* j) {
  return sl_either_quarantined(&j->packet, j->from_endpoint, j->to_endpoint);
}

/* Notes in the flow whether quarantine stops it, and says so with this packet when that is new. */
static __always_inline void sl_note_quarantine(struct sl_flow_entry* entry, int quarantined) {
  if (quarantined == !!(SL_READ_ONCE(entry->flags) & SL_CT_QUARANTINED)) return;
  if (quarantined)
    __sync_fetch_and_or(&entry->flags, SL_CT_QUARANTINED);
  else
    __sync_fetch_and_and(&entry->flags, ~(__u32)SL_CT_QUARANTINED);
  SL_WRITE_ONCE(entry->last_event, 0);
}

/* Whether the flow has to be told what this hook saw of the host's path. */
static __always_inline int sl_is_path_news(const struct sl_evaluation* j, struct sl_flow_entry* entry, __u32 flags,
                                           int reply) {
  if (j->hook != SL_HOOK_TC_TO_POD) return !sl_is_counted_within(entry, reply, j->now, j->path_fresh);
  return !(flags & sl_path_bit(reply)) && sl_is_counted(j, entry, reply);
}

/* Only what might take a redirect itself vouches for the host's path: the host's rules look at the ports of a first
 * fragment alone, and at tags. */
static __always_inline void sl_note_path(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  if (!sl_is_path_news(j, entry, SL_READ_ONCE(entry->flags), reply)) return;
  if (j->hook != SL_HOOK_TC_TO_POD)
    sl_note_counted(entry, reply, j->now);
  else if (!j->packet.fragment && !j->packet.has_vlan)
    __sync_fetch_and_or(&entry->flags, sl_path_bit(reply));
}

static __always_inline int sl_is_redirect_always(const struct sl_evaluation* j) {
  const __u32 both = SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS;
  return (j->setting_flags & both) == both && j->hook != SL_HOOK_TC_TO_POD;
}

/* By what the flow says before this packet; `tcp_flags` are the packet's. */
static __always_inline int sl_may_pass_host(const struct sl_evaluation* j, const struct sl_flow_entry* entry,
                                            __u32 flags, __u8 protocol, __u8 tcp_flags, int reply) {
  if (!(j->setting_flags & SL_SETTING_REDIRECT) || j->hook == SL_HOOK_TC_TO_POD) return 0;
  /* A flow that began at tc_to_pod was translated before. */
  if (j->setting_flags & SL_SETTING_REDIRECT_ALWAYS) return entry->hook != SL_HOOK_TC_TO_POD;
  return sl_passes_host_unchanged(j->setting_flags, flags, j->hook == SL_HOOK_TC_FROM_POD, protocol, tcp_flags, reply);
}

/* A packet of a known flow, with the flow's verdict. One that quarantine stops changes nothing of the flow's state: it
 * goes on after a release. Not inlined, for the stack: 6.1 has 512 bytes for all functions on a way. */
static __noinline int sl_evaluate_known(struct sl_evaluation* j, struct sl_flow_entry* entry, int verdict, int reply) {
  const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  j->reply = reply;
  j->is_known = 1;
  j->from_endpoint = sender->endpoint;
  j->to_endpoint = receiver->endpoint;
  j->to_ifindex = receiver->ifindex;
  j->audit = !!(SL_READ_ONCE(entry->flags) & SL_CT_AUDIT);
  if (reply && !(SL_READ_ONCE(entry->flags) & SL_CT_SEEN_REPLY) && sl_is_sender_here(j)) sl_count_sender(&j->sender);
  int quarantined = sl_is_quarantined(j);
  sl_note_quarantine(entry, quarantined);
  int reason = quarantined ? SL_DROP_QUARANTINED : verdict;
  if (reason) {
    SL_WRITE_ONCE(entry->last_seen_ns, j->now);
    sl_report(j, entry, reply);
    return reason;
  }
  sl_note_path(j, entry, reply);
  j->may_pass_host = !j->packet.fragment && sl_may_pass_host(j, entry, SL_READ_ONCE(entry->flags),
                                                             j->packet.tuple.protocol, j->packet.tcp_flags, reply);
  /* The state moves at each hook: on its way the packet may have become another flow's, by translation. */
  if (!sl_is_counted(j, entry, reply)) sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  const __u32 flags = sl_flow_move(entry, &j->packet, reply);
  sl_report(j, entry, reply);
  if (!sl_flow_settle(&j->key, j->slot, sl_flow_state_of(flags))) sl_count_event(SL_COUNTER_CT_PROMOTE_FAILED);
  return SL_DROP_NONE;
}

/* The record of a denied flow is of the socket that it has, also TCP's: nothing was opened. */
static __always_inline int sl_is_denied_to_another(const struct sl_flow_entry* entry, __u64 socket) {
  return socket && SL_READ_ONCE(entry->initiator_socket) != socket;
}

/* A record says that policy denied the flow, under this generation and for any process. What answers belongs to the
 * other end's flow, whatever its sender was denied to open. */
static __always_inline int sl_is_denied_still(const struct sl_evaluation* j, struct sl_flow_entry* entry, int src_hi,
                                              enum sl_orientation orientation) {
  __u64 generation;
  const int reason = sl_verdict_of(entry, &generation);
  if (generation != j->gen || reason != SL_DROP_POLICY_DENIED || orientation == SL_ANSWERS) return 0;
  return !(entry->flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER)) && src_hi == !!(entry->flags & SL_CT_INITIATOR_HI);
}

/*
 * A flow whose record says that it is denied: again, without asking policy. Returns SL_DROP_NONE where that cannot be
 * said.
 */
static __always_inline int sl_evaluate_denied(struct sl_evaluation* j, int src_hi) {
  if (j->known_absent || j->from_node || j->packet.is_icmp_error) return SL_DROP_NONE;
  struct sl_flow_entry* entry = sl_entry_at(sl_flow_search(&j->key, SL_FLOW_DENIED));
  if (!entry || !sl_is_denied_still(j, entry, src_hi, sl_orientation_of(&j->packet))) return SL_DROP_NONE;
  if (!sl_at_its_interface(j, &entry->initiator, &entry->responder)) return SL_DROP_NONE;
  if (sl_either_quarantined(&j->packet, entry->initiator.endpoint, entry->responder.endpoint)) return SL_DROP_NONE;
  const int other_socket = sl_is_denied_to_another(entry, j->sender.socket);
  if (sl_must_ask(&j->sender, entry, 0, other_socket)) return SL_ASK_SENDER;
  if (other_socket && !sl_knows(&j->sender)) j->sender.stranger = 1;
  j->from_endpoint = entry->initiator.endpoint;
  j->to_endpoint = entry->responder.endpoint;
  sl_account_denied_again(j, entry, 0);
  return SL_DROP_POLICY_DENIED;
}

/*
 * A SYN begins a new connection where the old one is over; the responder's only when policy allows it
 * (sl_evaluate_syn_against). Where it is cut, only the responder may: the initiator's SYN would be denied again, and
 * with the cut gone the responder's data would open the old connection anew.
 */
static __always_inline int sl_reopens(const struct sl_flow_entry* entry, const struct sl_packet* packet, int reply) {
  if (!sl_is_syn(packet)) return 0;
  if (entry->flags & SL_CT_CUT) return reply;
  return (entry->flags & SL_CT_RESET) || sl_has_both_fins(entry->flags);
}

/* An ICMP error goes where the packet that it quotes came from; it passes when that packet's flow may. */
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
    sl_ask_as_before(&j->question, entry);
    reason = sl_redecide(j, &j->inner_key, entry, 0);
  }
  if (reason) return 0;
  int inner_is_reply = src_hi != !!(entry->flags & SL_CT_INITIATOR_HI);
  const struct sl_flow_end* target = inner_is_reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* other = inner_is_reply ? &entry->initiator : &entry->responder;
  /* Routers on the way may send it too, but a pod only about its own flows and from its own address. */
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
  j->may_pass_host = sl_is_redirect_always(j) && entry->hook != SL_HOOK_TC_TO_POD;
  return 1;
}

/* Asks for the flow as its other end would have opened it. The processes are those that are known. */
static __always_inline void sl_turn(struct sl_evaluation* j) {
  struct sl_policy_question* q = &j->question;
  const struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_address_value source = q->source;
  q->source = q->destination;
  q->destination = source;
  q->turned = !q->turned;
  q->service = sl_service(tuple->protocol, q->turned ? tuple->src_port : tuple->dst_port);
  q->from_node = q->turned ? 0 : j->from_node; /* what the node answers is not what it opens */
  q->source_class = q->turned ? j->receiver.process_class : j->sender.process_class;
  q->destination_class = q->turned ? j->sender.process_class : j->receiver.process_class;
  q->may_ask_receiver = !q->turned && !j->receiver.asked;
}

/* As opened by the packet's receiver, whose process its socket tells where the verdict hangs on it. */
static __always_inline int sl_decide_turned(struct sl_evaluation* j) {
  sl_turn(j);
  int reason = sl_decide(&j->question);
  if (reason && (j->question.by_process & SL_CT_BY_INITIATOR) && j->to_ifindex && !j->receiver.asked)
    return SL_ASK_RECEIVER;
  return reason;
}

/* A datagram that policy denies passes where it answers what its receiver may ask, and that has connected its socket to
 * the sender. */
static __always_inline int sl_decide_as_answer(struct sl_evaluation* j) {
  if (j->to_ifindex && (!j->receiver.asked || j->receiver.is_connected)) {
    int reason = sl_decide_turned(j);
    if (!reason && !j->receiver.asked) return SL_ASK_RECEIVER;
    if (!reason || reason == SL_ASK_RECEIVER) return reason;
    sl_turn(j);
  }
  j->question.may_ask_receiver = 0;
  return sl_decide(&j->question);
}

/* Policy's answer, with the question as the flow was opened. A drop reason, or SL_ASK_RECEIVER. */
static __always_inline int sl_decide_new(struct sl_evaluation* j) {
  enum sl_orientation orientation = sl_orientation_of(&j->packet);
  if (orientation == SL_UNSURE && j->from_node) orientation = SL_OPENS;
  if (orientation == SL_ANSWERS) return sl_decide_turned(j);
  int reason = sl_decide(&j->question);
  if (reason == SL_DROP_POLICY_DENIED && sl_may_be_answer(&j->packet)) return sl_decide_as_answer(j);
  if (reason || orientation != SL_UNSURE) return reason;
  reason = sl_decide_turned(j);
  if (reason || bpf_ntohs(j->packet.tuple.src_port) < bpf_ntohs(j->packet.tuple.dst_port)) return reason;
  sl_turn(j);
  return sl_decide(&j->question);
}

/* Who the packet is from and to, and what policy says of it as part of a flow that nobody knows. A drop reason, or
 * SL_ASK_RECEIVER. Global, so that the verifier checks it once; so is sl_deny_new. */
__noinline int sl_ask_policy(void) {
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
    j->not_ours = 1;
    return SL_DROP_NONE;
  }
  /* Flooded, or drawn to somebody else. It is evaluated where it belongs, and that is where its flow is told of. */
  if (j->hook == SL_HOOK_TC_TO_POD && q->destination.workload && q->destination.ifindex != j->ifindex)
    return SL_DROP_WRONG_RECEIVER;
  sl_resolve(&tuple->src, q->epoch, &q->source);
  int reason = sl_check_source(j, &q->source);
  if (reason == SL_DROP_SPOOFED_SOURCE && j->hook == SL_HOOK_TC_FROM_POD) j->from_endpoint = q->source.endpoint;
  if (j->refused) reason = j->refused;
  /* The receiver is who is behind the interface, also of broadcast and multicast. */
  if (!reason && j->hook == SL_HOOK_TC_TO_POD && q->destination.ifindex != j->ifindex)
    reason = sl_resolve_owner(j, &q->destination);
  if (reason) return reason;
  j->from_endpoint = q->source.endpoint;
  j->to_endpoint = q->destination.endpoint;
  j->to_ifindex = q->destination.ifindex;
  if (j->receiver.asked != q->destination.ifindex) __builtin_memset(&j->receiver, 0, sizeof(j->receiver));
  q->destination_class = j->receiver.process_class;
  q->may_ask_receiver = !j->receiver.asked;
  return sl_is_quarantined(j) ? SL_DROP_QUARANTINED : sl_decide_new(j);
}

/* The entry of a flow that begins with this packet, as policy answered. */
static __always_inline void sl_fill_fresh(struct sl_evaluation* j, int src_hi, int reason) {
  const struct sl_packet* packet = &j->packet;
  const struct sl_policy_question* q = &j->question;
  struct sl_flow_entry* fresh = &j->fresh;
  __builtin_memset(fresh, 0, sizeof(*fresh));
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
  fresh->flags = (src_hi != !!q->turned ? SL_CT_INITIATOR_HI : 0) | (q->from_node ? SL_CT_FROM_NODE : 0) |
                 (q->audit ? SL_CT_AUDIT : 0) | q->by_process;
  sl_note_initiator(&j->sender, fresh);
  sl_note_receiver(&j->receiver, fresh);
  if (q->turned) sl_turn_processes(fresh);
  fresh->reason = reason;
  fresh->hook = j->hook;
  if (j->hook != SL_HOOK_TC_TO_POD) *sl_counted_of(fresh, q->turned) = sl_counted_now(j->now);
  fresh->tcp_flags = packet->tcp_flags;
  fresh->icmp_type = packet->icmp_type;
  fresh->icmp_code = packet->icmp_code;
}

/* Whether that is a denial, of a flow that belongs to this hook. */
static __always_inline int sl_is_told_here(int reason) { return reason > 0 && reason != SL_DROP_WRONG_RECEIVER; }

__noinline int sl_deny_new(int src_hi, int reason) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  sl_fill_fresh(j, src_hi, reason);
  sl_account_denied(j);
  return reason;
}

/* A part of sl_evaluate, as the next: global, so that each has a stack of its own and is checked once. */
__noinline int sl_evaluate_new(int src_hi) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_flow_entry* fresh = &j->fresh;
  int reason = sl_ask_policy();
  if ((reason && !sl_is_told_here(reason)) || j->not_ours) return reason;
  if (reason) return sl_deny_new(src_hi, reason);
  sl_fill_fresh(j, src_hi, SL_DROP_NONE);
  j->audit = j->question.audit;
  j->may_pass_host = sl_is_redirect_always(j);
  const int reply = j->question.turned;
  sl_flow_begin(fresh, &j->packet, &j->size, reply);
  if (!j->known_absent) { /* it replaces its record, and who went the same way to somebody else */
    sl_flow_forget(&j->key, SL_FLOW_DENIED);
    sl_flow_forget(&j->key, SL_FLOW_PENDING);
  }
  if (!sl_flow_put(&j->key, fresh, SL_FLOW_PENDING)) {
    sl_count_event(SL_COUNTER_CT_INSERT_FAILED);
    return SL_DROP_CONNTRACK_FULL;
  }
  sl_count_event(SL_COUNTER_FLOW_NEW);
  if (sl_is_sender_here(j)) sl_count_sender(&j->sender);
  if (j->setting_flags & SL_SETTING_EVENTS)
    sl_send_event(&j->key, fresh, sl_share_of(fresh), j->ifindex, SL_FLOW_NEW | (reply ? SL_EVENT_OF_REPLY : 0));
  return SL_DROP_NONE;
}

/* Whose this CPU's packet is as a fragment; of multicast, whoever is behind the interface. 0: nobody's here. Notes the
 * hash of what its fragments have in common. Global, so that it is there once. */
__noinline __u32 sl_know_fragment(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  struct sl_address_value* who = &j->question.destination; /* is not asked yet, or was answered */
  j->fragment_hash = sl_fragment_hash(&j->packet, &j->fragment_key);
  const __u32 owner = sl_fragment_owner(&j->packet.tuple, j->gen & 1);
  if (owner || j->hook != SL_HOOK_TC_TO_POD) return owner;
  return sl_resolve_owner(j, who) ? 0 : who->endpoint;
}

/*
 * A first fragment leaves its ports for the later ones. Also when policy denies it, so that they are denied for the
 * same reason; but not in the name of somebody else. Not inline, for the stack; so is the next.
 */
static __noinline int sl_remember_fragment(const struct sl_evaluation* j, int reason) {
  const struct sl_packet* packet = &j->packet;
  if (packet->fragment != SL_FRAGMENT_FIRST || j->not_ours) return 0;
  if (reason == SL_DROP_SPOOFED_SOURCE || reason == SL_DROP_UNKNOWN_ENDPOINT || reason == SL_DROP_WRONG_RECEIVER)
    return 0;
  const struct sl_fragment_value ports = {.src_port = packet->tuple.src_port,
                                          .dst_port = packet->tuple.dst_port,
                                          .protocol = packet->tuple.protocol,
                                          .icmp_type = packet->icmp_type,
                                          .icmp_code = packet->icmp_code,
                                          .time = sl_fragment_time(j->now)};
  const __u32 owner = sl_know_fragment();
  sl_put_fragment(owner, j->fragment_hash, &ports);
  return 0;
}

/* A later fragment takes its ports from the first one. */
static __noinline int sl_follow_fragment(struct sl_evaluation* j) {
  struct sl_packet* packet = &j->packet;
  if (packet->fragment != SL_FRAGMENT_LATER) return SL_DROP_NONE;
  const __u32 owner = sl_know_fragment();
  struct sl_fragment_value first;
  if (!sl_get_fragment(owner, j->fragment_hash, j->now, &first)) return SL_DROP_FRAGMENT_NOT_FOUND;
  packet->tuple.src_port = first.src_port;
  packet->tuple.dst_port = first.dst_port;
  packet->tuple.protocol = first.protocol;
  packet->icmp_type = first.icmp_type;
  packet->icmp_code = first.icmp_code;
  packet->tuple.icmp_answer = sl_is_icmp_answer(first.protocol, first.icmp_type);
  return SL_DROP_NONE;
}

/*
 * At tc_to_pod, a packet for a group or a broadcast address is a flow of this receiver, beside those of the others and
 * that of its sender with the group: each is decided for its own ends.
 */
static __noinline int sl_name_receiver(struct sl_evaluation* j) {
  const struct sl_addr* to = &j->packet.tuple.dst;
  const int is_group = sl_is_mapped_ipv4(to) ? to->bytes[12] >= 224 : sl_is_multicast6(to);
  struct sl_address_value* who = &j->question.destination; /* is not asked yet, or will be anew */
  if (!is_group && !j->packet.to_group) return 0;
  if (sl_resolve(to, j->gen & 1, who) || sl_resolve_owner(j, who)) return 0;
  j->key.receiver = who->endpoint;
  j->known_absent = 0; /* that was asked of another key */
  return 0;
}

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
  if (j->hook == SL_HOOK_TC_TO_POD) sl_name_receiver(j);
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
      if (generation < j->gen) verdict = sl_redecide_for(j, entry, reply, 0);
      if (!sl_flow_stands(key, j->slot)) verdict = SL_FLOW_OVER; /* evicted, and perhaps another's meanwhile */
      if (verdict >= 0 && sl_at_its_interface(j, sender, receiver)) {
        const int other_socket = sl_is_of_other_socket(j, entry, reply);
        if (sl_must_ask(&j->sender, entry, reply, other_socket)) return SL_ASK_SENDER;
        if (sl_must_ask_receiver(j, receiver, entry, reply)) return SL_ASK_RECEIVER;
        if (sl_note_processes(j, entry, reply, other_socket))
          verdict = SL_FLOW_STALE;
        else if (entry->flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER))
          verdict = sl_verdict_for(j, entry, reply);
        if (verdict == SL_FLOW_STALE) verdict = sl_redecide_for(j, entry, reply, 1);
        if (!verdict && reply && !j->syn_allowed && sl_is_syn(packet)) goto syn_against;
        if (verdict >= 0) return sl_evaluate_known(j, entry, verdict, reply);
      }
      if (verdict == SL_ASK_RECEIVER) return verdict;
      over = verdict == SL_FLOW_OVER;
    }
  }
  if (!entry && (reason = sl_evaluate_denied(j, src_hi))) return reason;
  /* Where quarantine stops it, it is a new flow's packet, with a record of its own. */
  if (sl_is_related(j) && !sl_is_quarantined(j)) return SL_DROP_NONE;
  if (j->sender.has_socket && !j->sender.asked) return SL_ASK_SENDER;
  /* A stranger's packet must not end somebody's flow: only one that is over makes room. */
  if (over) sl_flow_forget_at(key, j->over_slot, SL_FLOW_ALLOWED, j->over_incarnation);
new_flow:
  return src_hi ? SL_NEW_FLOW_FROM_HI : SL_NEW_FLOW;
syn_against:
  if (j->sender.has_socket && !j->sender.asked) return SL_ASK_SENDER;
  return src_hi ? SL_SYN_AGAINST_FROM_HI : SL_SYN_AGAINST;
}

/*
 * A SYN from the responder of a connection opens one of its own, which policy has to allow. Denied, it changes nothing
 * of the known one, which may be alive whatever its flags say: a RST or a FIN may be spoofed as well as the SYN.
 * Allowed, it begins a new flow where the old one is over; else it belongs to the live one, as in a simultaneous open.
 */
static __always_inline int sl_evaluate_syn_against(struct sl_evaluation* j, int src_hi) {
  int reason = sl_ask_policy();
  if (reason) return sl_is_told_here(reason) ? sl_deny_new(src_hi, reason) : reason;
  j->syn_allowed = 1;
  return sl_evaluate_known_flow();
}

/*
 * The one decision, on this CPU's evaluation. Returns SL_DROP_NONE (forward), the one reason to drop, or SL_ASK_*.
 * Global, so that the verifier checks it once and not on every path that leads here.
 */
__noinline int sl_evaluate(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  int reason = sl_evaluate_known_flow();
  if (reason == SL_SYN_AGAINST || reason == SL_SYN_AGAINST_FROM_HI)
    reason = sl_evaluate_syn_against(j, reason == SL_SYN_AGAINST_FROM_HI);
  if (reason <= SL_NEW_FLOW) reason = sl_evaluate_new(reason == SL_NEW_FLOW_FROM_HI);
  if (reason != SL_ASK_SENDER) sl_remember_fragment(j, reason);
  return reason;
}

/* The working memory, reset for one packet of `hook`; its `packet` is for who parses it. */
static __always_inline struct sl_evaluation* sl_begin(__u32 hook, __u32 ifindex) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  j->hook = hook;
  j->ifindex = ifindex;
  const struct sl_settings* agent = sl_settings_in_force();
  if (!agent) return 0;
  j->setting_flags = agent->flags;
  j->path_fresh = agent->path_fresh;
  j->from_node = j->known_absent = j->asks_receiver = j->may_route = j->syn_allowed = 0;
  j->from_ifindex = j->refused = 0;
  __builtin_memset(&j->sender, 0, sizeof(j->sender));
  __builtin_memset(&j->receiver, 0, sizeof(j->receiver));
  j->sender.found = SL_COUNTER_SENDER_NO_SOCKET - SL_COUNTER_SENDER_FOUND;
  j->to_ifindex = j->from_endpoint = j->to_endpoint = 0;
  j->reply = j->is_known = j->audit = j->not_ours = j->may_pass_host = 0;
  return j;
}

#endif
