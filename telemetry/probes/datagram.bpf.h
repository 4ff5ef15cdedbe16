/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Who sends datagrams. While one process does, the socket's owner says it. Where several do, as the workers of a DNS
 * server, the socket may have another owner by the time that the packet path sees a datagram; so from the second sender
 * on each destination has its sender, and every such packet asks.
 */
#ifndef SLUICE_DATAGRAM_BPF_H
#define SLUICE_DATAGRAM_BPF_H

#include <linux/ip.h>
#include <linux/ipv6.h>

#include <bpf/bpf_endian.h>

#include "telemetry/probes/socket_owner.bpf.h"

#define SL_IPPROTO_UDP 17
#define SL_EXTENSION_HEADERS_MAX 8

static __always_inline bool is_extension(__u8 protocol) {
  return protocol == 0 || protocol == 43 || protocol == 60; /* hop by hop, routing, destination; not yet a fragment */
}

/* From the IP header on. False: not to be told from another flow. */
static __always_inline bool fill_datagram_key(struct __sk_buff* skb, struct sl_datagram_key* key) {
  __u32 at;
  if (skb->protocol == bpf_htons(0x0800)) {
    struct iphdr ip;
    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) != 0) return false;
    key->to.bytes[10] = key->to.bytes[11] = 0xff;
    __builtin_memcpy(&key->to.bytes[12], &ip.daddr, 4);
    key->protocol = ip.protocol;
    at = ip.ihl * 4;
  } else {
    struct ipv6hdr ip;
    if (bpf_skb_load_bytes(skb, 0, &ip, sizeof(ip)) != 0) return false;
    __builtin_memcpy(&key->to, &ip.daddr, 16);
    key->protocol = ip.nexthdr;
    at = sizeof(ip);
    for (int i = 0; i < SL_EXTENSION_HEADERS_MAX && is_extension(key->protocol); i++) {
      __u8 header[2];
      if (bpf_skb_load_bytes(skb, at, header, sizeof(header)) != 0) return false;
      key->protocol = header[0];
      at += (header[1] + 1) * 8;
    }
  }
  if (key->protocol != SL_IPPROTO_UDP) return true;
  return bpf_skb_load_bytes(skb, at + 2, &key->port, sizeof(key->port)) == 0;
}

static __always_inline void note_sender(struct __sk_buff* skb, __u64 cookie) {
  struct sl_datagram_key key = {.cookie = cookie};
  if (!fill_datagram_key(skb, &key)) return;
  struct sl_socket_owner* sender = bpf_map_lookup_elem(&datagram_senders, &key);
  if (!sender) {
    const struct sl_socket_owner nobody = {};
    bpf_map_update_elem(&datagram_senders, &key, &nobody, BPF_NOEXIST);
    sender = bpf_map_lookup_elem(&datagram_senders, &key);
  }
  claim(sender, cookie, CLAIM_QUIETLY);
}

static __always_inline void on_datagram(struct __sk_buff* skb, struct sl_socket_owner* owner) {
  struct task_struct* task = bpf_get_current_task_btf();
  const __u64 cookie = bpf_get_socket_cookie(skb);
  const __u32 tgid = task->tgid;
  if (!owner->shared) {
    const __u32 first = __sync_val_compare_and_swap(&owner->sender, 0, tgid);
    const bool other_life = owner->tgid == tgid && owner->birth_ns != task->group_leader->start_boottime;
    if (!first || (first == tgid && !other_life)) return claim(owner, cookie, CLAIM_ALWAYS);
    owner->shared = 1;
    sl_note_socket_change();
  }
  note_sender(skb, cookie);
}

#endif
