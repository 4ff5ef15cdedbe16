/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The process that sent a packet, from the socket that the packet still carries. */
#ifndef SLUICE_SENDER_BPF_H
#define SLUICE_SENDER_BPF_H

#include "bpf/lib/verdict.bpf.h"

/*
 * The life that acts for the owner now, or the last that did when the process is no more. 0: it was never in the table.
 * Moving the owner on keeps the last life known after the process's end.
 */
static __always_inline sl_process_id sl_life_of(struct sl_socket_owner* owner) {
  __u32 tgid = owner->tgid;
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &tgid);
  if (!process || process->birth_ns != owner->birth_ns) return owner->process;
  sl_process_id life = process->id;
  if (owner->process != life) owner->process = life;
  return life;
}

static __always_inline struct sl_socket_owner* sl_sender_of_datagram(__u64 cookie, const struct sl_tuple* tuple) {
  struct sl_datagram_key key = {.cookie = cookie,
                                .to = tuple->dst,
                                .port = tuple->protocol == SL_IPPROTO_UDP ? tuple->dst_port : 0,
                                .protocol = tuple->protocol};
  return bpf_map_lookup_elem(&datagram_senders, &key);
}

static __always_inline int sl_ask_socket(struct __sk_buff* skb, const struct sl_tuple* tuple,
                                         struct sl_sender* sender) {
  int inherited = 0;
  struct bpf_sock *sk = skb->sk, *full;
  if (!sk) return SL_COUNTER_SENDER_NO_SOCKET;
  full = bpf_sk_fullsock(sk);
  if (!full) { /* a connection that is being opened has its listener behind it */
    full = bpf_get_listener_sock(sk);
    inherited = 1;
  }
  if (!full) return SL_COUNTER_SENDER_NO_SOCKET;
  if (full->state == SL_TCP_STATE_LISTEN) inherited = 1;
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, full, 0, 0);
  if (!owner || !owner->tgid) return SL_COUNTER_SENDER_UNOWNED;
  __u64 cookie = bpf_get_socket_cookie(skb);
  sender->final = !inherited && !owner->shared && owner->cookie == cookie;
  if (owner->shared) owner = sl_sender_of_datagram(cookie, tuple) ?: owner;
  sender->process = sl_life_of(owner);
  return sender->process ? SL_COUNTER_SENDER_FOUND : SL_COUNTER_SENDER_GONE;
}

/* Into this CPU's judgement. Global for the same reason as sl_judge. */
__noinline int sl_find_sender(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
  if (!j) return 0;
  struct sl_sender* sender = &j->sender;
  sender->asked = 1;
  sender->changes = sl_socket_changes();
  barrier();
  sender->found = sl_ask_socket(skb, &j->packet.tuple, sender) - SL_COUNTER_SENDER_FOUND;
  return 0;
}

/* The decision, after the sender was asked for where it has to be known. */
static __always_inline int sl_judge_skb(struct __sk_buff* skb) {
  int reason = sl_judge();
  if (reason != SL_ASK_SENDER) return reason;
  sl_find_sender(skb);
  return sl_judge();
}

#endif
