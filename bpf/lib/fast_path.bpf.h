/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The fast path through the decision, for most packets: plain TCP or UDP (parse_fast.bpf.h), of a flow whose verdict is
 * valid and where the packet only has to be counted. Any other packet is left, unchanged and not counted, to
 * sl_evaluate, which handles all cases. The only result that sl_evaluate takes over is that the flow table does not
 * have the flow.
 */
#ifndef SLUICE_FAST_PATH_BPF_H
#define SLUICE_FAST_PATH_BPF_H

#include "bpf/lib/parse_fast.bpf.h"
#include "bpf/lib/redirect.bpf.h"

#define SL_CT_NOT_PLAIN (SL_CT_REVOKED | SL_CT_QUARANTINED | SL_CT_WATCH | SL_CT_TRANSLATED | SL_CT_TO_SERVICE)

/* Whether the flow's entry allows the fast path, apart from its verdict. */
static __always_inline int sl_is_settled(const struct sl_evaluation* j, const struct sl_flow_entry* entry, __u32 flags,
                                         const struct sl_flow_end* sender, const struct sl_flow_end* receiver,
                                         int reply) {
  if (entry->socket_changes != sl_socket_changes()) return 0;
  if (j->sender.has_socket && (flags & sl_resolve_bit(reply))) return 0;
  if (!sl_at_its_interface(j, sender, receiver) || sl_is_event_due(j, entry)) return 0;
  return !sl_in_quarantine(sender->endpoint) && !sl_in_quarantine(receiver->endpoint);
}

/* Reads the next hop, if the packet may be redirected. 0: the packet is too long for it. Most flows send too seldom for
 * their next hop to be still valid, so the fast path goes on without one, and the entry point looks it up. */
static __always_inline int sl_is_route_settled(struct sl_evaluation* j, const struct sl_flow_entry* entry, int reply) {
  j->must_find_route = 0;
  if (!j->may_route || !j->may_pass_host) return 1;
  if (sl_read_route(entry, reply, j->now, &j->way)) return j->route_length <= sl_route_mtu(entry, reply);
  j->must_find_route = 1;
  return 1;
}

/* Whether the packet does not change the state of a pending flow. */
static __always_inline int sl_stays_pending(__u32 state, __u32 flags, int reply) {
  if (state != SL_FLOW_PENDING || (flags & SL_CT_ESTABLISHED)) return 0;
  return reply == !!(flags & SL_CT_SEEN_REPLY);
}

/* Whether the flow still belongs to the same sockets: a verdict that depends on a process is valid only for the socket
 * that it was decided for, and a record of datagrams belongs to the flow's sockets. `skb` null: the sender's socket is
 * not available. */
static __always_inline int sl_is_socket_settled(struct sl_evaluation* j, struct __sk_buff* skb,
                                                struct sl_flow_entry* entry, __u32 flags, int reply, __u8 protocol) {
  if (!(flags & (SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER)) && protocol != SL_IPPROTO_UDP) return 1;
  if (sl_hangs_on_receiver(flags, reply, protocol) || sl_has_lost_receiver(entry, reply, protocol)) {
    if (sl_resolves_receiver_here(j)) {
      j->resolve_receiver = 1;
      j->to_ifindex = reply ? entry->initiator.ifindex : entry->responder.ifindex;
      return 0;
    }
    j->may_route = 0;
  }
  const int hangs = sl_hangs_on_sender(j, flags, reply);
  if (!skb || !(hangs || protocol == SL_IPPROTO_UDP)) return 1;
  j->sender.socket = sl_sending_socket(skb, j->sender.has_socket);
  return !sl_is_other_socket(entry, hangs, reply, protocol, j->sender.socket);
}

static __always_inline int sl_evaluate_fast_known(struct sl_evaluation* j, struct __sk_buff* skb,
                                                  const struct sl_fast_packet* p, const struct sl_sighting* seen) {
  struct sl_flow_entry* entry = &seen->flow->entry;
  const __u32 by = SL_READ_ONCE(entry->flags);
  if (!sl_is_socket_settled(j, skb, entry, by, p->from_hi != !!(by & SL_CT_INITIATOR_HI), p->protocol))
    return SL_NOT_PLAIN;
  sl_memory_barrier(&entry->flags); /* the verdict is read between two reads of the socket that it is valid for */
  __u64 generation;
  const int reason = sl_verdict_of(entry, &generation);
  const __u32 flags = SL_READ_ONCE(entry->flags), state = sl_seen_state(seen);
  const int reply = p->from_hi != !!(flags & SL_CT_INITIATOR_HI);
  const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  if (reason || generation != j->gen || (flags & SL_CT_NOT_PLAIN)) return SL_NOT_PLAIN;
  /* Packets that change the flow's state. */
  if (state != SL_FLOW_ESTABLISHED && !sl_stays_pending(state, flags, reply)) return SL_NOT_PLAIN;
  if (p->tcp_flags & (SL_TCP_SYN | SL_TCP_FIN | SL_TCP_RST)) return SL_NOT_PLAIN;
  if (sl_flow_expired(entry, p->protocol, j->now) || !sl_is_settled(j, entry, flags, sender, receiver, reply))
    return SL_NOT_PLAIN;
  const int notes = sl_must_note_path(j, entry, flags, reply);
  j->may_pass_host = sl_is_other_pod(j, receiver->ifindex) &&
                     sl_may_pass_host(j, entry, notes ? sl_flags_after_note(j, flags, reply) : flags, p->protocol,
                                      p->tcp_flags, reply);
  if (!sl_is_route_settled(j, entry, reply)) return SL_NOT_PLAIN;
  if (!sl_still_stands(seen)) return SL_NOT_PLAIN;
  if (skb && sl_hangs_on_sender(j, flags, reply) && sl_is_other_socket(entry, 1, reply, p->protocol, j->sender.socket))
    return SL_NOT_PLAIN;
  j->reply = reply;
  j->from_endpoint = sender->endpoint;
  j->to_endpoint = receiver->endpoint;
  j->to_ifindex = receiver->ifindex;
  j->audit = !!(flags & SL_CT_AUDIT);
  if (notes) sl_note_path_now(j, entry, reply);
  if (!sl_is_counted(j, entry, reply)) sl_flow_add(entry, &j->size, SL_ETH_LEN, reply, j->now);
  return SL_DROP_NONE;
}

/* As sl_orientation_of. */
static __always_inline enum sl_orientation sl_fast_orientation(const struct sl_flow_key* key,
                                                               const struct sl_fast_packet* p) {
  if (p->protocol != SL_IPPROTO_TCP) return SL_OPENS;
  return sl_tcp_orientation(p->tcp_flags, p->from_hi ? key->hi_port : key->lo_port,
                            p->from_hi ? key->lo_port : key->hi_port);
}

static __always_inline int sl_evaluate_fast_denied(struct sl_evaluation* j, struct __sk_buff* skb,
                                                   const struct sl_fast_packet* p, const struct sl_sighting* seen) {
  struct sl_flow_entry* entry = &seen->flow->entry;
  if (j->from_node || !sl_is_denied_still(j, entry, p->from_hi, sl_fast_orientation(&j->key, p))) return SL_NOT_PLAIN;
  if (skb) j->sender.socket = sl_sending_socket(skb, j->sender.has_socket);
  if (sl_is_denied_to_another(entry, j->sender.socket)) return SL_NOT_PLAIN;
  if (!sl_is_settled(j, entry, entry->flags, &entry->initiator, &entry->responder, 0)) return SL_NOT_PLAIN;
  if (!sl_still_stands(seen)) return SL_NOT_PLAIN;
  j->from_endpoint = entry->initiator.endpoint;
  j->to_endpoint = entry->responder.endpoint;
  sl_flow_add(entry, &j->size, SL_ETH_LEN, 0, j->now);
  return SL_DROP_POLICY_DENIED;
}

/* SL_DROP_NONE or SL_DROP_POLICY_DENIED: decided, and counted in its flow, which is `seen`. `skb`: null where the
 * sender's socket is not available. */
static __always_inline int sl_evaluate_fast(struct sl_evaluation* j, struct __sk_buff* skb,
                                            const struct sl_fast_packet* p, struct sl_sighting* seen) {
  j->now = sl_now();
  j->gen = sl_generation();
  const int found = sl_flow_see(&j->key, &j->way_seen, seen);
  j->known_absent = !found;
  if (found <= 0) return SL_NOT_PLAIN;
  j->slot = j->flow_slot = seen->slot;
  if (sl_seen_state(seen) == SL_FLOW_DENIED) return sl_evaluate_fast_denied(j, skb, p, seen);
  return sl_evaluate_fast_known(j, skb, p, seen);
}

/* Fills in what sl_route_skb and sl_route_xdp read of a packet that sl_evaluate_fast let pass without a next hop. */
static __always_inline void sl_complete_fast(struct sl_evaluation* j) {
  if (!j->must_find_route) return;
  struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_flow_key* key = &j->key;
  const int from_hi = j->plain.from_hi;
  sl_copy_addr(&tuple->src, from_hi ? &key->hi : &key->lo);
  sl_copy_addr(&tuple->dst, from_hi ? &key->lo : &key->hi);
  tuple->src_port = from_hi ? key->hi_port : key->lo_port;
  tuple->dst_port = from_hi ? key->lo_port : key->hi_port;
  tuple->protocol = key->protocol;
  j->packet.ip_version = j->plain.ip_version;
  j->packet.fragment = SL_FRAGMENT_NONE;
  j->is_known = 1;
}

/* After sl_evaluate_fast let the packet pass with a valid next hop. Returns 1 when it is ready for the receiver. */
static __always_inline int sl_try_redirect(const struct sl_evaluation* j, const struct sl_fast_packet* p, __u8* data,
                                           const __u8* data_end) {
  if (!j->may_route || !j->may_pass_host) return 0;
  return sl_send_on(data, data_end, p->ip_version, &j->way);
}

#endif
