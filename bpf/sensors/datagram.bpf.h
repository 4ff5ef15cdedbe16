/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Senders of datagrams. While one process sends by a socket, it is the socket's owner. If several do, as the workers of
 * a DNS server, the owner may change before the packet path sees a datagram. So from the second sender on, the socket
 * has a sender for each destination (bpf/lib/datagram_senders.bpf.h), and every packet looks it up.
 */
#ifndef SLUICE_DATAGRAM_BPF_H
#define SLUICE_DATAGRAM_BPF_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "bpf/sensors/socket_owner.bpf.h"

#define SL_IPPROTO_UDP 17
#define SL_EXTENSION_HEADERS_MAX 8

static __always_inline bool is_extension(__u8 protocol) {
  return protocol == 0 || protocol == 43 ||
         protocol == 60; /* hop-by-hop, routing, destination; the packet is not fragmented yet */
}

/* Reads the IP header and the headers after it. False: the destination cannot be read. */
static __always_inline bool fill_destination(struct __sk_buff* skb, struct sl_destination* to) {
  __u32 at;
  if (skb->protocol == bpf_htons(0x0800)) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) != 0) return false;
    to->to.bytes[10] = to->to.bytes[11] = 0xff;
    __builtin_memcpy(&to->to.bytes[12], &ip.daddr, 4);
    to->protocol = ip.protocol;
    at = ip.ihl * 4;
  } else {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) != 0) return false;
    __builtin_memcpy(&to->to, &ip.daddr, 16);
    to->protocol = ip.nexthdr;
    at = sizeof(ip);
    for (int i = 0; i < SL_EXTENSION_HEADERS_MAX && is_extension(to->protocol); i++) {
      __u8 header[2];
      if (bpf_skb_load_bytes(skb, at, header, sizeof(header)) != 0) return false;
      to->protocol = header[0];
      at += (header[1] + 1) * 8;
    }
  }
  if (to->protocol != SL_IPPROTO_UDP) return true;
  return bpf_skb_load_bytes(skb, at + 2, &to->port, sizeof(to->port)) == 0;
}

static __always_inline struct sl_datagram_senders* senders_of(struct bpf_sock* sk) {
  struct sl_datagram_senders* senders = bpf_sk_storage_get(&datagram_senders, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  return senders ?: bpf_sk_storage_get(&datagram_senders, sk, 0, 0); /* another CPU created it first */
}

static __always_inline void note_sender(struct __sk_buff* skb, struct bpf_sock* sk, const struct sl_socket_owner* owner,
                                        struct task_struct* task) {
  struct sl_datagram_sender now = {};
  struct sl_datagram_senders* senders = senders_of(sk);
  if (!senders || !fill_destination(skb, &now.destination)) return;
  const struct sl_process* process = present_process(task->tgid, task->group_leader->start_boottime);
  if (process) {
    now.process = process->id;
    now.process_class = process->process_class;
  }
  sl_note_datagram_sender(senders, &now, owner->process_class);
}

static __always_inline void on_datagram(struct __sk_buff* skb, struct bpf_sock* sk, struct sl_socket_owner* owner) {
  struct task_struct* task = bpf_get_current_task_btf();
  const __u32 tgid = task->tgid;
  if (!owner->shared) {
    const __u32 first = __sync_val_compare_and_swap(&owner->sender, 0, tgid);
    const bool other_instance = owner->tgid == tgid && owner->birth_ns != task->group_leader->start_boottime;
    if (!first || (first == tgid && !other_instance)) return claim(owner, bpf_get_socket_cookie(skb), CLAIM_ALWAYS);
    owner->shared = 1;
    sl_note_socket_change();
  }
  note_sender(skb, sk, owner, task);
}

#endif
