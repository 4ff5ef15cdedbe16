/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The short way through the decision, for what most packets are: TCP or UDP without tags, options, extension headers or
 * fragments, of a flow whose verdict stands and in which nothing is to be noted but the packet. What is out of the
 * ordinary it leaves, untouched and uncounted, to sl_judge, which knows all cases and for which this is no different
 * from a packet that was never looked at.
 */
#ifndef SLUICE_PLAIN_BPF_H
#define SLUICE_PLAIN_BPF_H

#include "bpf/lib/redirect.bpf.h"

#define SL_NOT_PLAIN (-4) /* as the result of sl_judge_plain: ask sl_judge */

/* In registers; the flow's key is in the judgement. */
struct sl_plain {
  __u32 from_hi; /* the sender is the key's `hi` end */
  __u32 header;  /* bytes up to the end of the transport header */
  __u8 protocol;
  __u8 tcp_flags;
  __u8 ip_version;
};

/* Returns 1 when the sender is the key's `hi` end. */
static __always_inline int sl_plain_key_ipv4(const __u8* ip, const __u8* l4, struct sl_flow_key* key) {
  const __be32 src = sl_load_be32(ip + 12), dst = sl_load_be32(ip + 16);
  const __be32 ports = sl_load_be32(l4);
  const __u64 from = (__u64)bpf_ntohl(src) << 16 | sl_read16(l4);
  const __u64 to = (__u64)bpf_ntohl(dst) << 16 | sl_read16(l4 + 2);
  const __u64 swap = (__s64)(to - from) >> 63; /* all ones where the sender is above: no branch to mispredict */
  const __be32 other = (src ^ dst) & (__u32)swap;
  sl_set_ipv4(&key->lo, src ^ other);
  sl_set_ipv4(&key->hi, dst ^ other);
  const __u32 turned = ports << 16 | ports >> 16;
  sl_store_be32(&key->lo_port, ports ^ ((ports ^ turned) & (__u32)swap));
  return swap & 1;
}

static __always_inline int sl_plain_key_ipv6(const __u8* ip, const __u8* l4, struct sl_flow_key* key) {
  const struct sl_addr *src = (const struct sl_addr*)(ip + 8), *dst = (const struct sl_addr*)(ip + 24);
  int order = sl_compare(src, dst);
  int from_hi = order > 0 || (!order && sl_read16(l4) > sl_read16(l4 + 2));
  if (from_hi) {
    sl_copy_addr(&key->lo, dst);
    sl_copy_addr(&key->hi, src);
    key->lo_port = sl_load_be16(l4 + 2);
    key->hi_port = sl_load_be16(l4);
  } else {
    sl_copy_addr(&key->lo, src);
    sl_copy_addr(&key->hi, dst);
    sl_store_be32(&key->lo_port, sl_load_be32(l4));
  }
  return from_hi;
}

/* 0: not plain, or not whole. */
static __always_inline int sl_parse_plain(const __u8* data, const __u8* end, struct sl_flow_key* key,
                                          struct sl_plain* p) {
  const __u8 *ip = data + SL_ETH_LEN, *l4;
  __u8 protocol;
  if (ip + SL_IPV4_LEN + 8 > end) return 0;
  if (sl_load_be16(data + 12) == SL_HTONS(0x0800)) {
    l4 = ip + SL_IPV4_LEN;
    if (ip[0] != 0x45 || (sl_load_be16(ip + 6) & SL_HTONS(0x3fff)) || sl_read16(ip + 2) < SL_IPV4_LEN) return 0;
    protocol = ip[9];
    p->ip_version = 4;
    p->header = SL_ETH_LEN + SL_IPV4_LEN;
    p->from_hi = sl_plain_key_ipv4(ip, l4, key);
  } else if (sl_load_be16(data + 12) == SL_HTONS(0x86dd)) {
    l4 = ip + SL_IPV6_LEN;
    if (l4 + 8 > end || ip[0] >> 4 != 6) return 0;
    protocol = ip[6];
    p->ip_version = 6;
    p->header = SL_ETH_LEN + SL_IPV6_LEN;
    p->from_hi = sl_plain_key_ipv6(ip, l4, key);
  } else {
    return 0;
  }
  if (protocol == SL_IPPROTO_UDP) {
    p->header += 8;
    p->tcp_flags = 0;
  } else if (protocol == SL_IPPROTO_TCP) {
    if (l4 + 20 > end || l4[12] < 5 << 4) return 0;
    p->header += (l4[12] >> 4) * 4;
    p->tcp_flags = l4[13];
  } else {
    return 0;
  }
  p->protocol = protocol;
  sl_store_be32(&key->protocol, protocol); /* with its padding */
  return 1;
}

/* What the flow's entry has to say for the packet to be plain, whatever its verdict. */
static __always_inline int sl_is_settled(const struct sl_judgement* j, const struct sl_flow_entry* entry, __u32 flags,
                                         const struct sl_flow_end* sender, const struct sl_flow_end* receiver,
                                         int reply) {
  if (entry->generation != j->gen || entry->socket_changes != sl_socket_changes()) return 0;
  if (j->sender.has_socket && (flags & sl_ask_bit(reply))) return 0;
  if (!sl_at_its_interface(j, sender, receiver) || sl_is_event_due(j, entry)) return 0;
  return !sl_in_quarantine(sender->endpoint) && !sl_in_quarantine(receiver->endpoint);
}

/* Whether it is known where the short cut leads, where the packet may take one. */
static __always_inline int sl_is_route_settled(const struct sl_judgement* j, const struct sl_flow_entry* entry,
                                               __u32 flags, __u32 to_ifindex, int reply) {
  if (!j->may_route || !to_ifindex || to_ifindex == j->ifindex) return 1;
  return (flags & sl_route_bit(reply)) && sl_is_route_fresh(entry, j->now) && j->route_length <= entry->route_mtu;
}

static __always_inline int sl_judge_plain_known(struct sl_judgement* j, const struct sl_plain* p,
                                                struct sl_flow_entry* entry) {
  const __u32 flags = entry->flags;
  const int reply = p->from_hi != !!(flags & SL_CT_INITIATOR_HI);
  const struct sl_flow_end* sender = reply ? &entry->responder : &entry->initiator;
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  if (entry->reason || (flags & (SL_CT_CUT | SL_CT_QUARANTINED | SL_CT_DECIDING))) return SL_NOT_PLAIN;
  if ((p->tcp_flags & (SL_TCP_SYN | SL_TCP_ACK)) == SL_TCP_SYN) return SL_NOT_PLAIN;
  if (sl_flow_expired(entry, p->protocol, j->now) || !sl_is_settled(j, entry, flags, sender, receiver, reply))
    return SL_NOT_PLAIN;
  if (!sl_is_route_settled(j, entry, flags, receiver->ifindex, reply)) return SL_NOT_PLAIN;
  j->reply = reply;
  j->from_endpoint = sender->endpoint;
  j->to_endpoint = receiver->endpoint;
  j->to_ifindex = receiver->ifindex;
  j->audit = !!(flags & SL_CT_AUDIT);
  if (!sl_is_counted(j, sender))
    sl_flow_add(entry, &j->size, SL_ETH_LEN, p->protocol == SL_IPPROTO_TCP, p->tcp_flags, reply, j->now);
  return SL_DROP_NONE;
}

static __always_inline int sl_judge_plain_denied(struct sl_judgement* j, const struct sl_plain* p) {
  if (j->from_node) return SL_NOT_PLAIN;
  struct sl_flow_entry* entry = bpf_map_lookup_elem(&ct_denied, &j->key);
  if (!entry) {
    j->known_absent = 1;
    return SL_NOT_PLAIN;
  }
  if (!sl_is_denied_still(j, entry, p->from_hi)) return SL_NOT_PLAIN;
  if (!sl_is_settled(j, entry, entry->flags, &entry->initiator, &entry->responder, 0)) return SL_NOT_PLAIN;
  j->from_endpoint = entry->initiator.endpoint;
  j->to_endpoint = entry->responder.endpoint;
  sl_flow_add(entry, &j->size, SL_ETH_LEN, p->protocol == SL_IPPROTO_TCP, p->tcp_flags, 0, j->now);
  return SL_DROP_POLICY_DENIED;
}

/* SL_DROP_NONE or SL_DROP_POLICY_DENIED: decided, and counted in its flow. `*known`: the entry of an established one. */
static __always_inline int sl_judge_plain(struct sl_judgement* j, const struct sl_plain* p,
                                          struct sl_flow_entry** known) {
  j->now = sl_now();
  j->gen = sl_generation();
  *known = bpf_map_lookup_elem(&ct_established, &j->key);
  return *known ? sl_judge_plain_known(j, p, *known) : sl_judge_plain_denied(j, p);
}

/* After sl_judge_plain let it go: 1 when the packet is ready for the receiver. */
static __always_inline int sl_take_short_cut(const struct sl_judgement* j, const struct sl_plain* p,
                                             const struct sl_flow_entry* known, __u8* data, const __u8* data_end) {
  if (!j->may_route || !j->to_ifindex || j->to_ifindex == j->ifindex || !known) return 0;
  return sl_send_on(data, data_end, p->ip_version, j->reply ? &known->reply_route : &known->forward_route);
}

#endif
