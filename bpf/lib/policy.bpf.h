/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The compiled policy's answer for one new flow. Tests compare it with the same in C++,
 * tests/support/table_lookup.cc. */
#ifndef SLUICE_POLICY_BPF_H
#define SLUICE_POLICY_BPF_H

#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/parse.bpf.h"
#include "bpf/lib/probe_start.h"
#include "bpf/lib/process_class_maps.bpf.h"
#include "bpf/lib/result.bpf.h"

/* Entries of one epoch; the maps hold two. Set by the loader. */
const volatile __u32 epoch_addresses = 131072;
const volatile __u32 epoch_ports = 262144;
const volatile __u32 epoch_peers = 1048576;

/* A flow's first packet, and the policy's answer. */
struct sl_policy_question {
  /* in */
  struct sl_address_value source;
  struct sl_address_value destination;
  __u32 epoch;
  __u32 service; /* protocol << 16 | destination port */
  __u32 from_node;
  sl_process_class_number source_class; /* of the process at that end; 0: not known */
  sl_process_class_number destination_class;
  __u32 reversed;             /* the packet is an answer: its sender is the destination */
  __u32 may_resolve_receiver; /* the class above can be looked up: sl_decide may return SL_RESOLVE_RECEIVER */
  __u64 source_socket;        /* the socket that named that process, for the flow's entry */
  __u64 destination_socket;
  /* out */
  __u32 egress_decision;
  __u32 ingress_decision;
  __u32 audit;      /* allowed, but a policy in audit would have denied it */
  __u32 by_process; /* SL_CT_BY_*: the answer depends on that end's process */
};

/* Null: the epoch has no such entry. */
static __always_inline const struct sl_address_value* sl_find_address(__u32 epoch, const struct sl_addr* addr) {
  const __u32 entries = epoch_addresses;
  const struct sl_settings* agent = sl_settings_in_force();
  if (!agent) return 0;
  __u32 index = epoch * SL_EPOCH_SLOTS(entries) + sl_address_start(agent->hash_seeds, addr, SL_EPOCH_STARTS(entries));
  for (int i = 0; i < SL_MAX_PROBES; i++, index++) {
    const struct sl_address_entry* entry = bpf_map_lookup_elem(&addresses, &index);
    if (!entry || entry->value.identity == SL_IDENTITY_UNKNOWN) return 0;
    __u64 differs = (sl_load_u64(entry->addr.bytes) ^ sl_load_u64(addr->bytes)) |
                    (sl_load_u64(entry->addr.bytes + 8) ^ sl_load_u64(addr->bytes + 8));
    barrier_var(differs); /* keeps it one comparison: with two, the verifier walks on from each */
    if (!differs) return &entry->value;
  }
  return 0;
}

/* The identity of an address that is no pod's and not the node's: that of its longest prefix. */
static __always_inline __u32 sl_prefix_identity(const struct sl_addr* addr, __u32 epoch) {
  const struct sl_prefix_key prefix = {.prefixlen = 32 + 128, .epoch = bpf_htonl(epoch), .addr = *addr};
  const struct sl_prefix_value* value = bpf_map_lookup_elem(&prefixes, &prefix);
  if (value) return value->identity;
  return ((sl_is_mapped_ipv4(addr) ? (__u32)SL_KIND_WORLD4 : (__u32)SL_KIND_WORLD6) << SL_IDENTITY_KIND_SHIFT) |
         SL_IDENTITY_PLAIN;
}

/* The owner of an address: one hash look-up for pods and the node, and one more in the trie for all other addresses.
 * Returns whether it is a pod's or the node's. Global, so that the verifier checks it once, and not on every path to
 * it. */
__noinline int sl_resolve(const struct sl_addr* addr, __u32 epoch, struct sl_address_value* out) {
  if (!addr || !out) return 0;
  const struct sl_address_value* known = sl_find_address(epoch, addr);
  if (known) {
    *out = *known;
    return 1;
  }
  __builtin_memset(out, 0, sizeof(*out));
  out->identity = sl_prefix_identity(addr, epoch);
  return 0;
}

/* 1: a process of this class meets the condition; 0: it does not. `class` null: nothing is known of the process.
 * Global, so that the verifier does not follow each set of conditions that are met by itself. */
__noinline __u32 sl_meets(const struct sl_process_class* class, const struct sl_process_condition* condition,
                          __u32 epoch) {
  if (!condition) return 0;
  const __u64 binaries = class ? class->binaries[epoch & 1] : 0, ancestors = class ? class->ancestors[epoch & 1] : 0;
  const int knows_binary = class && class->facts.program != SL_PROGRAM_UNKNOWN;
  const int knows_ancestors = class && !(class->facts.flags & SL_CLASS_MORE_ANCESTORS);
  const int by_binary = !condition->binaries || (condition->binaries & binaries);
  const int by_ancestor = !condition->ancestors || (condition->ancestors & ancestors);
  const int is_not = (!by_binary && knows_binary) || (!by_ancestor && knows_ancestors);
  return !is_not && ((by_binary && by_ancestor) || condition->if_unknown);
}

/* The index of the outcome of `process_verdict` for a process of this class. */
static __always_inline __u32 sl_choose(const struct sl_process_verdict* process_verdict, sl_process_class_number number,
                                       __u32 epoch) {
  const struct sl_process_class* class = number ? bpf_map_lookup_elem(&process_classes, &number) : 0;
  __u32 met = 0;
  for (__u32 i = 0; i < SL_MAX_PROCESS_CONDITIONS; i++) {
    if (i >= process_verdict->count) break;
    met |= sl_meets(class, &process_verdict->conditions[i], epoch) << i;
  }
  return met;
}

/* The entry with the answer, where `entry` depends on the process; null: the tables have none. */
static __always_inline const struct sl_port_entry* sl_outcome_of(const struct sl_port_entry* entry,
                                                                 sl_process_class_number class, __u32 epoch) {
  __u32 index = epoch * SL_MAX_PROCESS_VERDICTS + entry->decision;
  const struct sl_process_verdict* process_verdict = bpf_map_lookup_elem(&process_verdicts, &index);
  if (!process_verdict) return 0;
  index = epoch * epoch_ports + process_verdict->outcomes + sl_choose(process_verdict, class, epoch);
  return bpf_map_lookup_elem(&ports, &index);
}

/* The range of `ports` as first << 32 | count. 0: the epoch has no such entry. Global, as sl_resolve. */
__noinline __u64 sl_find_peer(__u32 epoch, __u32 ruleset, __u32 identity) {
  const __u32 entries = epoch_peers;
  const struct sl_settings* agent = sl_settings_in_force();
  if (!agent) return 0;
  __u32 index =
      epoch * SL_EPOCH_SLOTS(entries) + sl_peer_start(agent->hash_seeds, ruleset, identity, SL_EPOCH_STARTS(entries));
  for (int i = 0; i < SL_MAX_PROBES; i++, index++) {
    const struct sl_peer_entry* entry = bpf_map_lookup_elem(&peers, &index);
    if (!entry || !entry->range.count) return 0;
    __u32 differs = (entry->ruleset ^ ruleset) | (entry->identity ^ identity);
    barrier_var(differs); /* as in sl_find_address */
    if (!differs) return (__u64)entry->range.first << 32 | entry->range.count;
  }
  return 0;
}

/* The local workload that has the address; 0: none. Global, as sl_resolve. */
__noinline __u32 sl_endpoint_at(const struct sl_addr* addr, __u32 epoch) {
  const struct sl_address_value* who = addr ? sl_find_address(epoch, addr) : 0;
  return who ? who->endpoint : 0;
}

/* One direction: may `identity` be the peer of a workload with `ruleset` for this service? Returns a drop reason, or
 * SL_RESOLVE_RECEIVER. Global, as sl_resolve. */
__noinline int sl_check_ruleset(struct sl_policy_question* question, __u32 ruleset, __u32 identity, int ingress) {
  if (!question) return SL_DROP_RULESET_MISSING;
  __u32 epoch = question->epoch & 1, service = question->service;
  __u64 range = sl_find_peer(epoch, ruleset, identity);
  if (!range) range = sl_find_peer(epoch, ruleset, SL_IDENTITY_ANY_OF_KIND(identity >> SL_IDENTITY_KIND_SHIFT));
  if (!range) return SL_DROP_RULESET_MISSING;
  __u32 low = (__u32)(range >> 32) + epoch * epoch_ports, count = range;
  for (int i = 0; i < SL_MAX_SEARCH_STEPS; i++) {
    if (count <= 1) break;
    __u32 half = count / 2, middle = low + half;
    const struct sl_port_entry* entry = bpf_map_lookup_elem(&ports, &middle);
    if (!entry) return SL_DROP_RULESET_MISSING;
    /* All ones: the answer is in the upper half. Without a branch, as each one would double the verifier's paths. */
    __s64 upper = (__s64)service - entry->start;
    barrier_var(upper);
    upper = ~(upper >> 63);
    barrier_var(upper);
    low += half & (__u32)upper;
    count = half + (count & 1 & (__u32)upper);
  }
  const struct sl_port_entry* entry = bpf_map_lookup_elem(&ports, &low);
  if (!entry) return SL_DROP_RULESET_MISSING;
  if (entry->flags & SL_PORT_BY_PROCESS) {
    if (ingress && question->may_resolve_receiver) return SL_RESOLVE_RECEIVER;
    question->by_process |= ingress ? SL_CT_BY_RESPONDER : SL_CT_BY_INITIATOR;
    entry = sl_outcome_of(entry, ingress ? question->destination_class : question->source_class, epoch);
    if (!entry) return SL_DROP_RULESET_MISSING;
  }
  if (ingress)
    question->ingress_decision = entry->decision;
  else
    question->egress_decision = entry->decision;
  if (entry->flags & SL_PORT_AUDIT) question->audit = 1;
  return entry->verdict == SL_VERDICT_ALLOW ? SL_DROP_NONE : SL_DROP_POLICY_DENIED;
}

/* Evaluates both ends of a flow, each if it is a local workload. Returns a drop reason, or SL_RESOLVE_RECEIVER. */
static __always_inline int sl_decide(struct sl_policy_question* q) {
  int reason = SL_DROP_NONE;
  q->egress_decision = q->ingress_decision = q->audit = q->by_process = 0;
  if (q->from_node) return SL_DROP_NONE;                                                        /* rule 14: probes */
  if (q->source.endpoint && q->source.endpoint == q->destination.endpoint) return SL_DROP_NONE; /* rule 14: itself */
  if (q->source.ifindex && q->source.egress_ruleset != SL_RULESET_NONE)
    reason = sl_check_ruleset(q, q->source.egress_ruleset, q->destination.identity, 0);
  /* Also after a denial at the source, so that the flow has both ends' decisions. */
  if (q->destination.ifindex && q->destination.ingress_ruleset != SL_RULESET_NONE) {
    int ingress = sl_check_ruleset(q, q->destination.ingress_ruleset, q->source.identity, 1);
    if (!reason || ingress == SL_RESOLVE_RECEIVER) reason = ingress;
  }
  if (reason) q->audit = 0;
  return reason;
}

#endif
