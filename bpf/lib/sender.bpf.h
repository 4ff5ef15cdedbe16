/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The process that sent a packet, by the socket that the packet still carries; and the process that will receive it, by
 * the socket that the kernel will choose. */
#ifndef SLUICE_SENDER_BPF_H
#define SLUICE_SENDER_BPF_H

#include "bpf/lib/verdict.bpf.h"

/* Packets of test runs have no socket of a process: tests may set the classes of sender and receiver. */
volatile __u32 test_sender_class = 0;
volatile __u32 test_receiver_class = 0;
volatile __u64 test_receiver_socket = 0;

/*
 * The owner's current process instance, or its last one if the process has ended. 0: it was never in the table. The
 * owner is updated, so that the last instance stays known after the process ends.
 */
static __always_inline sl_process_id sl_instance_of(struct sl_socket_owner* owner) {
  __u32 tgid = owner->tgid;
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &tgid);
  if (!process || process->birth_ns != owner->birth_ns) return owner->process;
  sl_process_id life = process->id;
  if (owner->process != life) owner->process = life;
  if (owner->process_class != process->process_class) owner->process_class = process->process_class;
  return life;
}

/* For a socket that several processes send by. An unknown sender counts as one that no flow was decided for. */
static __always_inline int sl_resolve_shared_socket(struct bpf_sock* sk, const struct sl_tuple* tuple,
                                                    struct sl_sender* sender) {
  const struct sl_destination to = {
      .to = tuple->dst, .port = tuple->protocol == SL_IPPROTO_UDP ? tuple->dst_port : 0, .protocol = tuple->protocol};
  struct sl_datagram_senders* senders = bpf_sk_storage_get(&datagram_senders, sk, 0, 0);
  if (senders) sl_find_datagram_sender(senders, &to, &sender->process, &sender->process_class);
  sender->unknown = !sender->process;
  return sender->process ? SL_COUNTER_SENDER_FOUND : SL_COUNTER_SENDER_GONE;
}

/* The Service's address that a program of the socket used and that was translated there to this packet's destination.
 */
static __always_inline __u32 sl_service_of_socket(struct bpf_sock* sk, const struct sl_tuple* tuple) {
  const struct sl_service_socket* socket = bpf_sk_storage_get(&service_sockets, sk, 0, 0);
  if (!socket) return 0;
  for (int i = 0; i < SL_SOCKET_TRANSLATIONS; i++) {
    const struct sl_translation* one = &socket->last[i];
    if (one->number && one->backend.port == tuple->dst_port && sl_is_same_addr(&one->backend.addr, &tuple->dst) &&
        one->service.protocol == tuple->protocol)
      return one->number;
  }
  return 0;
}

static __always_inline int sl_resolve_by_socket(struct __sk_buff* skb, const struct sl_tuple* tuple,
                                                struct sl_sender* sender) {
  struct bpf_sock *sk = skb->sk, *full;
  if (!sk) return SL_COUNTER_SENDER_NO_SOCKET;
  full = bpf_sk_fullsock(sk);
  if (!full) { /* a connection request: use its listener */
    full = bpf_get_listener_sock(sk);
    sender->inherited = 1;
  }
  if (!full) return SL_COUNTER_SENDER_NO_SOCKET;
  sender->service = sl_service_of_socket(full, tuple);
  sender->closed = sl_sockets_closed(sender->socket);
  sender->not_ip = full->family != SL_AF_INET && full->family != SL_AF_INET6;
  if (full->state == SL_TCP_STATE_LISTEN) sender->inherited = 1;
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, full, 0, 0);
  if (!owner || !owner->tgid) {
    sender->unowned = !sender->inherited;
    return SL_COUNTER_SENDER_UNOWNED;
  }
  const __u64 cookie = sender->socket;
  if (owner->cookie != cookie) sender->inherited = 1;
  sender->final = !sender->inherited && !owner->shared;
  sender->closed = sl_closed_while_open(owner, cookie);
  barrier(); /* the cookie is written after the rest of the owner */
  if (owner->shared) return sl_resolve_shared_socket(full, tuple, sender);
  sender->process = sl_instance_of(owner);
  sender->process_class = owner->process_class;
  return sender->process ? SL_COUNTER_SENDER_FOUND : SL_COUNTER_SENDER_GONE;
}

/* Writes into this CPU's evaluation. Global for the same reason as sl_evaluate. */
__noinline int sl_find_sender(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  struct sl_sender* sender = &j->sender;
  sender->resolved = 1;
  sender->changes = sl_socket_changes();
  barrier();
  if (use_test_clock && test_sender_class) {
    sender->process = sender->process_class = test_sender_class;
    sender->final = 1;
    return 0;
  }
  sender->found = sl_resolve_by_socket(skb, &j->packet.tuple, sender) - SL_COUNTER_SENDER_FOUND;
  return 0;
}

/* The packet's addresses as input of a socket look-up. Returns their size. */
static __always_inline __u32 sl_fill_socket_tuple(const struct sl_packet* packet, int with_source,
                                                  struct bpf_sock_tuple* to) {
  const struct sl_tuple* tuple = &packet->tuple;
  __builtin_memset(to, 0, sizeof(*to));
  if (packet->ip_version == 4) {
    __builtin_memcpy(&to->ipv4.daddr, tuple->dst.bytes + 12, 4);
    to->ipv4.dport = tuple->dst_port;
    if (with_source) {
      __builtin_memcpy(&to->ipv4.saddr, tuple->src.bytes + 12, 4);
      to->ipv4.sport = tuple->src_port;
    }
    return sizeof(to->ipv4);
  }
  __builtin_memcpy(to->ipv6.daddr, tuple->dst.bytes, 16);
  to->ipv6.dport = tuple->dst_port;
  if (with_source) {
    __builtin_memcpy(to->ipv6.saddr, tuple->src.bytes, 16);
    to->ipv6.sport = tuple->src_port;
  }
  return sizeof(to->ipv6);
}

/* One load for each member: the verifier refuses any other access to a socket. */
static __always_inline int sl_is_connected_to(const struct bpf_sock* sk, const struct sl_packet* packet) {
  const volatile struct bpf_sock* to = sk;
  const __u8* src = packet->tuple.src.bytes;
  const __u32 ip4 = to->dst_ip4;
  __u32 differs = to->dst_port ^ packet->tuple.src_port;
  if (packet->ip_version == 4) return !(differs | (ip4 ^ sl_load_be32(src + 12)));
  const __u32 ip6_0 = to->dst_ip6[0], ip6_1 = to->dst_ip6[1], ip6_2 = to->dst_ip6[2], ip6_3 = to->dst_ip6[3];
  differs |= (ip6_0 ^ sl_load_be32(src)) | (ip6_1 ^ sl_load_be32(src + 4)) | (ip6_2 ^ sl_load_be32(src + 8));
  return !(differs | (ip6_3 ^ sl_load_be32(src + 12)));
}

static __always_inline int sl_resolve_receiving_socket(struct __sk_buff* skb, struct sl_evaluation* j, __u32 netns,
                                                       int with_source) {
  const __u8 protocol = j->packet.tuple.protocol;
  struct bpf_sock_tuple tuple;
  struct bpf_sock* sk = 0;
  __u32 size = sl_fill_socket_tuple(&j->packet, with_source, &tuple);
  if (protocol == SL_IPPROTO_TCP) sk = bpf_sk_lookup_tcp(skb, &tuple, size, netns, 0);
  if (protocol == SL_IPPROTO_UDP) sk = bpf_sk_lookup_udp(skb, &tuple, size, netns, 0);
  if (!sk) return 0;
  if (with_source) j->receiver.is_connected = sl_is_connected_to(sk, &j->packet);
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, sk, 0, 0);
  j->receiver.found = 1;
  if (owner && owner->tgid) {
    j->receiver.process = sl_instance_of(owner);
    j->receiver.process_class = owner->process_class;
    j->receiver.socket = owner->cookie;
    j->receiver.shared = owner->shared;
    j->receiver.closed = sl_closed_while_open(owner, owner->cookie);
  }
  bpf_sk_release(sk);
  return 1;
}

/* Writes into this CPU's evaluation. If a look-up with the source finds nothing, as while an old connection is closing,
 * looks for the listener. */
__noinline int sl_find_receiver(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  __u32 ifindex = j->to_ifindex;
  __builtin_memset(&j->receiver, 0, sizeof(j->receiver));
  j->receiver.resolved = ifindex;
  if (use_test_clock && test_receiver_class) {
    j->receiver.process = j->receiver.process_class = test_receiver_class;
    j->receiver.socket = test_receiver_socket;
    j->receiver.found = 1;
    return 0;
  }
  const struct sl_interface* to = bpf_map_lookup_elem(&interfaces, &ifindex);
  if (!to || to->netns < 0) return 0;
  __u32 netns = to->netns;
  if (!sl_resolve_receiving_socket(skb, j, netns, 1)) sl_resolve_receiving_socket(skb, j, netns, 0);
  return 0;
}

/* The decision, with look-ups of sender and receiver where it needs them. */
static __always_inline int sl_evaluate_skb(struct __sk_buff* skb, const struct sl_evaluation* j) {
  if (j->resolve_receiver) sl_find_receiver(skb);
  int reason = sl_evaluate();
  for (int i = 0; i < 3 && reason < 0; i++) { /* the receiver twice if an address has moved to another pod */
    if (reason == SL_RESOLVE_SENDER)
      sl_find_sender(skb);
    else
      sl_find_receiver(skb);
    reason = sl_evaluate();
  }
  return reason < 0 ? SL_DROP_RULESET_MISSING : reason;
}

#endif
