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

#include "bpf/lib/attribution.bpf.h"
#include "bpf/lib/conntrack.bpf.h"
#include "bpf/lib/denied_budget.bpf.h"
#include "bpf/lib/fragments.bpf.h"
#include "bpf/lib/host_path.bpf.h"
#include "bpf/lib/orientation.bpf.h"
#include "bpf/lib/parse_plain.bpf.h"
#include "bpf/lib/policy.bpf.h"
#include "bpf/lib/quarantine.bpf.h"

/* One packet's working memory: what a hook knows about it, and what it is told. Per CPU: it would not fit the stack. */
struct sl_judgement {
  struct sl_packet packet;
  struct sl_flow_key key;
  struct sl_flow_key inner_key;
  struct sl_flow_entry fresh;
  struct sl_plain plain; /* xdp_uplink: the packet, where it is plain */
  struct sl_policy_question question;
  struct bpf_fib_lookup fib;
  struct sl_flow_route way;
  __u64 gen;
  __u64 now;
  __u64 fragment_hash; /* of sl_know_fragment */
  struct sl_fragment_key fragment_key;
  /* in */
  __u32 hook;          /* enum sl_hook */
  __u32 ifindex;       /* the hook's interface */
  __u32 setting_flags; /* SL_SETTING_* */
  __u32 path_fresh;    /* as in sl_settings */
  __u8 from_node;      /* tc_to_pod: a socket of the node's own sent it */
  __u8 known_absent;   /* not in the flow table, by sl_judge_plain */
  __u8 syn_allowed;    /* against a live connection, by sl_judge_syn_against */
  __u8 asks_receiver;  /* sl_judge_plain found that it has to be asked who is behind to_ifindex */
  __u8 may_route;      /* the packet may take the short cut as a router sends it on: sl_is_for_router */
  __u32 way_seen;      /* of sl_flow_see */
  __u32 place;         /* in the flow table, of the flow that is looked at */
  __u32 route_length;  /* what has to fit the route's MTU; 0: a GSO packet, which is cut to fit */
  __u32 from_ifindex;  /* tc_to_pod: where it came in; 0: elsewhere, or the node made it (perhaps of others' packets) */
  __u32 refused;       /* link control: why it is dropped, before policy is asked */
  __u8 source_mac[8];  /* tc_from_pod: of the frame, and two bytes more */
  struct sl_size size;
  struct sl_sender sender;
  struct sl_receiver receiver;
  /* out */
  __u32 to_ifindex;    /* host end of the local receiver's veth; 0: not local */
  __u32 from_endpoint; /* of the sender; 0: not local */
  __u32 to_endpoint;   /* of the receiver; 0: not local */
  __u32 reply;         /* of a known flow: from its responder */
  __u32 is_known;      /* of a flow that was known before this packet */
  __u32 audit;         /* forwarded, but a policy in audit would have denied it */
  __u32 not_ours;      /* xdp_uplink: for no local workload; passes untouched */
  __u32 may_pass_host; /* it may go past the host's path, where a short cut leads to its receiver */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct sl_judgement);
} judgements SEC(".maps");

static __always_inline __u64 sl_generation(void) {
  __u32 zero = 0;
  const __u64* value = bpf_map_lookup_elem(&generation, &zero);
  return value ? SL_READ_ONCE(*value) : 0;
}

static __always_inline void sl_end_of(struct sl_flow_end* end, const struct sl_address_value* who) {
  end->identity = who->identity;
  end->workload = who->workload;
  end->endpoint = who->endpoint;
  end->ifindex = who->ifindex;
}

/* Whether the frame has the workload's MAC address. Without this a pod's frames would teach a bridge that others'
 * addresses are behind its port. */
static __always_inline int sl_has_own_mac(const struct sl_judgement* j, __u32 endpoint) {
  const struct sl_endpoint_mac* own = bpf_map_lookup_elem(&endpoint_macs, &endpoint);
  if (!own) return 0;
  return sl_is_same_mac(own->mac, j->source_mac) || (!sl_load_be32(own->mac) && !sl_load_be16(own->mac + 4));
}

/* Not inlined: asked where a packet came neither by the interface of the workload that has its source, nor from the
 * node. Through a bridge or a VRF it came as a router sends it on: its own hook has seen it at the port. */
static __noinline int sl_is_in(__u32 ifindex, __u32 master) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface && interface->master == master;
}

/* tc_to_pod: whether what has a local workload's source address came by that workload's interface. */
static __always_inline int sl_came_by(const struct sl_judgement* j, __u32 ifindex) {
  return j->from_ifindex == ifindex || (j->from_ifindex && sl_is_in(ifindex, j->from_ifindex));
}

/* The packet must have come from, or go to, the interface its flow belongs to. Of a known flow, what the node made (a
 * fragment of what it put together) passes: it does not say where that came in. */
static __always_inline int sl_at_its_interface(const struct sl_judgement* j, const struct sl_flow_end* sender,
                                               const struct sl_flow_end* receiver) {
  if (j->hook == SL_HOOK_TC_FROM_POD) return sender->ifindex == j->ifindex && sl_has_own_mac(j, sender->endpoint);
  if (j->hook == SL_HOOK_TC_TO_POD)
    return receiver->ifindex == j->ifindex && (!sender->ifindex || !j->from_ifindex || sl_came_by(j, sender->ifindex));
  return receiver->ifindex && !sender->ifindex && sender->identity >> SL_IDENTITY_KIND_SHIFT != SL_KIND_NODE;
}

/* Whether `to_ifindex` is the host end of another local pod's veth. */
static __always_inline int sl_is_other_pod(const struct sl_judgement* j, __u32 to_ifindex) {
  return to_ifindex && to_ifindex != j->ifindex;
}

/* Who is behind an interface; null: it is none of a workload's. */
static __always_inline const struct sl_addr* sl_owner_of(__u32 ifindex) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface ? &interface->address : 0;
}

/*
 * Who is at an end of a known flow now. A workload that took part in it by an address that nobody has (a virtual one,
 * multicast) is still who is behind its interface.
 */
static __always_inline void sl_resolve_end(const struct sl_addr* addr, const struct sl_flow_end* end, __u32 slot,
                                           struct sl_address_value* who) {
  sl_resolve(addr, slot, who);
  if (who->workload || !end->ifindex || who->identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE) return;
  const struct sl_addr* owner = sl_owner_of(end->ifindex);
  struct sl_address_value owner_is;
  if (!owner || !sl_resolve(owner, slot, &owner_is)) return;
  if (owner_is.ifindex == end->ifindex && owner_is.workload == end->workload) *who = owner_is;
}

/* Whether the end is who it was, as far as both are known: a workload that is heard of only now, or no more, is no
 * other one. */
static __always_inline int sl_is_same_end(const struct sl_flow_end* end, const struct sl_address_value* who) {
  if (!end->workload || !who->workload) return 1;
  return end->workload == who->workload && (!end->endpoint || !who->endpoint || end->endpoint == who->endpoint);
}

/* The last workload stays known: one that comes after it at this address is another one. */
static __always_inline void sl_renew_end(struct sl_flow_end* end, const struct sl_address_value* who) {
  const __u32 workload = who->workload ?: end->workload;
  sl_end_of(end, who);
  end->workload = workload;
}

#define SL_FLOW_OVER (-3) /* as a drop reason: an end belongs to somebody else now, start clean */

/* Writes a known flow's new verdict down, where it still stands; one CPU at a time. A packet whose CPU comes second has
 * its own verdict, and lets a later one write. */
static __always_inline void sl_record(struct sl_judgement* j, const struct sl_flow_key* key,
                                      struct sl_flow_entry* entry, int reason, int keep) {
  const struct sl_policy_question* q = &j->question;
  const __u32 held = sl_flow_hold(key, j->place);
  __u32 state = held & SL_FLOW_STATE_MASK;
  if (!held) {
    if (sl_flow_stands(key, j->place)) __sync_fetch_and_or(&entry->flags, SL_CT_ASK_INITIATOR | SL_CT_ASK_RESPONDER);
    return;
  }
  if (SL_READ_ONCE(entry->generation) <= j->gen) {
    sl_renew_end(&entry->initiator, &q->source);
    sl_renew_end(&entry->responder, &q->destination);
    if (!keep) {
      if (entry->reason != reason) {
        SL_WRITE_ONCE(entry->last_event, 0); /* say so with this packet */
        if (reason) sl_count_event(SL_COUNTER_FLOW_CUT);
      }
      /* Of neither socket while the verdict is written: who compares then is judged by himself. */
      if (entry->initiator_socket != q->source_socket) SL_WRITE_ONCE(entry->initiator_socket, SL_SOCKET_CHANGES);
      if (entry->responder_socket != q->destination_socket) SL_WRITE_ONCE(entry->responder_socket, SL_SOCKET_CHANGES);
      sl_memory_barrier(&entry->flags);
      SL_WRITE_ONCE(entry->initiator_class, q->source_class);
      SL_WRITE_ONCE(entry->responder_class, q->destination_class);
      entry->egress_decision = q->egress_decision;
      entry->ingress_decision = q->ingress_decision;
      SL_WRITE_ONCE(entry->reason, reason);
      if (reason) state = SL_FLOW_CLOSING;
      __u32 flags = (reason ? SL_CT_CUT : 0) | (q->audit ? SL_CT_AUDIT : 0) | q->by_process;
      __sync_fetch_and_and(&entry->flags, ~(__u32)(SL_CT_CUT | SL_CT_AUDIT | SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER));
      if (flags) __sync_fetch_and_or(&entry->flags, flags);
      sl_memory_barrier(&entry->flags);
      SL_WRITE_ONCE(entry->initiator_socket, q->source_socket);
      SL_WRITE_ONCE(entry->responder_socket, q->destination_socket);
    }
    sl_memory_barrier(&entry->flags);
    SL_WRITE_ONCE(entry->generation, j->gen); /* last: who sees it sees the verdict too */
  }
  sl_flow_release(j->place, (held & ~(__u32)SL_FLOW_STATE_MASK) | state);
}

/* A flow's verdict, after the generation that it was decided under: who reads them the other way round may take an old
 * verdict for a new one. */
static __always_inline int sl_verdict_of(struct sl_flow_entry* entry, __u64* generation) {
  *generation = SL_READ_ONCE(entry->generation);
  sl_memory_barrier(&entry->flags);
  return SL_READ_ONCE(entry->reason);
}

/*
 * Decides a known flow again: under this generation, or for another process. The question says for which processes.
 * Returns the drop reason for this packet, SL_ASK_RECEIVER or SL_FLOW_OVER.
 */
static __noinline int sl_redecide(struct sl_judgement* j, const struct sl_flow_key* key, struct sl_flow_entry* entry,
                                  int other_process) {
  struct sl_policy_question* q = &j->question;
  int hi = entry->flags & SL_CT_INITIATOR_HI;
  q->slot = j->gen & 1;
  sl_resolve_end(hi ? &key->hi : &key->lo, &entry->initiator, q->slot, &q->source);
  sl_resolve_end(hi ? &key->lo : &key->hi, &entry->responder, q->slot, &q->destination);
  if (!sl_is_same_end(&entry->initiator, &q->source) || !sl_is_same_end(&entry->responder, &q->destination))
    return SL_FLOW_OVER;
  q->service = sl_service(key->protocol, hi ? key->lo_port : key->hi_port);
  q->from_node = entry->flags & SL_CT_FROM_NODE;
  j->to_ifindex = q->destination.ifindex;
  int reason = sl_decide(q);
  if (reason == SL_ASK_RECEIVER) return reason;
  sl_count_event(SL_COUNTER_FLOW_REDECIDED);
  int keep = reason && !other_process && (j->setting_flags & SL_SETTING_KEEP_ESTABLISHED) &&
             !(entry->flags & SL_CT_CUT) && (entry->flags & SL_CT_SEEN_REPLY);
  if (keep) reason = entry->reason;
  sl_record(j, key, entry, reason, keep);
  return reason;
}

/* The processes that the flow was decided for. */
static __always_inline void sl_ask_as_before(struct sl_policy_question* q, const struct sl_flow_entry* entry) {
  q->source_class = entry->initiator_class;
  q->source_socket = entry->initiator_socket;
  q->destination_class = entry->responder_class;
  q->destination_socket = entry->responder_socket;
  q->may_ask_receiver = 0;
}

/* The process at one end is this one. */
static __always_inline void sl_ask_for(struct sl_policy_question* q, int responder, sl_process_class_number class,
                                       __u64 socket) {
  if (responder) {
    q->destination_class = class;
    q->destination_socket = socket;
  } else {
    q->source_class = class;
    q->source_socket = socket;
  }
}

/* sl_redecide for a packet of the flow itself. The receiver's socket is asked only by packets that go there. */
static __always_inline int sl_redecide_for(struct sl_judgement* j, struct sl_flow_entry* entry, int reply,
                                           int other_process) {
  struct sl_policy_question* q = &j->question;
  const struct sl_receiver* receiver = &j->receiver;
  sl_ask_as_before(q, entry);
  if (sl_knows(&j->sender)) sl_ask_for(q, reply, j->sender.process_class, j->sender.socket);
  if (!reply && !q->destination_class) sl_note_receiver(receiver, entry);
  if (receiver->found &&
      (sl_hangs_on_receiver(entry->flags, reply, j->key.protocol) || (!reply && !q->destination_class)))
    sl_ask_for(q, !reply, receiver->process_class, receiver->socket);
  q->may_ask_receiver = !reply && !q->destination_class && !receiver->asked;
  return sl_redecide(j, &j->key, entry, other_process);
}

/* At the hook where a pod's sockets come along. */
static __always_inline int sl_is_of_other_socket(const struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  if (j->hook != SL_HOOK_TC_FROM_POD || !(entry->flags & sl_by_bit(reply))) return 0;
  return sl_is_other_socket(entry, reply, j->key.protocol, j->sender.socket);
}

/* The last hook on the packet's way to the pod; XDP cannot ask sockets. */
static __always_inline int sl_asks_receiver_here(const struct sl_judgement* j) {
  return j->hook == SL_HOOK_TC_TO_POD || (j->hook == SL_HOOK_TC_FROM_POD && j->setting_flags & SL_SETTING_REDIRECT);
}

/* An earlier hook takes an allowed flow for allowed, and leaves the way to the last one; a denied one is asked for
 * where that can be, as it may be another's by now. */
static __always_inline int sl_must_ask_receiver(struct sl_judgement* j, const struct sl_flow_end* receiver,
                                                const struct sl_flow_entry* entry, int reply) {
  if (!sl_hangs_on_receiver(entry->flags, reply, j->key.protocol)) return 0;
  j->to_ifindex = receiver->ifindex;
  if (!sl_asks_receiver_here(j)) {
    j->may_route = 0;
    if (entry->reason == SL_DROP_NONE) return 0;
  }
  return j->receiver.asked != receiver->ifindex;
}

/* What is known now of the processes behind this packet, into its flow. 1: the flow has to be decided for them. */
static __always_inline int sl_note_processes(struct sl_judgement* j, struct sl_flow_entry* entry, int reply,
                                             int other_socket) {
  if (other_socket) sl_note_stranger(&j->sender, j->key.protocol);
  const int sender = sl_note_sender(&j->sender, &j->key, entry, reply, j->now);
  if (!sl_hangs_on_receiver(entry->flags, reply, j->key.protocol)) return sender;
  return sl_note_other_receiver(&j->receiver, &j->key, entry, reply, j->now) | sender;
}

/* Whether the flow is still decided for who is behind this packet. */
static __always_inline int sl_is_decided_for(const struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  const __u32 flags = SL_READ_ONCE(entry->flags);
  if (sl_is_of_other_socket(j, entry, reply)) return 0;
  if ((flags & sl_by_bit(reply)) && sl_knows(&j->sender) && !j->sender.inherited &&
      sl_is_another_sender(&j->sender, entry, reply))
    return 0;
  return !sl_hangs_on_receiver(flags, reply, j->key.protocol) || !sl_is_another_receiver(&j->receiver, entry, reply);
}

/*
 * The verdict for who is behind this packet, who was just found to be the one that the flow was decided for. Another
 * CPU may write another one's since: so it counts only when it was read between two such looks. Not inlined, for the
 * stack.
 */
static __noinline int sl_verdict_for(struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  __u64 generation;
  sl_memory_barrier(&entry->flags);
  const int verdict = sl_verdict_of(entry, &generation);
  sl_memory_barrier(&entry->flags);
  if (generation >= j->gen && sl_is_decided_for(j, entry, reply)) return verdict;
  return sl_redecide_for(j, entry, reply, 1);
}

static __always_inline int sl_is_event_due(const struct sl_judgement* j, const struct sl_flow_entry* entry) {
  const __u32 last = SL_READ_ONCE(entry->last_event);
  return (j->setting_flags & SL_SETTING_EVENTS) && (!last || sl_ticks(j->now) - last >= SL_FLOW_EVENT_INTERVAL);
}

/* Who is behind the hook's interface by this generation; UNKNOWN_ENDPOINT until somebody is. */
static __always_inline int sl_resolve_owner(const struct sl_judgement* j, struct sl_address_value* who) {
  const struct sl_addr* owner = sl_owner_of(j->ifindex);
  if (!owner) return SL_DROP_UNKNOWN_ENDPOINT;
  sl_resolve(owner, j->gen & 1, who);
  return who->ifindex == j->ifindex ? SL_DROP_NONE : SL_DROP_UNKNOWN_ENDPOINT;
}

/* As sl_share_of; who sends under a false address pays too. */
static __always_inline __u32 sl_share_for(const struct sl_judgement* j, const struct sl_flow_entry* entry) {
  struct sl_address_value owner;
  if (entry->reason == SL_DROP_SPOOFED_SOURCE && j->hook == SL_HOOK_TC_FROM_POD && !sl_resolve_owner(j, &owner))
    return SL_EVENT_SHARE(owner.endpoint, 0);
  return sl_share_of(entry);
}

static __always_inline void sl_report(const struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  const int begins = j->sender.begins && (j->setting_flags & SL_SETTING_EVENTS);
  if (!begins && !sl_is_event_due(j, entry)) return;
  SL_WRITE_ONCE(entry->last_event, sl_ticks(j->now));
  sl_send_event(&j->key, entry, sl_share_for(j, entry), j->ifindex,
                (begins ? SL_FLOW_NEW : SL_FLOW_UPDATE) | (reply ? SL_EVENT_OF_REPLY : 0));
}

/* At this hook a sender's socket may come along. */
static __always_inline int sl_is_sender_here(const struct sl_judgement* j) {
  return j->hook == SL_HOOK_TC_FROM_POD || j->from_node;
}

static __always_inline __u32 sl_search_unless_absent(const struct sl_judgement* j, __u32 state) {
  return j->known_absent ? SL_NO_PLACE : sl_flow_search(&j->key, state);
}

/* One packet more of a denied flow that has a record. */
static __always_inline void sl_account_denied_again(struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  sl_note_sender(&j->sender, &j->key, entry, reply, j->now);
  sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  sl_report(j, entry, reply);
}

/* The record of a denied flow, where there is room for it or it takes the place of an older one. */
static __always_inline void sl_record_denied(struct sl_judgement* j) {
  const int is_paid = !j->known_absent && sl_flow_forget(&j->key, SL_FLOW_DENIED);
  if ((!is_paid && sl_is_denied_budget_spent(j->now)) || !sl_flow_put(&j->key, &j->fresh, SL_FLOW_DENIED))
    sl_count_event(SL_COUNTER_DENIED_UNRECORDED);
  else if (!is_paid)
    sl_pay_denied_record(j->now);
}

/* A new denied flow, or a packet more of one that policy was asked about again. */
static __always_inline void sl_account_denied(struct sl_judgement* j) {
  struct sl_flow_entry* entry = sl_entry_at(sl_search_unless_absent(j, SL_FLOW_DENIED));
  if (entry && entry->generation == j->fresh.generation && entry->reason == j->fresh.reason &&
      !((entry->flags ^ j->fresh.flags) & SL_CT_INITIATOR_HI)) {
    sl_account_denied_again(j, entry, j->question.turned);
    return;
  }
  if (sl_is_sender_here(j)) sl_count_sender(&j->sender);
  sl_flow_begin(&j->fresh, &j->packet, &j->size, j->question.turned);
  sl_record_denied(j);
  if (j->setting_flags & SL_SETTING_EVENTS)
    sl_send_event(&j->key, &j->fresh, sl_share_for(j, &j->fresh), j->ifindex,
                  SL_FLOW_NEW | (j->question.turned ? SL_EVENT_OF_REPLY : 0));
}

static __always_inline int sl_is_cut_off(const struct sl_judgement* j) {
  return sl_cut_off(&j->packet, j->from_endpoint, j->to_endpoint);
}

/* Notes in the flow whether quarantine stops it, and says so with this packet when that is new. */
static __always_inline void sl_note_quarantine(struct sl_flow_entry* entry, int cut_off) {
  if (cut_off == !!(SL_READ_ONCE(entry->flags) & SL_CT_QUARANTINED)) return;
  if (cut_off)
    __sync_fetch_and_or(&entry->flags, SL_CT_QUARANTINED);
  else
    __sync_fetch_and_and(&entry->flags, ~(__u32)SL_CT_QUARANTINED);
  SL_WRITE_ONCE(entry->last_event, 0);
}

/* tc_to_pod: the sender's hook has counted the packet in this flow. It said so at most `path_fresh` before the packet,
 * which may have waited since, in a queue of the host. */
static __always_inline int sl_is_counted(const struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  return j->hook == SL_HOOK_TC_TO_POD && j->from_ifindex &&
         sl_is_counted_within(entry, reply, j->now, 2 * j->path_fresh);
}

/* Whether the flow has to be told what this hook saw of the host's path. */
static __always_inline int sl_is_path_news(const struct sl_judgement* j, struct sl_flow_entry* entry, __u32 flags,
                                           int reply) {
  if (j->hook != SL_HOOK_TC_TO_POD) return !sl_is_counted_within(entry, reply, j->now, j->path_fresh);
  return !(flags & sl_path_bit(reply)) && sl_is_counted(j, entry, reply);
}

/* Only what might take a short cut itself vouches for the host's path: the host's rules look at the ports of a first
 * fragment alone, and at tags. */
static __always_inline void sl_note_path(const struct sl_judgement* j, struct sl_flow_entry* entry, int reply) {
  if (!sl_is_path_news(j, entry, SL_READ_ONCE(entry->flags), reply)) return;
  if (j->hook != SL_HOOK_TC_TO_POD)
    sl_note_counted(entry, reply, j->now);
  else if (!j->packet.fragment && !j->packet.has_vlan)
    __sync_fetch_and_or(&entry->flags, sl_path_bit(reply));
}

static __always_inline int sl_is_redirect_always(const struct sl_judgement* j) {
  const __u32 both = SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS;
  return (j->setting_flags & both) == both && j->hook != SL_HOOK_TC_TO_POD;
}

/* By what the flow says before this packet; `tcp_flags` are the packet's. */
static __always_inline int sl_may_pass_host(const struct sl_judgement* j, const struct sl_flow_entry* entry,
                                            __u32 flags, __u8 protocol, __u8 tcp_flags, int reply) {
  if (!(j->setting_flags & SL_SETTING_REDIRECT) || j->hook == SL_HOOK_TC_TO_POD) return 0;
  /* A flow that began at tc_to_pod was translated before. */
  if (j->setting_flags & SL_SETTING_REDIRECT_ALWAYS) return entry->hook != SL_HOOK_TC_TO_POD;
  return sl_passes_host_unchanged(j->setting_flags, flags, j->hook == SL_HOOK_TC_FROM_POD, protocol, tcp_flags, reply);
}

/* A packet of a known flow, with the flow's verdict. One that quarantine stops changes nothing of the flow's state: it
 * goes on after a release. */
static __always_inline int sl_judge_known(struct sl_judgement* j, struct sl_flow_entry* entry, int verdict, int reply) {
  const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  j->reply = reply;
  j->is_known = 1;
  j->from_endpoint = sender->endpoint;
  j->to_endpoint = receiver->endpoint;
  j->to_ifindex = receiver->ifindex;
  j->audit = !!(SL_READ_ONCE(entry->flags) & SL_CT_AUDIT);
  if (reply && !(SL_READ_ONCE(entry->flags) & SL_CT_SEEN_REPLY) && sl_is_sender_here(j)) sl_count_sender(&j->sender);
  int cut_off = sl_is_cut_off(j);
  sl_note_quarantine(entry, cut_off);
  int reason = cut_off ? SL_DROP_QUARANTINED : verdict;
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
  if (!sl_flow_settle(&j->key, j->place, sl_flow_state_of(flags))) sl_count_event(SL_COUNTER_CT_PROMOTE_FAILED);
  return SL_DROP_NONE;
}

/* A record says that policy denied the flow, under this generation and for any process. What answers belongs to the
 * other end's flow, whatever its sender was denied to open. */
static __always_inline int sl_is_denied_still(const struct sl_judgement* j, struct sl_flow_entry* entry, int src_hi,
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
static __always_inline int sl_judge_denied(struct sl_judgement* j, int src_hi) {
  if (j->known_absent || j->from_node || j->packet.is_icmp_error) return SL_DROP_NONE;
  struct sl_flow_entry* entry = sl_entry_at(sl_flow_search(&j->key, SL_FLOW_DENIED));
  if (!entry || !sl_is_denied_still(j, entry, src_hi, sl_orientation_of(&j->packet))) return SL_DROP_NONE;
  if (!sl_at_its_interface(j, &entry->initiator, &entry->responder)) return SL_DROP_NONE;
  if (sl_cut_off(&j->packet, entry->initiator.endpoint, entry->responder.endpoint)) return SL_DROP_NONE;
  if (sl_must_ask(&j->sender, entry, 0, 0)) return SL_ASK_SENDER;
  j->from_endpoint = entry->initiator.endpoint;
  j->to_endpoint = entry->responder.endpoint;
  sl_account_denied_again(j, entry, 0);
  return SL_DROP_POLICY_DENIED;
}

/*
 * A SYN begins a new connection where the old one is over; the responder's only when policy allows it
 * (sl_judge_syn_against). Where it is cut, only the responder may: the initiator's SYN would be denied again, and with
 * the cut gone the responder's data would open the old connection anew.
 */
static __always_inline int sl_reopens(const struct sl_flow_entry* entry, const struct sl_packet* packet, int reply) {
  if (!sl_is_syn(packet)) return 0;
  if (entry->flags & SL_CT_CUT) return reply;
  return (entry->flags & SL_CT_RESET) || sl_has_both_fins(entry->flags);
}

/* 0.0.0.0 as DHCP's clients use it (RFC 2131, 4.1). */
static __always_inline int sl_is_dhcp_request(const struct sl_tuple* tuple) {
  return tuple->protocol == SL_IPPROTO_UDP && tuple->src_port == SL_HTONS(68) && tuple->dst_port == SL_HTONS(67) &&
         !sl_load_be32(tuple->src.bytes + 12) && sl_load_be32(tuple->dst.bytes + 12) == ~(__be32)0;
}

/* An address that means somebody on the link only, and is in no table: whether it is that of the workload behind the
 * interface. */
static __always_inline int sl_is_on_link_address(const struct sl_interface* interface, const struct sl_addr* addr) {
  if (sl_is_mapped_ipv4(addr))
    return interface->link_local4 && sl_load_be32(addr->bytes + 12) == interface->link_local4;
  return !sl_is_unspecified(addr) && sl_is_same_addr(addr, &interface->link_local);
}

/* Who sent it, where the source is such an address. Not inlined: hardly any packet has one. Returns whether `source` is
 * that workload now. */
static __noinline int sl_resolve_on_link(const struct sl_judgement* j, __u32 ifindex, struct sl_address_value* source) {
  const struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  if (!interface || !source) return 0;
  const int is_dhcp = sl_is_mapped_ipv4(&tuple->src) && sl_is_dhcp_request(tuple);
  if (!is_dhcp && !sl_is_on_link_address(interface, &tuple->src)) return 0;
  struct sl_address_value owner;
  sl_resolve(&interface->address, j->gen & 1, &owner);
  if (owner.ifindex != ifindex) return 0;
  *source = owner;
  return 1;
}

/* Who sent it may send it, from there. May find out who that is. */
static __always_inline int sl_check_source(const struct sl_judgement* j, struct sl_address_value* source) {
  if (j->hook == SL_HOOK_TC_FROM_POD) {
    if (source->ifindex != j->ifindex && !sl_resolve_on_link(j, j->ifindex, source)) {
      struct sl_address_value owner;
      return sl_resolve_owner(j, &owner) ?: SL_DROP_SPOOFED_SOURCE;
    }
    return sl_has_own_mac(j, source->endpoint) ? SL_DROP_NONE : SL_DROP_SPOOFED_SOURCE;
  }
  if (j->hook == SL_HOOK_TC_TO_POD && !j->from_node) {
    if (source->ifindex) return sl_came_by(j, source->ifindex) ? SL_DROP_NONE : SL_DROP_SPOOFED_SOURCE;
    if (!source->workload && j->from_ifindex) sl_resolve_on_link(j, j->from_ifindex, source);
  }
  /* What lives on this node cannot come in from the wire. */
  if (j->hook == SL_HOOK_XDP_UPLINK && (source->ifindex || source->identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE))
    return SL_DROP_SPOOFED_SOURCE;
  return SL_DROP_NONE;
}

/* An ICMP error goes where the packet that it quotes came from; it passes when that packet's flow may. */
static __always_inline int sl_is_related(struct sl_judgement* j) {
  const struct sl_packet* packet = &j->packet;
  if (!packet->is_icmp_error) return 0;
  int src_hi = sl_flow_key_of(&packet->inner, &j->inner_key);
  j->place = sl_flow_search(&j->inner_key, SL_FLOW_ALLOWED);
  struct sl_flow_entry* entry = sl_entry_at(j->place);
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
static __always_inline void sl_turn(struct sl_judgement* j) {
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
static __always_inline int sl_decide_turned(struct sl_judgement* j) {
  sl_turn(j);
  int reason = sl_decide(&j->question);
  if (reason && (j->question.by_process & SL_CT_BY_INITIATOR) && j->to_ifindex && !j->receiver.asked)
    return SL_ASK_RECEIVER;
  return reason;
}

/* A datagram that policy denies passes where it answers what its receiver may ask, and that has connected its socket to
 * the sender. */
static __always_inline int sl_decide_as_answer(struct sl_judgement* j) {
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
static __always_inline int sl_decide_new(struct sl_judgement* j) {
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
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_policy_question* q = &j->question;
  const struct sl_tuple* tuple = &j->packet.tuple;
  __builtin_memset(q, 0, sizeof(*q));
  q->slot = j->gen & 1;
  q->service = sl_service(tuple->protocol, tuple->dst_port);
  q->from_node = j->from_node;
  q->source_class = j->sender.process_class;
  sl_resolve(&tuple->dst, q->slot, &q->destination);
  if (j->hook == SL_HOOK_XDP_UPLINK && !q->destination.ifindex) {
    j->not_ours = 1;
    return SL_DROP_NONE;
  }
  /* Flooded, or drawn to somebody else. It is judged where it belongs, and that is where its flow is told of. */
  if (j->hook == SL_HOOK_TC_TO_POD && q->destination.workload && q->destination.ifindex != j->ifindex)
    return SL_DROP_WRONG_RECEIVER;
  sl_resolve(&tuple->src, q->slot, &q->source);
  int reason = sl_check_source(j, &q->source);
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
  return sl_is_cut_off(j) ? SL_DROP_QUARANTINED : sl_decide_new(j);
}

/* The entry of a flow that begins with this packet, as policy answered. */
static __always_inline void sl_fill_fresh(struct sl_judgement* j, int src_hi, int reason) {
  const struct sl_packet* packet = &j->packet;
  const struct sl_policy_question* q = &j->question;
  struct sl_flow_entry* fresh = &j->fresh;
  __builtin_memset(fresh, 0, sizeof(*fresh));
  fresh->created_ns = fresh->last_seen_ns = j->now;
  fresh->id = sl_next_flow_id();
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
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  sl_fill_fresh(j, src_hi, reason);
  sl_account_denied(j);
  return reason;
}

/* A part of sl_judge, as the next: global, so that each has a stack of its own and is checked once. */
__noinline int sl_judge_new(int src_hi) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
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
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
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
static __noinline int sl_remember_fragment(const struct sl_judgement* j, int reason) {
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
static __noinline int sl_follow_fragment(struct sl_judgement* j) {
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
static __noinline int sl_name_receiver(struct sl_judgement* j) {
  const struct sl_addr* to = &j->packet.tuple.dst;
  const int is_group = sl_is_mapped_ipv4(to) ? to->bytes[12] >= 224 : sl_is_multicast6(to);
  struct sl_address_value* who = &j->question.destination; /* is not asked yet, or will be anew */
  if (!is_group && !j->packet.to_group) return 0;
  if (sl_resolve(to, j->gen & 1, who) || sl_resolve_owner(j, who)) return 0;
  j->key.receiver = who->endpoint;
  j->known_absent = 0; /* that was asked of another key */
  return 0;
}

/* As drop reasons of sl_judge_known_flow: ask sl_judge_syn_against, or sl_judge_new. One less where the sender is the
 * key's `hi` end. */
#define SL_SYN_AGAINST (-6)
#define SL_NEW_FLOW (-8)

__noinline int sl_judge_known_flow(void) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
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
  const __u32 place = sl_search_unless_absent(j, SL_FLOW_ALLOWED);
  j->place = place;
  struct sl_flow_entry* entry = sl_entry_at(j->place);
  const __u32 incarnation = entry ? SL_READ_ONCE(entry->incarnation) : 0;
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
      if (!sl_flow_stands(key, j->place)) verdict = SL_FLOW_OVER; /* evicted, and perhaps another's meanwhile */
      if (verdict >= 0 && sl_at_its_interface(j, sender, receiver)) {
        const int other_socket = sl_is_of_other_socket(j, entry, reply);
        if (sl_must_ask(&j->sender, entry, reply, other_socket)) return SL_ASK_SENDER;
        if (sl_must_ask_receiver(j, receiver, entry, reply)) return SL_ASK_RECEIVER;
        if (sl_note_processes(j, entry, reply, other_socket))
          verdict = sl_redecide_for(j, entry, reply, 1);
        else if (entry->flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER))
          verdict = sl_verdict_for(j, entry, reply);
        if (!verdict && reply && !j->syn_allowed && sl_is_syn(packet)) goto syn_against;
        if (verdict >= 0) return sl_judge_known(j, entry, verdict, reply);
      }
      if (verdict == SL_ASK_RECEIVER) return verdict;
      over = verdict == SL_FLOW_OVER;
    }
  }
  if (!entry && (reason = sl_judge_denied(j, src_hi))) return reason;
  /* Where quarantine stops it, it is a new flow's packet, with a record of its own. */
  if (sl_is_related(j) && !sl_is_cut_off(j)) return SL_DROP_NONE;
  if (j->sender.has_socket && !j->sender.asked) return SL_ASK_SENDER;
  /* A stranger's packet must not end somebody's flow: only one that is over makes room. */
  if (over) sl_flow_forget_at(key, place, SL_FLOW_ALLOWED, incarnation);
new_flow:
  return src_hi ? SL_NEW_FLOW - 1 : SL_NEW_FLOW;
syn_against:
  if (j->sender.has_socket && !j->sender.asked) return SL_ASK_SENDER;
  return src_hi ? SL_SYN_AGAINST - 1 : SL_SYN_AGAINST;
}

/*
 * A SYN from the responder of a connection opens one of its own, which policy has to allow. Denied, it changes nothing
 * of the known one, which may be alive whatever its flags say: a RST or a FIN may be spoofed as well as the SYN.
 * Allowed, it begins a new flow where the old one is over; else it belongs to the live one, as in a simultaneous open.
 */
static __always_inline int sl_judge_syn_against(struct sl_judgement* j, int src_hi) {
  int reason = sl_ask_policy();
  if (reason) return sl_is_told_here(reason) ? sl_deny_new(src_hi, reason) : reason;
  j->syn_allowed = 1;
  return sl_judge_known_flow();
}

/*
 * The one decision, on this CPU's judgement. Returns SL_DROP_NONE (forward), the one reason to drop, or SL_ASK_*.
 * Global, so that the verifier checks it once and not on every path that leads here.
 */
__noinline int sl_judge(void) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  int reason = sl_judge_known_flow();
  if (reason == SL_SYN_AGAINST || reason == SL_SYN_AGAINST - 1)
    reason = sl_judge_syn_against(j, reason < SL_SYN_AGAINST);
  if (reason <= SL_NEW_FLOW) reason = sl_judge_new(reason < SL_NEW_FLOW);
  if (reason != SL_ASK_SENDER) sl_remember_fragment(j, reason);
  return reason;
}

/* The working memory, reset for one packet of `hook`; its `packet` is for who parses it. */
static __always_inline struct sl_judgement* sl_begin(__u32 hook, __u32 ifindex) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
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
