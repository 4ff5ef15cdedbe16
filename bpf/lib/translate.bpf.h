/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Translates packets that leave a pod with a Service's address, because no program at the pod's sockets has done it: a
 * raw socket, a virtual machine, another runtime. tc_from_pod writes a backend's address as the destination, and policy
 * decides about that one. tc_to_pod writes the Service's address into the answers.
 *
 *   TCP SYN, UDP, SCTP INIT      a backend, the same as before while the Service has it
 *   other TCP and SCTP           the connection's backend, also when the Service has lost it
 *   not translated here:         fragments; TCP that began before the pod was enforced on; SCTP to another port, as its
 *                                checksum would change; a pod that is its Service's only backend. Others may translate
 *                                these after this hook, so policy must allow each backend (verdict_service.bpf.h).
 *
 * A flow that is translated here takes no redirect, so that its answers pass tc_to_pod.
 */
#ifndef SLUICE_TRANSLATE_BPF_H
#define SLUICE_TRANSLATE_BPF_H

#include <stddef.h>

#include "bpf/lib/verdict.bpf.h"

#define SL_TCP_CHECKSUM 16 /* offsets in headers */
#define SL_UDP_CHECKSUM 6
#define SL_ICMP_CHECKSUM 2
#define SL_IPV4_CHECKSUM 10
#define SL_ICMP_HEADER 8
#define SL_SCTP_INIT 1
#define SL_CHOICES 4 /* backends that are tried for a new flow */

/* A client of session affinity that is known by its endpoint. Cookies of namespaces are far below. */
#define SL_CLIENT_OF_ENDPOINT(endpoint) (1ULL << 63 | (endpoint))

/* What to write into a packet. */
struct sl_new_address {
  struct sl_addr from;
  struct sl_addr to;
  __be16 from_port;
  __be16 to_port;
  __u16 address;   /* where it is, from the start of the frame */
  __u16 port;      /* the same; 0: there is none */
  __u16 network;   /* IPv4 header whose checksum covers the address; 0: IPv6 */
  __u16 checksum;  /* of the transport header; 0: none covers it */
  __u64 flags;     /* of bpf_l4_csum_replace */
  __u8 ip_version; /* 4 or 6 */
  __u8 is_covered; /* the transport checksum covers the address */
};

static __always_inline __u32 sl_last_word(const struct sl_addr* addr) { return sl_load_be32(addr->bytes + 12); }

/* Returns whether all was written. The packet's memory moves: pointers into it are no longer valid. */
static __noinline int sl_write_address(struct __sk_buff* skb, const struct sl_new_address* w) {
  if (w->ip_version == 4) {
    const __u32 from = sl_last_word(&w->from), to = sl_last_word(&w->to);
    if (w->checksum && w->is_covered && bpf_l4_csum_replace(skb, w->checksum, from, to, w->flags | 4)) return 0;
    if (w->network && bpf_l3_csum_replace(skb, w->network + SL_IPV4_CHECKSUM, from, to, 4)) return 0;
    if (bpf_skb_store_bytes(skb, w->address, &to, 4, 0)) return 0;
  } else {
    const __s64 difference = bpf_csum_diff((__be32*)&w->from, 16, (__be32*)&w->to, 16, 0);
    if (difference < 0) return 0;
    if (w->checksum && w->is_covered && bpf_l4_csum_replace(skb, w->checksum, 0, difference, w->flags)) return 0;
    if (bpf_skb_store_bytes(skb, w->address, &w->to, 16, 0)) return 0;
  }
  if (!w->port || w->from_port == w->to_port) return 1;
  const __u64 flags = w->flags & ~(__u64)BPF_F_PSEUDO_HDR;
  if (w->checksum && bpf_l4_csum_replace(skb, w->checksum, w->from_port, w->to_port, flags | 2)) return 0;
  return !bpf_skb_store_bytes(skb, w->port, &w->to_port, 2, 0);
}

/* The destination (`of_source` 0) or the source of the packet itself. */
static __always_inline int sl_write_end(struct __sk_buff* skb, const struct sl_packet* packet, int of_source,
                                        const struct sl_addr* to, __be16 to_port) {
  const struct sl_tuple* tuple = &packet->tuple;
  const int is_v4 = packet->ip_version == 4;
  struct sl_new_address w = {.from = of_source ? tuple->src : tuple->dst,
                             .to = *to,
                             .from_port = of_source ? tuple->src_port : tuple->dst_port,
                             .to_port = to_port,
                             .address = packet->l3_offset + (is_v4 ? (of_source ? 12 : 16) : (of_source ? 8 : 24)),
                             .port = packet->l3.l4_offset + (of_source ? 0 : 2),
                             .network = is_v4 ? packet->l3_offset : 0,
                             .flags = BPF_F_PSEUDO_HDR,
                             .ip_version = packet->ip_version,
                             .is_covered = 1};
  if (tuple->protocol == SL_IPPROTO_TCP) w.checksum = packet->l3.l4_offset + SL_TCP_CHECKSUM;
  if (tuple->protocol == SL_IPPROTO_UDP) {
    w.checksum = packet->l3.l4_offset + SL_UDP_CHECKSUM;
    w.flags |= BPF_F_MARK_MANGLED_0;
  }
  return sl_write_address(skb, &w);
}

/* The destination of the packet that an ICMP error quotes. IPv4's header checksum makes up for the address, so ICMP's
 * changes by the port only. The quoted transport checksum is left, as nobody verifies it. */
static __always_inline int sl_write_quoted(struct __sk_buff* skb, const struct sl_packet* packet,
                                           const struct sl_addr* to, __be16 to_port) {
  const int is_v4 = packet->ip_version == 4;
  const __u16 quoted = packet->l3.l4_offset + SL_ICMP_HEADER;
  const struct sl_new_address w = {.from = packet->inner.dst,
                                   .to = *to,
                                   .from_port = packet->inner.dst_port,
                                   .to_port = to_port,
                                   .address = quoted + (is_v4 ? 16 : 24),
                                   .port = packet->inner_l3.l4_offset + 2,
                                   .network = is_v4 ? quoted : 0,
                                   .checksum = packet->l3.l4_offset + SL_ICMP_CHECKSUM,
                                   .ip_version = packet->ip_version,
                                   .is_covered = !is_v4};
  return sl_write_address(skb, &w);
}

/* Whether `chosen` has a flow that this Service's translation opened (`wanted` 1), or it has none, such a one, or one
 * that is over (`wanted` 0). Global, as sl_translate_to_backend. */
__noinline int sl_is_flow_to_chosen(int wanted) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  struct sl_tuple* tuple = &j->packet.inner; /* not in use: the packet is no ICMP error */
  *tuple = j->packet.tuple;
  sl_copy_addr(&tuple->dst, &j->use.chosen.backend.addr);
  tuple->dst_port = j->use.chosen.backend.port;
  sl_flow_key_of(tuple, &j->inner_key);
  struct sl_flow_entry* entry = sl_entry_at(sl_flow_search(&j->inner_key, SL_FLOW_ALLOWED));
  if (!entry || sl_flow_expired(entry, tuple->protocol, j->now)) return !wanted;
  const __u32 flags = SL_READ_ONCE(entry->flags);
  const int is_ours = (flags & SL_CT_TRANSLATED) && entry->service == j->use.service.number;
  if (wanted) return is_ours;
  return is_ours || (flags & SL_CT_RESET) || sl_has_both_fins(flags);
}

/* Looks for the connection among the Service's backends. Global, as sl_translate_to_backend. */
__noinline int sl_find_connection(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  for (__u32 i = 0; i < SL_SERVICE_SCAN && i < j->use.service.count; i++) {
    const struct sl_service_backend* backend = sl_backend_at(j->use.service.first + i);
    if (!backend) return 0;
    j->use.chosen.backend = *backend;
    if (sl_is_flow_to_chosen(1)) return 1;
  }
  return 0;
}

static __always_inline struct sl_affinity_key sl_affinity_key_of(const struct sl_evaluation* j) {
  const __u32 ifindex = j->ifindex;
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return (struct sl_affinity_key){.client = SL_CLIENT_OF_ENDPOINT(interface ? interface->endpoint : 0),
                                  .number = j->use.service.number};
}

/* The backend that the Service's session affinity asks for. */
static __always_inline int sl_recall_backend(struct sl_evaluation* j) {
  const struct sl_affinity_key key = sl_affinity_key_of(j);
  struct sl_affinity* last = bpf_map_lookup_elem(&service_affinity, &key);
  if (!last || j->now - last->used_ns > j->use.service.affinity * SL_SECOND_NS) return 0;
  j->use.chosen.backend = last->backend;
  last->used_ns = j->now;
  return sl_has_backend(j->use.service.first, j->use.service.count, &j->use.chosen.backend) && sl_is_flow_to_chosen(0);
}

static __always_inline void sl_keep_backend(struct sl_evaluation* j) {
  const struct sl_affinity_key key = sl_affinity_key_of(j);
  struct sl_affinity* last = &j->use.affinity;
  __builtin_memset(last, 0, sizeof(*last));
  last->backend = j->use.chosen.backend;
  last->used_ns = j->now;
  bpf_map_update_elem(&service_affinity, &key, last, BPF_ANY);
}

/* 1: `chosen` is a backend for a new flow. 0: only the pod itself is left. Below 0: none can be used. Global, as
 * sl_translate_to_backend. */
__noinline int sl_choose_for_flow(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return -1;
  const struct sl_service* service = &j->use.service;
  if (service->affinity && sl_recall_backend(j)) return 1;
  const __u32 start = bpf_get_prandom_u32() % (service->count ?: 1);
  int others = 0;
  for (__u32 i = 0; i < SL_CHOICES && i < service->count; i++) {
    const __u32 index = start + i < service->count ? start + i : start + i - service->count;
    const struct sl_service_backend* backend = sl_backend_at(service->first + index);
    if (!backend) return -1;
    j->use.chosen.backend = *backend;
    if (sl_is_same_addr(&j->use.chosen.backend.addr, &j->packet.tuple.src)) continue;
    others = 1;
    if (!sl_is_flow_to_chosen(0)) continue;
    if (service->affinity) sl_keep_backend(j);
    return 1;
  }
  return others ? -1 : 0;
}

static __always_inline int sl_opens_flow(struct __sk_buff* skb, const struct sl_packet* packet) {
  if (packet->tuple.protocol == SL_IPPROTO_TCP) return sl_is_syn(packet);
  if (packet->tuple.protocol == SL_IPPROTO_UDP) return 1;
  __u8 chunk = 0;
  return !bpf_skb_load_bytes(skb, packet->l3.l4_offset + 12, &chunk, 1) && chunk == SL_SCTP_INIT;
}

/* Sets `chosen`. Returns enum sl_translated, or below 0 if the packet cannot reach any backend. */
static __always_inline int sl_find_backend(struct __sk_buff* skb, struct sl_evaluation* j) {
  const struct sl_tuple* tuple = &j->packet.tuple;
  const struct sl_service* service = &j->use.service;
  struct sl_service_flow_key* key = &j->use.flow;
  __builtin_memset(key, 0, sizeof(*key));
  sl_copy_addr(&key->src, &tuple->src);
  sl_copy_addr(&key->service, &tuple->dst);
  key->src_port = tuple->src_port;
  key->service_port = tuple->dst_port;
  key->protocol = tuple->protocol;
  const struct sl_service_flow* known = bpf_map_lookup_elem(&service_flows, key);
  const int opens = sl_opens_flow(skb, &j->packet);
  if (known && known->number == service->number) {
    j->use.chosen = *known;
    if (!opens || sl_has_backend(service->first, service->count, &j->use.chosen.backend)) return SL_TRANSLATED;
  }
  if (opens) {
    const int chosen = sl_choose_for_flow();
    return chosen > 0 ? SL_TRANSLATED_NEW : chosen;
  }
  return sl_find_connection() ? SL_TRANSLATED_NEW : SL_TRANSLATED_NOT;
}

/* Whether the packet belongs to a flow that is not the Service's: an answer to a client that has the Service's address
 * and port (a node's, where a node port is the Service's), or one that was there before the Service. Global, as
 * sl_translate_to_backend. */
__noinline int sl_is_of_another_flow(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  const int src_hi = sl_flow_key_of(&j->packet.tuple, &j->inner_key);
  struct sl_flow_entry* entry = sl_entry_at(sl_flow_search(&j->inner_key, SL_FLOW_ALLOWED));
  if (!entry || sl_flow_expired(entry, j->packet.tuple.protocol, j->now)) return 0;
  const __u32 flags = SL_READ_ONCE(entry->flags);
  return src_hi != !!(flags & SL_CT_INITIATOR_HI) || !(flags & SL_CT_TO_SERVICE);
}

/*
 * tc_from_pod, after parsing: if the packet is for a Service, gives it the address of a backend, or notes that others
 * will. Returns a drop reason. Global, so that it has a stack of its own and is checked once.
 */
__noinline int sl_translate_to_backend(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  const struct sl_packet* packet = &j->packet;
  const __u8 protocol = packet->tuple.protocol;
  if (protocol != SL_IPPROTO_TCP && protocol != SL_IPPROTO_UDP && protocol != SL_IPPROTO_SCTP) return 0;
  if (packet->control || packet->fragment == SL_FRAGMENT_LATER) return 0;
  if (!sl_look_up_service(j, &packet->tuple.dst, packet->tuple.dst_port, protocol)) return 0;
  j->now = sl_now();
  if (sl_is_of_another_flow()) return 0;
  j->service = j->use.service.number;
  if (!j->use.service.count) {
    j->refused = SL_DROP_SERVICE_NO_BACKEND;
    return 0;
  }
  if (packet->fragment != SL_FRAGMENT_NONE) return 0;
  const int found = sl_find_backend(skb, j);
  if (found < 0) j->refused = SL_DROP_SERVICE_NO_BACKEND;
  if (found <= 0) return 0;
  if (protocol == SL_IPPROTO_SCTP && j->use.chosen.backend.port != packet->tuple.dst_port) return 0;
  if (!sl_write_end(skb, packet, 0, &j->use.chosen.backend.addr, j->use.chosen.backend.port))
    return SL_DROP_MALFORMED_L4;
  sl_copy_addr(&j->packet.tuple.dst, &j->use.chosen.backend.addr);
  j->packet.tuple.dst_port = j->use.chosen.backend.port;
  j->translated = found;
  j->known_absent = 0; /* this was found for the Service's address */
  return 0;
}

/* After the packet was allowed. */
static __always_inline void sl_keep_translation(struct sl_evaluation* j) {
  if (j->translated != SL_TRANSLATED_NEW) return;
  j->use.chosen.number = j->service;
  bpf_map_update_elem(&service_flows, &j->use.flow, &j->use.chosen, BPF_ANY);
}

/* tc_to_pod, after the packet was allowed: puts the Service's address back. Returns a drop reason. Global, as above. */
__noinline int sl_translate_back(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  __u32 number = j->answer_of;
  const struct sl_service_key* service = bpf_map_lookup_elem(&service_numbers, &number);
  if (!service) return SL_DROP_SERVICE_NO_BACKEND;
  j->use.key = *service;
  const int written = j->packet.is_icmp_error ? sl_write_quoted(skb, &j->packet, &j->use.key.addr, j->use.key.port)
                                              : sl_write_end(skb, &j->packet, 1, &j->use.key.addr, j->use.key.port);
  return written ? SL_DROP_NONE : SL_DROP_MALFORMED_L4;
}

#endif
