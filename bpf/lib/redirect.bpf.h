/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The short way to a local pod, taken only where the host's own forwarding would have led to the same veth. */
#ifndef SLUICE_REDIRECT_BPF_H
#define SLUICE_REDIRECT_BPF_H

#include <linux/if_packet.h>

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/parse.bpf.h"

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

/* As a router sends it on: with a hop limit that is lower by one, and the MAC addresses of the FIB's answer. The
 * checksum by RFC 1624, as the word that holds IPv4's TTL falls by 0x100. 0: the limit is used up, or the headers are
 * not in the linear part, and the stack goes on with it. */
static __always_inline int sl_send_on(__u8* data, const __u8* data_end, const struct sl_packet* packet,
                                      const struct bpf_fib_lookup* fib) {
  __u8* ip = data + SL_ETH_LEN;
  if (packet->ip_version == 4) {
    if (ip + SL_IPV4_LEN > data_end || ip[8] <= 1) return 0;
    ip[8]--;
    __u32 sum = (__u32)sl_read16(ip + 10) + 0x100;
    sum = (sum & 0xffff) + (sum >> 16);
    ip[10] = sum >> 8;
    ip[11] = sum;
  } else {
    if (ip + SL_IPV6_LEN > data_end || ip[7] <= 1) return 0;
    ip[7]--;
  }
  __builtin_memcpy(data, fib->dmac, 6);
  __builtin_memcpy(data + 6, fib->smac, 6);
  return 1;
}

/* Routed: as a router does it. Returns 1 when the packet is ready for `to_ifindex`. */
static __always_inline int sl_route_skb(struct __sk_buff* skb, const struct sl_packet* packet, __u32 to_ifindex) {
  struct bpf_fib_lookup fib;
  sl_fill_fib(&fib, packet, skb->ifindex);
  /* With a length the kernel asks the route's MTU; without, it knows how to measure a GSO packet against the device. */
  if (!skb->gso_segs) fib.tot_len = (__u16)(skb->len - packet->l3_offset);
  if (bpf_fib_lookup(skb, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex != to_ifindex) return 0;
  __u8* data = (__u8*)(long)skb->data;
  const __u8* data_end = (__u8*)(long)skb->data_end;
  return sl_send_on(data, data_end, packet, &fib);
}

/* Bridged: both are plain ports of one bridge and the frame is addressed to that pod. */
static __always_inline int sl_bridges_to(struct __sk_buff* skb, __u32 to_ifindex) {
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

/* tc_from_pod: 1 when the packet may go straight into the receiver's namespace. */
static __always_inline int sl_can_redirect_skb(struct __sk_buff* skb, const struct sl_packet* packet,
                                               __u32 to_ifindex) {
  if (!to_ifindex || to_ifindex == skb->ifindex || packet->has_vlan || skb->vlan_present) return 0;
  if (skb->pkt_type == PACKET_HOST) return sl_route_skb(skb, packet, to_ifindex);
  if (skb->pkt_type == PACKET_OTHERHOST) return sl_bridges_to(skb, to_ifindex);
  return 0;
}

/* xdp_uplink: as sl_route_skb, for a frame that is addressed to this card, towards a veth whose peer takes frames. */
static __always_inline int sl_route_xdp(struct xdp_md* ctx, const struct sl_packet* packet, __u32 to_ifindex) {
  struct bpf_fib_lookup fib;
  if (packet->has_vlan || !bpf_map_lookup_elem(&pod_devices, &to_ifindex)) return 0;
  const struct sl_uplink* from = sl_find_uplink(ctx->ingress_ifindex);
  if (!from) return 0;
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* data_end = (__u8*)(long)ctx->data_end;
  if (data + SL_ETH_LEN + SL_IPV4_LEN > data_end) return 0;
  for (int i = 0; i < 6; i++)
    if (data[i] != from->mac[i]) return 0;
  sl_fill_fib(&fib, packet, ctx->ingress_ifindex);
  fib.tot_len = (__u16)(ctx->data_end - ctx->data - SL_ETH_LEN);
  if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != BPF_FIB_LKUP_RET_SUCCESS || fib.ifindex != to_ifindex) return 0;
  return sl_send_on(data, data_end, packet, &fib);
}

#endif
