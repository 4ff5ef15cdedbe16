/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides which flow a later fragment belongs to: it takes the ports of its packet's first fragment. The table is in
 * bpf/lib/fragments.bpf.h.
 */
#ifndef SLUICE_VERDICT_FRAGMENT_BPF_H
#define SLUICE_VERDICT_FRAGMENT_BPF_H

#include "bpf/lib/ends.bpf.h"

/* The endpoint whose fragment table has this packet; a multicast packet uses that of the interface's workload. 0: no
 * local endpoint. Also sets `fragment_hash`. Global, so that its code exists once. */
__noinline __u32 sl_find_fragment_owner(void) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  struct sl_address_value* who = &j->question.destination; /* not in use: before policy is evaluated, or after */
  j->fragment_hash = sl_fragment_hash(&j->packet, &j->fragment_key);
  const __u32 owner = sl_fragment_owner(&j->packet.tuple, j->gen & 1);
  if (owner || j->hook != SL_HOOK_TC_TO_POD) return owner;
  return sl_resolve_owner(j, who) ? 0 : who->endpoint;
}

/*
 * Stores a first fragment's ports. A denied packet stores them too, so that its later fragments are denied for the same
 * reason, but not if its source is spoofed. Global, so that the verifier checks it once, as the next function.
 */
__noinline int sl_remember_fragment(const struct sl_evaluation* j, int reason) {
  if (!j) return 0;
  const struct sl_packet* packet = &j->packet;
  if (packet->fragment != SL_FRAGMENT_FIRST || j->not_local) return 0;
  if (reason == SL_DROP_SPOOFED_SOURCE || reason == SL_DROP_UNKNOWN_ENDPOINT || reason == SL_DROP_WRONG_RECEIVER)
    return 0;
  const struct sl_fragment_value ports = {.src_port = packet->tuple.src_port,
                                          .dst_port = packet->tuple.dst_port,
                                          .protocol = packet->tuple.protocol,
                                          .icmp_type = packet->icmp_type,
                                          .icmp_code = packet->icmp_code,
                                          .time = sl_fragment_time(j->now)};
  const __u32 owner = sl_find_fragment_owner();
  sl_put_fragment(owner, j->fragment_hash, &ports);
  return 0;
}

/* Gives a later fragment the ports of the first one. */
__noinline int sl_follow_fragment(struct sl_evaluation* j) {
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_packet* packet = &j->packet;
  if (packet->fragment != SL_FRAGMENT_LATER) return SL_DROP_NONE;
  const __u32 owner = sl_find_fragment_owner();
  struct sl_fragment_value first;
  if (!sl_get_fragment(owner, j->fragment_hash, j->now, &first)) return SL_DROP_FRAGMENT_NOT_FOUND;
  packet->tuple.src_port = first.src_port;
  packet->tuple.dst_port = first.dst_port;
  packet->tuple.protocol = first.protocol;
  packet->icmp_type = first.icmp_type;
  packet->icmp_code = first.icmp_code;
  packet->tuple.icmp_answer = sl_is_icmp_answer(first.protocol, first.icmp_type);
  return SL_DROP_NONE;
}

#endif
