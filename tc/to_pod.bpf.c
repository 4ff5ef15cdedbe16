/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* tc egress of the host end of a pod's veth: packets that the pod receives through the host's stack. */
#include "bpf/lib/hook.bpf.h"

static __always_inline int sl_end_to_pod(struct __sk_buff* skb, const struct sl_evaluation* j,
                                         const struct sl_flow_entry* entry, int reason) {
  __u32 outcome = sl_outcome(reason, j);
  if (sl_is_captured(j, j->to_endpoint, 0)) sl_capture_skb(skb, entry, outcome | SL_CAPTURE_OF_RECEIVER);
  sl_count_packet(SL_HOOK_TC_TO_POD, outcome, &j->size);
  sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size);
  return reason > 0 ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}

/* For packets that are not plain. Global, so that the verifier checks it once. */
__noinline int sl_to_pod_any(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return TC_ACT_SHOT;
  j->sender.socket = sl_sending_socket(skb, j->sender.has_socket);
  return sl_end_to_pod(skb, j, 0, sl_evaluate_any_skb(skb, j, SL_HOOK_TC_TO_POD));
}

SEC("tc")
int tc_to_pod(struct __sk_buff* skb) {
  __u32 from = skb->ingress_ifindex;
  struct sl_evaluation* j = sl_begin(SL_HOOK_TC_TO_POD, skb->ifindex);
  if (!j) return TC_ACT_SHOT;
  struct sl_fast_packet plain;
  struct sl_sighting seen;
  /* From the node: no ingress interface, and a socket of this namespace. Packets that the node makes from received ones
   * (fragments of a reassembled packet, answers of its firewall) have no interface either, but no socket. */
  j->from_node = from == 0 && skb->sk != 0;
  j->from_ifindex = from;
  j->sender.has_socket = j->from_node; /* a forwarded packet may still have a pod's socket */
  if (skb->vlan_present) return sl_to_pod_any(skb);
  if (!sl_parse_fast((__u8*)(long)skb->data, (__u8*)(long)skb->data_end, &j->key, &plain)) return sl_to_pod_any(skb);
  sl_measure_fast(skb, j, plain.header);
  int reason = sl_evaluate_fast(j, skb, &plain, &seen);
  return reason == SL_NOT_PLAIN ? sl_to_pod_any(skb) : sl_end_to_pod(skb, j, &seen.flow->entry, reason);
}
