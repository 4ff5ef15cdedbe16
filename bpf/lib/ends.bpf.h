/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The workloads at the ends of a packet or flow, and whether the packet is at the interface of its end. */
#ifndef SLUICE_ENDS_BPF_H
#define SLUICE_ENDS_BPF_H

#include "bpf/lib/evaluation.bpf.h"

static __always_inline void sl_end_of(struct sl_flow_end* end, const struct sl_address_value* who) {
  end->identity = who->identity;
  end->workload = who->workload;
  end->endpoint = who->endpoint;
  end->ifindex = who->ifindex;
}

/* Whether the frame has the workload's MAC address. Otherwise a pod's frames could teach a bridge that other pods' MAC
 * addresses are behind its port. */
static __always_inline int sl_has_own_mac(const struct sl_evaluation* j, __u32 endpoint) {
  const struct sl_endpoint_mac* own = bpf_map_lookup_elem(&endpoint_macs, &endpoint);
  if (!own) return 0;
  return sl_is_same_mac(own->mac, j->source_mac) || (!sl_load_be32(own->mac) && !sl_load_be16(own->mac + 4));
}

/* Whether `by` routes or bridges for the interface. Then the packet was forwarded, and its sender's own hook has seen
 * it at the port. It can be both devices, where both answer for one gateway address (ARP). Global, as
 * sl_resolve. Rarely needed: only for a packet that came neither from the node nor by the interface of its source's
 * workload. */
__noinline int sl_is_in(__u32 ifindex, __u32 by) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface && (interface->master == by || interface->bridge == by);
}

/* tc_to_pod: whether a packet with a local workload's source address came by that workload's interface. */
static __always_inline int sl_came_by(const struct sl_evaluation* j, __u32 ifindex) {
  return j->from_ifindex == ifindex || (j->from_ifindex && sl_is_in(ifindex, j->from_ifindex));
}

/* The packet must come from, or go to, the interface that its flow belongs to. A packet of a known flow that the node
 * made (a fragment of a packet that it reassembled) passes, as it has no ingress interface. */
static __always_inline int sl_at_its_interface(const struct sl_evaluation* j, const struct sl_flow_end* sender,
                                               const struct sl_flow_end* receiver) {
  if (j->hook == SL_HOOK_TC_FROM_POD) return sender->ifindex == j->ifindex && sl_has_own_mac(j, sender->endpoint);
  if (j->hook == SL_HOOK_TC_TO_POD)
    return receiver->ifindex == j->ifindex && (!sender->ifindex || !j->from_ifindex || sl_came_by(j, sender->ifindex));
  return receiver->ifindex && !sender->ifindex && sender->identity >> SL_IDENTITY_KIND_SHIFT != SL_KIND_NODE;
}

/* tc_to_pod: the sender's hook has counted the packet in this flow. Its note was at most `path_fresh` old then; the
 * packet may have waited in a queue of the host since. */
static __always_inline int sl_is_counted(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  return j->hook == SL_HOOK_TC_TO_POD && j->from_ifindex &&
         sl_is_counted_within(entry, reply, j->now, 2 * j->path_fresh);
}

/* Whether `to_ifindex` is the host end of another local pod's veth. */
static __always_inline int sl_is_other_pod(const struct sl_evaluation* j, __u32 to_ifindex) {
  return to_ifindex && to_ifindex != j->ifindex;
}

/* An address of the workload behind an interface; null: not the interface of a workload. */
static __always_inline const struct sl_addr* sl_owner_of(__u32 ifindex) {
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface ? &interface->address : 0;
}

/*
 * The workload at an end of a known flow now. The end's address may be in no table (a virtual or multicast address):
 * then it is still the workload behind the end's interface.
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

/* Whether the end still has the same workload. If either one is not known, it counts as the same. */
static __always_inline int sl_is_same_end(const struct sl_flow_end* end, const struct sl_address_value* who) {
  if (!end->workload || !who->workload) return 1;
  return end->workload == who->workload && (!end->endpoint || !who->endpoint || end->endpoint == who->endpoint);
}

/* The last known workload is kept, so that the next one at this address is seen as another. */
static __always_inline void sl_renew_end(struct sl_flow_end* end, const struct sl_address_value* who) {
  const __u32 workload = who->workload ?: end->workload;
  sl_end_of(end, who);
  end->workload = workload;
}

/* The workload behind the hook's interface in this generation; UNKNOWN_ENDPOINT until there is one. */
static __always_inline int sl_resolve_owner(const struct sl_evaluation* j, struct sl_address_value* who) {
  const struct sl_addr* owner = sl_owner_of(j->ifindex);
  if (!owner) return SL_DROP_UNKNOWN_ENDPOINT;
  sl_resolve(owner, j->gen & 1, who);
  return who->ifindex == j->ifindex ? SL_DROP_NONE : SL_DROP_UNKNOWN_ENDPOINT;
}

/* The source 0.0.0.0, as DHCP clients use it (RFC 2131, 4.1). */
static __always_inline int sl_is_dhcp_request(const struct sl_tuple* tuple) {
  return tuple->protocol == SL_IPPROTO_UDP && tuple->src_port == SL_HTONS(68) && tuple->dst_port == SL_HTONS(67) &&
         !sl_load_be32(tuple->src.bytes + 12) && sl_load_be32(tuple->dst.bytes + 12) == ~(__be32)0;
}

/* Whether the address is the link-local one of the workload behind the interface. Link-local addresses are in no
 * table. */
static __always_inline int sl_is_on_link_address(const struct sl_interface* interface, const struct sl_addr* addr) {
  if (sl_is_mapped_ipv4(addr))
    return interface->link_local4 && sl_load_be32(addr->bytes + 12) == interface->link_local4;
  return !sl_is_unspecified(addr) && sl_is_same_addr(addr, &interface->link_local);
}

/* The sender of a packet with such a source address. Global, as few packets have one. Returns whether it set `source`
 * to that workload. */
__noinline int sl_resolve_on_link(const struct sl_evaluation* j, __u32 ifindex, struct sl_address_value* source) {
  if (!j || !source) return 0;
  const struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  if (!interface) return 0;
  const int is_dhcp = sl_is_mapped_ipv4(&tuple->src) && sl_is_dhcp_request(tuple);
  if (!is_dhcp && !sl_is_on_link_address(interface, &tuple->src)) return 0;
  struct sl_address_value owner;
  sl_resolve(&interface->address, j->gen & 1, &owner);
  if (owner.ifindex != ifindex) return 0;
  *source = owner;
  return 1;
}

/* Whether the sender may use this source address at this hook. Where the address does not name the workload behind the
 * interface, `source` is set to that workload, also if the address is forged. */
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
  /* An address of this node or of its workloads cannot be the source of a packet from the uplink. */
  if (j->hook == SL_HOOK_XDP_UPLINK && (source->ifindex || source->identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE))
    return SL_DROP_SPOOFED_SOURCE;
  return SL_DROP_NONE;
}

#endif
