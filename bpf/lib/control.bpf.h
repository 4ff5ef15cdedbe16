/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Link control: ARP, neighbour discovery, multicast membership. A link needs it, so policy is not evaluated for it, and
 * it passes in quarantine. Therefore it must be genuine:
 *
 *   from a pod   in the form that hosts send (bpf/lib/parse.bpf.h), from its own MAC and addresses, only about its own
 *                addresses, to a receiver on the link, and within its budget; never a message that only routers send
 *   to a pod     not about another local workload's address, unless it came from that workload
 *   from uplinks passes; the pod's own hook sees it
 */
#ifndef SLUICE_CONTROL_BPF_H
#define SLUICE_CONTROL_BPF_H

#include "bpf/lib/verdict.bpf.h"

/* Longest frame that may contain padding up to Ethernet's minimum, VLAN tags included. */
#define SL_SHORTEST_FRAME 68

static __always_inline int sl_is_link_local(const struct sl_addr* addr) {
  return addr->bytes[0] == 0xfe && (addr->bytes[1] & 0xc0) == 0x80;
}

static __always_inline int sl_is_same_64(const struct sl_addr* a, const struct sl_addr* b) {
  return sl_load_u64(a->bytes) == sl_load_u64(b->bytes);
}

/* Whether the workload behind the interface has this address. */
static __always_inline int sl_is_its(const struct sl_evaluation* j, const struct sl_interface* interface,
                                     const struct sl_addr* addr) {
  struct sl_address_value who;
  if (sl_is_on_link_address(interface, addr)) return 1;
  sl_resolve(addr, j->gen & 1, &who);
  return who.ifindex == j->ifindex;
}

/* Whether an ICMPv6 message stays on the link, or is for the node or a local workload, whose hook sees it. On a bridge
 * there may be other hosts on the link: those in the /64 of `own`. */
static __always_inline int sl_stays_on_link(const struct sl_evaluation* j, const struct sl_interface* interface,
                                            const struct sl_addr* own) {
  const struct sl_addr* to = &j->packet.tuple.dst;
  if (sl_is_multicast6(to) || sl_is_link_local(to)) return 1;
  struct sl_address_value who;
  sl_resolve(to, j->gen & 1, &who);
  if (who.ifindex || who.identity >> SL_IDENTITY_KIND_SHIFT == SL_KIND_NODE) return 1;
  return interface->master && sl_is_same_64(own, to);
}

/* Two CPUs at the same time may pass one frame too many. */
static __always_inline int sl_is_link_budget_spent(const struct sl_evaluation* j, __u32 endpoint) {
  const __u64 rate = sl_in_quarantine(endpoint) ? SL_LINK_CONTROL_RATE_CUT_OFF : SL_LINK_CONTROL_RATE;
  __u64* paid = bpf_map_lookup_elem(&link_budgets, &endpoint);
  if (!paid) return 1;
  __u64 since = SL_READ_ONCE(*paid);
  if (j->now > SL_SECOND_NS && since < j->now - SL_SECOND_NS) since = j->now - SL_SECOND_NS;
  const __u64 until = since + j->size.bytes * (SL_SECOND_NS / rate);
  if (until > j->now) return 1;
  SL_WRITE_ONCE(*paid, until);
  return 0;
}

/* Bytes beyond the length in the headers could carry any data. */
static __always_inline int sl_is_overlong(const struct sl_evaluation* j) {
  const __u32 bytes = j->size.bytes;
  return bytes > SL_SHORTEST_FRAME && bytes > (__u32)j->packet.l3.l4_offset + j->packet.l3.l4_bytes;
}

static __always_inline int sl_check_control_from_pod(struct sl_evaluation* j) {
  const struct sl_packet* packet = &j->packet;
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &j->ifindex);
  struct sl_address_value owner;
  if (!interface || sl_resolve_owner(j, &owner)) return SL_DROP_UNKNOWN_ENDPOINT;
  j->from_endpoint = owner.endpoint;
  if (!sl_has_own_mac(j, owner.endpoint)) return SL_DROP_SPOOFED_SOURCE;
  if (packet->control == SL_CONTROL_ROUTER || !packet->control_ok || sl_is_overlong(j)) return SL_DROP_LINK_CONTROL;
  if (packet->control == SL_CONTROL_ARP || packet->control == SL_CONTROL_PROBE) {
    if (!sl_is_its(j, interface, &packet->target)) return SL_DROP_SPOOFED_SOURCE;
  } else {
    const struct sl_addr* from = &packet->tuple.src;
    const int is_nobody = sl_is_mapped_ipv4(from) ? !sl_load_be32(from->bytes + 12) : sl_is_unspecified(from);
    if (!is_nobody && !sl_is_its(j, interface, from)) return SL_DROP_SPOOFED_SOURCE;
    /* A host that probes an address (RFC 4862, 5.4) gives it up if another host probes it too. */
    const int tries = packet->control == SL_CONTROL_SOLICIT && is_nobody;
    if ((tries || packet->control == SL_CONTROL_ADVERTISE) && !sl_is_its(j, interface, &packet->target))
      return SL_DROP_SPOOFED_SOURCE;
    if (packet->control == SL_CONTROL_ADVERTISE && !sl_stays_on_link(j, interface, &packet->target))
      return SL_DROP_LINK_CONTROL;
    if (packet->control == SL_CONTROL_SOLICIT && !sl_stays_on_link(j, interface, from)) return SL_DROP_LINK_CONTROL;
  }
  return sl_is_link_budget_spent(j, owner.endpoint) ? SL_DROP_LINK_CONTROL : SL_DROP_NONE;
}

static __always_inline int sl_check_control_to_pod(struct sl_evaluation* j) {
  const struct sl_packet* packet = &j->packet;
  struct sl_address_value who;
  const int unknown = sl_resolve_owner(j, &who);
  if (unknown) return unknown;
  j->to_endpoint = who.endpoint;
  if (!j->from_ifindex) return SL_DROP_NONE;                    /* also from the node as a proxy for others */
  if (packet->control == SL_CONTROL_PROBE) return SL_DROP_NONE; /* the address's owner answers it */
  const int claims_target = packet->control == SL_CONTROL_ARP || packet->control == SL_CONTROL_ADVERTISE;
  sl_resolve(claims_target ? &packet->target : &packet->tuple.src, j->gen & 1, &who);
  return !who.ifindex || sl_came_by(j, who.ifindex) ? SL_DROP_NONE : SL_DROP_SPOOFED_SOURCE;
}

/* Returns SL_LINK_CONTROL or a drop reason; SL_DROP_NONE: no objection here, policy is still to be evaluated. Works
 * on this CPU's evaluation; global for the same reason as sl_evaluate. */
__noinline int sl_check_control(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  j->gen = sl_generation();
  j->now = sl_now();
  if (j->packet.kind != SL_PACKET_CONTROL) /* ICMP that only routers send */
    return j->hook == SL_HOOK_TC_FROM_POD ? SL_DROP_LINK_CONTROL : SL_DROP_NONE;
  int reason = SL_DROP_NONE;
  if (j->hook == SL_HOOK_TC_FROM_POD) reason = sl_check_control_from_pod(j);
  if (j->hook == SL_HOOK_TC_TO_POD) reason = sl_check_control_to_pod(j);
  return reason ?: SL_LINK_CONTROL;
}

#endif
