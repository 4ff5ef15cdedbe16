/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Who is at the ends of a packet and of a flow, and whether the packet comes from where they are. */
#ifndef SLUICE_ENDS_BPF_H
#define SLUICE_ENDS_BPF_H

#include "bpf/lib/evaluation.bpf.h"

static __always_inline void sl_end_of(struct sl_flow_end* end, const struct sl_address_value* who) {
  end->identity = who->identity;
  end->workload = who->workload;
  end->endpoint = who->endpoint;
  end->ifindex = who->ifindex;
}

/* Whether the frame has the workload's MAC address. Without this a pod's frames would teach a bridge that others'
 * addresses are behind its port. */
static __always_inline int sl_has_own_mac(const struct sl_evaluation* j, __u32 endpoint) {
  const struct sl_endpoint_mac* own = bpf_map_lookup_elem(&endpoint_macs, &endpoint);
  if (!own) return 0;
  return sl_is_same_mac(own->mac, j->source_mac) || (!sl_load_be32(own->mac) && !sl_load_be16(own->mac + 4));
}

/* Not inlined: asked where a packet came neither by the interface of the workload that has its source, nor from the
 * node. By the device that routes for it, or by its bridge, it came as a router sends it on: its own hook has seen it
 * at the port. By both, where both answer for one gateway address (ARP). */
static __noinline int sl_is_in(__u32 ifindex, __u32 by) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface && (interface->master == by || interface->bridge == by);
}

/* tc_to_pod: whether what has a local workload's source address came by that workload's interface. */
static __always_inline int sl_came_by(const struct sl_evaluation* j, __u32 ifindex) {
  return j->from_ifindex == ifindex || (j->from_ifindex && sl_is_in(ifindex, j->from_ifindex));
}

/* The packet must have come from, or go to, the interface its flow belongs to. Of a known flow, what the node made (a
 * fragment of what it put together) passes: it does not say where that came in. */
static __always_inline int sl_at_its_interface(const struct sl_evaluation* j, const struct sl_flow_end* sender,
                                               const struct sl_flow_end* receiver) {
  if (j->hook == SL_HOOK_TC_FROM_POD) return sender->ifindex == j->ifindex && sl_has_own_mac(j, sender->endpoint);
  if (j->hook == SL_HOOK_TC_TO_POD)
    return receiver->ifindex == j->ifindex && (!sender->ifindex || !j->from_ifindex || sl_came_by(j, sender->ifindex));
  return receiver->ifindex && !sender->ifindex && sender->identity >> SL_IDENTITY_KIND_SHIFT != SL_KIND_NODE;
}

/* tc_to_pod: the sender's hook has counted the packet in this flow. It said so at most `path_fresh` before the packet,
 * which may have waited since, in a queue of the host. */
static __always_inline int sl_is_counted(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  return j->hook == SL_HOOK_TC_TO_POD && j->from_ifindex &&
         sl_is_counted_within(entry, reply, j->now, 2 * j->path_fresh);
}

/* Whether `to_ifindex` is the host end of another local pod's veth. */
static __always_inline int sl_is_other_pod(const struct sl_evaluation* j, __u32 to_ifindex) {
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
static __always_inline void sl_resolve_end(const struct sl_addr* addr, const struct sl_flow_end* end, __u32 epoch,
                                           struct sl_address_value* who) {
  sl_resolve(addr, epoch, who);
  if (who->workload || !end->ifindex || who->identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE) return;
  const struct sl_addr* owner = sl_owner_of(end->ifindex);
  struct sl_address_value owner_is;
  if (!owner || !sl_resolve(owner, epoch, &owner_is)) return;
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

/* Who is behind the hook's interface by this generation; UNKNOWN_ENDPOINT until somebody is. */
static __always_inline int sl_resolve_owner(const struct sl_evaluation* j, struct sl_address_value* who) {
  const struct sl_addr* owner = sl_owner_of(j->ifindex);
  if (!owner) return SL_DROP_UNKNOWN_ENDPOINT;
  sl_resolve(owner, j->gen & 1, who);
  return who->ifindex == j->ifindex ? SL_DROP_NONE : SL_DROP_UNKNOWN_ENDPOINT;
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
static __noinline int sl_resolve_on_link(const struct sl_evaluation* j, __u32 ifindex,
                                         struct sl_address_value* source) {
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

/* Whether the sender may use this source address there. `source` becomes the workload behind the interface where the
 * address does not say so: also where the address is forged. */
static __always_inline int sl_check_source(const struct sl_evaluation* j, struct sl_address_value* source) {
  if (j->hook == SL_HOOK_TC_FROM_POD) {
    if (source->ifindex != j->ifindex && !sl_resolve_on_link(j, j->ifindex, source)) {
      struct sl_address_value owner;
      if (sl_resolve_owner(j, &owner)) return SL_DROP_UNKNOWN_ENDPOINT;
      *source = owner;
      return SL_DROP_SPOOFED_SOURCE;
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

#endif
