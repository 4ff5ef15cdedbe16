/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The short way to a local pod, taken only where the host's own forwarding would have led to the same veth. */
#ifndef SLUICE_REDIRECT_BPF_H
#define SLUICE_REDIRECT_BPF_H

#include <linux/if_packet.h>

#include "bpf/lib/verdict.bpf.h"

#define SL_AF_INET 2
#define SL_AF_INET6 10

/* The FIB's question for this packet. */
static __always_inline void sl_fill_fib(struct bpf_fib_lookup* fib, const struct sl_packet* packet, __u32 ifindex) {
  const struct sl_tuple* tuple = &packet->tuple;
  __builtin_memset(fib, 0, sizeof(*fib));
  fib->ifindex = ifindex;
  fib->l4_protocol = tuple->protocol;
  fib->sport = tuple->src_port;
  fib->dport = tuple->dst_port;
  if (packet->ip_version == 4) {
    fib->family = SL_AF_INET;
    __builtin_memcpy(&fib->ipv4_src, tuple->src.bytes + 12, 4);
    __builtin_memcpy(&fib->ipv4_dst, tuple->dst.bytes + 12, 4);
  } else {
    fib->family = SL_AF_INET6;
    __builtin_memcpy(fib->ipv6_src, tuple->src.bytes, 16);
    __builtin_memcpy(fib->ipv6_dst, tuple->dst.bytes, 16);
  }
}

/* As a router sends it on: with a hop limit that is lower by one, and other MAC addresses. The checksum by RFC 1624, as
 * the word that holds IPv4's TTL falls by 0x100. 0: there is no way, or the limit is used up, or the headers are not in
 * the linear part, and the stack goes on with it. */
static __always_inline int sl_send_on(__u8* data, const __u8* data_end, __u8 ip_version,
                                      const struct sl_flow_route* way) {
  __u8* ip = data + SL_ETH_LEN;
  if (!(sl_load_u64(way->destination) << 16)) return 0;
  if (ip_version == 4) {
    if (ip + SL_IPV4_LEN > data_end || ip[8] <= 1) return 0;
    ip[8]--;
    __u32 sum = (__u32)sl_read16(ip + 10) + 0x100;
    sum = (sum & 0xffff) + (sum >> 16);
    sl_store_be16(ip + 10, SL_HTONS((__u16)sum));
  } else {
    if (ip + SL_IPV6_LEN > data_end || ip[7] <= 1) return 0;
    ip[7]--;
  }
  sl_store_u64(data, sl_load_u64(way->destination));
  sl_store_be32(data + 8, sl_load_be32(way->source + 2));
  return 1;
}

/* The way by the FIB's answer, into the judgement (all 0: there is no short cut) and, where the flow's next packets may
 * be plain ones, into the flow. */
static __always_inline void sl_note_way(struct sl_judgement* j, int found) {
  const __u8 protocol = j->packet.tuple.protocol;
  const struct bpf_fib_lookup* fib = &j->fib;
  struct sl_flow_route* way = &j->way;
  __builtin_memset(way, 0, sizeof(*way));
  if (found) {
    __builtin_memcpy(way->destination, fib->dmac, 6);
    __builtin_memcpy(way->source, fib->smac, 6);
  }
  if (!j->is_known || !j->route_length || j->packet.fragment) return;
  if (protocol != SL_IPPROTO_TCP && protocol != SL_IPPROTO_UDP) return;
  struct sl_flow_entry* entry = sl_entry_at(sl_flow_search(&j->key, SL_FLOW_ALLOWED));
  if (!entry) return;
  if (!sl_is_route_fresh(entry, j->now)) {
    __sync_fetch_and_and(&entry->flags, ~(__u32)(SL_CT_ROUTE_FORWARD | SL_CT_ROUTE_REPLY));
    entry->route_checked = sl_ticks(j->now);
    entry->route_mtu = 0xffff;
  }
  if (found && fib->mtu_result < entry->route_mtu) entry->route_mtu = fib->mtu_result;
  *(j->reply ? &entry->reply_route : &entry->forward_route) = *way;
  __sync_fetch_and_or(&entry->flags, sl_route_bit(j->reply));
}

/* Routed: as a router does it. Returns 1 when the packet is ready for the receiver. */
static __always_inline int sl_route_skb(struct __sk_buff* skb, struct sl_judgement* j) {
  struct bpf_fib_lookup* fib = &j->fib;
  sl_fill_fib(fib, &j->packet, skb->ifindex);
  /* With a length the kernel asks the route's MTU; without, it knows how to measure a GSO packet against the device. */
  fib->tot_len = j->route_length;
  long answer = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
  if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED) return 0; /* shorter ones may go */
  sl_note_way(j, answer == BPF_FIB_LKUP_RET_SUCCESS && fib->ifindex == j->to_ifindex);
  __u8* data = (__u8*)(long)skb->data;
  const __u8* data_end = (__u8*)(long)skb->data_end;
  return sl_send_on(data, data_end, j->packet.ip_version, &j->way);
}

/* Bridged: both are plain ports of one bridge and the frame is addressed to that pod. */
static __noinline int sl_bridges_to(struct __sk_buff* skb, __u32 to_ifindex) {
  __u32 from_ifindex = skb->ifindex;
  __u8 destination[6];
  const struct sl_interface* from = bpf_map_lookup_elem(&interfaces, &from_ifindex);
  const struct sl_interface* to = bpf_map_lookup_elem(&interfaces, &to_ifindex);
  if (!from || !to || !from->bridge || from->bridge != to->bridge) return 0;
  if (bpf_skb_load_bytes(skb, 0, destination, 6)) return 0;
  for (int i = 0; i < 6; i++)
    if (destination[i] != to->pod_mac[i]) return 0;
  return 1;
}

/* tc_from_pod: bridged, 1 when the packet may go straight into the receiver's namespace. */
static __always_inline int sl_can_bridge(struct __sk_buff* skb, const struct sl_judgement* j) {
  return (j->setting_flags & SL_SETTING_REDIRECT) && skb->pkt_type == PACKET_OTHERHOST && !skb->vlan_present &&
         sl_bridges_to(skb, j->to_ifindex);
}

/* Whether the frame was sent to the host as its router. */
static __always_inline int sl_is_for_router_skb(const struct __sk_buff* skb, const struct sl_judgement* j) {
  return (j->setting_flags & SL_SETTING_REDIRECT) && skb->pkt_type == PACKET_HOST && !skb->vlan_present;
}

static __always_inline int sl_is_for_router_xdp(const __u8* data, const __u8* data_end, const struct sl_judgement* j) {
  if (!(j->setting_flags & SL_SETTING_REDIRECT) || data + SL_ETH_LEN > data_end) return 0;
  const struct sl_uplink* card = sl_find_uplink(j->ifindex);
  return card && sl_load_be32(data) == sl_load_be32(card->mac) && sl_load_be16(data + 4) == sl_load_be16(card->mac + 4);
}

/* xdp_uplink: as sl_route_skb, towards a veth whose peer takes frames. */
static __always_inline int sl_route_xdp(struct xdp_md* ctx, struct sl_judgement* j) {
  struct bpf_fib_lookup* fib = &j->fib;
  __u32 to_ifindex = j->to_ifindex;
  long answer = -1;
  if (bpf_map_lookup_elem(&pod_devices, &to_ifindex)) {
    sl_fill_fib(fib, &j->packet, ctx->ingress_ifindex);
    fib->tot_len = j->route_length;
    answer = bpf_fib_lookup(ctx, fib, sizeof(*fib), 0);
    if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED) return 0;
  }
  sl_note_way(j, answer == BPF_FIB_LKUP_RET_SUCCESS && fib->ifindex == to_ifindex);
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* data_end = (__u8*)(long)ctx->data_end;
  return sl_send_on(data, data_end, j->packet.ip_version, &j->way);
}

#endif
