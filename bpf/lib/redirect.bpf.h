/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The redirect to a local pod: only where the host's own forwarding would lead to the same veth, and only for packets
 * that may skip the host path (host_path.bpf.h). */
#ifndef SLUICE_REDIRECT_BPF_H
#define SLUICE_REDIRECT_BPF_H

#include <linux/if_packet.h>

#include "bpf/lib/verdict.bpf.h"

/* The FIB look-up's input for this packet. */
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

#define SL_MAC_MASK ((1ULL << SL_ROUTE_TAG_SHIFT) - 1)

/* Forwards as a router does: lowers the hop limit by one and sets the MAC addresses. Checksum by RFC 1624, as the word
 * with IPv4's TTL falls by 0x100. 0: no next hop, the hop limit is used up, or the headers are not in the linear part;
 * then the stack gets the packet. */
static __always_inline int sl_send_on(__u8* data, const __u8* data_end, __u8 ip_version,
                                      const struct sl_flow_route* way) {
  __u8* ip = data + SL_ETH_LEN;
  const __u64 destination = way->destination & SL_MAC_MASK, source = way->source;
  if (!destination) return 0;
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
  sl_store_u64(data, destination | source << SL_ROUTE_TAG_SHIFT);
  sl_store_be32(data + 8, (__be32)(source >> 16));
  return 1;
}

static __always_inline __u64 sl_route_tag(__u32 checked) { return (__u64)checked << SL_ROUTE_TAG_SHIFT; }

static __always_inline int sl_is_route_fresh(__u32 checked, __u64 now) {
  return sl_ticks(now) - checked < SL_ROUTE_FRESH;
}

static __always_inline __u16 sl_route_mtu(const struct sl_flow_entry* entry, int reply) {
  return reply ? SL_READ_ONCE(entry->reply_mtu) : SL_READ_ONCE(entry->forward_mtu);
}

static __always_inline int sl_is_of_answer(__u64 word, __u32 checked) {
  return !((word ^ sl_route_tag(checked)) >> SL_ROUTE_TAG_SHIFT);
}

/* The flow's cached next hop in this direction. 0: it must be looked up. */
static __always_inline int sl_read_route(const struct sl_flow_entry* entry, int reply, __u64 now,
                                         struct sl_flow_route* way) {
  const struct sl_flow_route* route = reply ? &entry->reply_route : &entry->forward_route;
  const __u32 checked = SL_READ_ONCE(entry->route_checked);
  way->destination = SL_READ_ONCE(route->destination);
  way->source = SL_READ_ONCE(route->source);
  return sl_is_route_fresh(checked, now) && sl_is_of_answer(way->destination, checked) &&
         sl_is_of_answer(way->source, checked);
}

/* The time of a look-up: the flow's if it is fresh, else a new one. */
static __always_inline __u32 sl_route_time(struct sl_flow_entry* entry, __u64 now) {
  const __u32 checked = SL_READ_ONCE(entry->route_checked);
  if (sl_is_route_fresh(checked, now)) return checked;
  const __u32 found = __sync_val_compare_and_swap(&entry->route_checked, checked, sl_ticks(now));
  return found == checked ? sl_ticks(now) : found;
}

/* Caches the next hop, once for each route_checked: if another CPU is first, does nothing. */
static __noinline int sl_write_route(const struct sl_evaluation* j, __u32 slot, __u32 mtu) {
  struct sl_flow_entry* entry = sl_entry_at(slot);
  if (!entry) return 0;
  struct sl_flow_route* route = j->reply ? &entry->reply_route : &entry->forward_route;
  const __u32 time = sl_route_time(entry, j->now);
  const __u64 before = SL_READ_ONCE(route->source);
  if (sl_is_of_answer(before, time) || sl_is_of_answer(before, time ^ SL_ROUTE_CLAIMED)) return 0;
  if (__sync_val_compare_and_swap(&route->source, before, sl_route_tag(time ^ SL_ROUTE_CLAIMED)) != before) return 0;
  if (!sl_flow_stands(&j->key, slot)) return 0; /* evicted meanwhile */
  SL_WRITE_ONCE(*(j->reply ? &entry->reply_mtu : &entry->forward_mtu), mtu);
  SL_WRITE_ONCE(route->destination, j->way.destination | sl_route_tag(time));
  SL_WRITE_ONCE(route->source, j->way.source | sl_route_tag(time));
  return 0;
}

/* Whether there are foreign programs at an interface (`what`: enum sl_interface_others); 1 if that is not known. Not
 * inlined, to save stack. */
static __noinline int sl_has_others(__u32 ifindex, __u32 what) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return !interface || (interface->others & what);
}

/* Writes the next hop from the FIB look-up into the evaluation (all 0: no redirect) and, if the flow's next packets can
 * take the fast path, into the flow. */
static __always_inline void sl_note_way(struct sl_evaluation* j, int found) {
  const __u8 protocol = j->packet.tuple.protocol;
  const struct bpf_fib_lookup* fib = &j->fib;
  struct sl_flow_route* way = &j->way;
  __builtin_memset(way, 0, sizeof(*way));
  if (found) {
    __builtin_memcpy(&way->destination, fib->dmac, 6);
    __builtin_memcpy(&way->source, fib->smac, 6);
  }
  if (!j->is_known || !j->route_length || j->packet.fragment) return;
  if (protocol != SL_IPPROTO_TCP && protocol != SL_IPPROTO_UDP) return;
  sl_write_route(j, j->slot, found ? fib->mtu_result : 0xffff);
}

/* Forwards as a router does. Returns 1 when the packet is ready for the receiver. */
static __always_inline int sl_route_skb(struct __sk_buff* skb, struct sl_evaluation* j) {
  struct bpf_fib_lookup* fib = &j->fib;
  if (sl_has_others(skb->ifindex, SL_OTHERS_SENT) || sl_has_others(j->to_ifindex, SL_OTHERS_RECEIVED)) {
    sl_note_way(j, 0);
    return 0;
  }
  sl_fill_fib(fib, &j->packet, skb->ifindex);
  /* With a length, the kernel checks the route's MTU; with 0, it compares a GSO packet with the device's MTU. */
  fib->tot_len = j->route_length;
  long answer = bpf_fib_lookup(skb, fib, sizeof(*fib), 0);
  if (answer == BPF_FIB_LKUP_RET_FRAG_NEEDED) return 0; /* shorter packets may still be redirected */
  sl_note_way(j, answer == BPF_FIB_LKUP_RET_SUCCESS && fib->ifindex == j->to_ifindex);
  __u8* data = (__u8*)(long)skb->data;
  const __u8* data_end = (__u8*)(long)skb->data_end;
  return sl_send_on(data, data_end, j->packet.ip_version, &j->way);
}

/* Bridged: both are plain ports of one bridge, and the frame's destination is that pod. */
static __noinline int sl_bridges_to(struct __sk_buff* skb, __u32 to_ifindex) {
  __u32 from_ifindex = skb->ifindex;
  __u8 destination[6] __attribute__((aligned(4)));
  const struct sl_interface* from = bpf_map_lookup_elem(&interfaces, &from_ifindex);
  const struct sl_interface* to = bpf_map_lookup_elem(&interfaces, &to_ifindex);
  if (!from || !to || !from->bridge || from->bridge != to->bridge) return 0;
  if ((from->others & SL_OTHERS_SENT) || (to->others & SL_OTHERS_RECEIVED)) return 0;
  if (bpf_skb_load_bytes(skb, 0, destination, 6)) return 0;
  return sl_is_same_mac(destination, to->pod_mac);
}

/* tc_from_pod, bridged: whether the packet may be redirected straight into the receiver's namespace. */
static __always_inline int sl_can_bridge(struct __sk_buff* skb, const struct sl_evaluation* j) {
  return j->may_pass_host && skb->pkt_type == PACKET_OTHERHOST && !skb->vlan_present &&
         sl_bridges_to(skb, j->to_ifindex);
}

/* Whether the frame is addressed to the host as a router. */
static __always_inline int sl_is_for_router_skb(const struct __sk_buff* skb, const struct sl_evaluation* j) {
  return (j->setting_flags & SL_SETTING_REDIRECT) && skb->pkt_type == PACKET_HOST && !skb->vlan_present;
}

static __always_inline int sl_is_for_router_xdp(const __u8* data, const __u8* data_end, const struct sl_evaluation* j) {
  if (!(j->setting_flags & SL_SETTING_REDIRECT) || data + SL_ETH_LEN > data_end) return 0;
  const struct sl_uplink* card = sl_find_uplink(j->ifindex);
  return card && sl_is_same_mac(data, card->mac);
}

/* xdp_uplink: as sl_route_skb, to a veth whose peer accepts XDP frames. */
static __always_inline int sl_route_xdp(struct xdp_md* ctx, struct sl_evaluation* j) {
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
