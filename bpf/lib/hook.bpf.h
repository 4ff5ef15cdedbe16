/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Code that the entry points share: measuring and parsing an skb, and the outcome to count. */
#ifndef SLUICE_HOOK_BPF_H
#define SLUICE_HOOK_BPF_H

#include <linux/pkt_cls.h>

#include "bpf/lib/capture.bpf.h"
#include "bpf/lib/control.bpf.h"
#include "bpf/lib/fast_path.bpf.h"
#include "bpf/lib/sender.bpf.h"
#include "bpf/lib/translate.bpf.h"

/* Bytes of a packet that are pulled into the linear part to find its headers. */
#define SL_MAX_HEADERS 512

/* What only packets that are not plain set, and what sl_evaluate_fast may have set before it left this one. */
static __always_inline void sl_reset_outcome(struct sl_evaluation* j) {
  j->service = j->answer_of = j->translated = j->has_fresh = 0;
  j->must_find_route = 0;
  j->flow_slot = SL_NO_SLOT;
}

/* Writes into this CPU's evaluation. Global for the same reason as sl_evaluate. Returns a drop reason. */
__noinline int sl_parse_skb(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  sl_reset_packet(&j->packet);
  sl_reset_outcome(j);
  return sl_parse((void*)(long)skb->data, (void*)(long)skb->data_end, &j->packet);
}

__noinline int sl_parse_xdp(struct xdp_md* ctx) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  sl_reset_packet(&j->packet);
  sl_reset_outcome(j);
  return sl_parse((void*)(long)ctx->data, (void*)(long)ctx->data_end, &j->packet);
}

/* Parses the linear part; if the headers reach beyond it, pulls them in and parses again. */
static __always_inline int sl_parse_pulling(struct __sk_buff* skb, struct sl_evaluation* j) {
  int reason = sl_parse_skb(skb);
  if (!j->packet.truncated) return reason;
  __u32 linear = skb->data_end - skb->data, wanted = skb->len < SL_MAX_HEADERS ? skb->len : SL_MAX_HEADERS;
  if (linear >= wanted || bpf_skb_pull_data(skb, wanted)) return reason;
  return sl_parse_skb(skb);
}

/* Size on the wire: each segment of a GSO packet has its own headers, `headers` bytes. */
static __always_inline void sl_measure_fast(const struct __sk_buff* skb, struct sl_evaluation* j, __u32 headers) {
  const __u32 gso = skb->gso_segs, segments = gso ?: 1;
  j->size.packets = segments;
  j->size.bytes = skb->len + (segments - 1) * headers;
  j->route_length = gso ? 0 : skb->len - SL_ETH_LEN;
}

/* After parsing. */
static __always_inline void sl_measure(const struct __sk_buff* skb, struct sl_evaluation* j) {
  sl_measure_fast(skb, j, (__u32)j->packet.l3.l4_offset + j->packet.l4_length);
}

/* A packet that is not plain: its drop reason, or SL_LINK_CONTROL. `hook` is a constant: each program has only its own
 * half of the translation. */
static __always_inline int sl_evaluate_any_skb(struct __sk_buff* skb, struct sl_evaluation* j,
                                               enum sl_packet_hook hook) {
  int reason = sl_parse_pulling(skb, j);
  if (skb->vlan_present) j->packet.has_vlan = 1; /* the tag is not in the frame */
  sl_measure(skb, j);
  if (!reason && j->packet.no_length && !skb->gso_segs) reason = SL_DROP_MALFORMED_IPV4;
  if (reason) return reason;
  if (j->packet.control) {
    reason = sl_check_control();
    if (reason < 0 || (reason && !j->packet.ip_version)) return reason; /* ARP is no flow */
    j->refused = reason;
  }
  if (hook == SL_HOOK_TC_FROM_POD && (reason = sl_translate_to_backend(skb))) return reason;
  reason = sl_evaluate_skb(skb, j);
  if (reason) return reason;
  if (hook == SL_HOOK_TC_FROM_POD) sl_keep_translation(j);
  return hook == SL_HOOK_TC_TO_POD && j->answer_of ? sl_translate_back(skb) : SL_DROP_NONE;
}

static __always_inline __u32 sl_outcome(int reason, const struct sl_evaluation* j) {
  if (reason > 0) return reason;
  return j->audit ? SL_OUTCOME_AUDITED : SL_DROP_NONE;
}

#endif
