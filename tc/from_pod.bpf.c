/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* tc ingress of the host end of a pod's veth: packets that the pod sends. */
#include "bpf/lib/hook.bpf.h"

static __always_inline void sl_count_from_pod(const struct sl_evaluation* j, __u32 outcome) {
  sl_count_packet(SL_HOOK_TC_FROM_POD, outcome, &j->size);
  sl_count_endpoint(j->from_endpoint, 0, outcome, &j->size);
}

/* The receiver's own hook records what gets there. */
static __always_inline void sl_record_from_pod(struct __sk_buff* skb, const struct sl_evaluation* j,
                                               const struct sl_flow_entry* entry, int reason, __u32 outcome) {
  if (!sl_is_captured(j, j->from_endpoint, reason > 0 ? j->to_endpoint : 0)) return;
  sl_capture_skb(skb, entry, outcome | SL_CAPTURE_OF_SENDER | (reason > 0 ? SL_CAPTURE_OF_RECEIVER : 0));
}

static __always_inline int sl_redirect_to_pod(struct __sk_buff* skb, const struct sl_evaluation* j,
                                              const struct sl_flow_entry* entry, __u32 outcome) {
  if (sl_is_captured(j, j->to_endpoint, 0)) sl_capture_skb(skb, entry, outcome | SL_CAPTURE_OF_RECEIVER);
  sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size); /* the packet skips tc_to_pod */
  sl_count_event(SL_COUNTER_REDIRECT_PEER);
  return bpf_redirect_peer(j->to_ifindex, 0);
}

/* Looks up the next hop of a packet that may be redirected. Global, as sl_from_pod_any: plain packets and others come
 * here. */
__noinline int sl_from_pod_routed(struct __sk_buff* skb, __u32 outcome) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return TC_ACT_SHOT;
  sl_complete_fast(j);
  return sl_route_skb(skb, j) ? sl_redirect_to_pod(skb, j, 0, outcome) : TC_ACT_UNSPEC;
}

/* For packets that are not plain. Global, so that the verifier checks it once. */
__noinline int sl_from_pod_any(struct __sk_buff* skb) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return TC_ACT_SHOT;
  j->sender.socket = sl_sending_socket(skb, j->sender.has_socket);
  int reason = sl_evaluate_any_skb(skb, j, SL_HOOK_TC_FROM_POD);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_from_pod(j, outcome);
  sl_record_from_pod(skb, j, 0, reason, outcome);
  if (reason == SL_LINK_CONTROL) return TC_ACT_UNSPEC;
  if (reason) return TC_ACT_SHOT;
  if (!j->may_pass_host || !sl_is_other_pod(j, j->to_ifindex) || j->packet.has_vlan) return TC_ACT_UNSPEC;
  if (j->may_route) return sl_from_pod_routed(skb, outcome);
  return sl_can_bridge(skb, j) ? sl_redirect_to_pod(skb, j, 0, outcome) : TC_ACT_UNSPEC;
}

SEC("tc")
int tc_from_pod(struct __sk_buff* skb) {
  struct sl_evaluation* j = sl_begin(SL_HOOK_TC_FROM_POD, skb->ifindex);
  if (!j) return TC_ACT_SHOT;
  __u8* data = (__u8*)(long)skb->data;
  const __u8* data_end = (__u8*)(long)skb->data_end;
  struct sl_fast_packet* plain = &j->plain; /* not on the stack, as in xdp_uplink */
  struct sl_sighting seen;
  j->sender.has_socket = skb->sk != 0;
  if (data + SL_ETH_LEN <= data_end) sl_store_u64(j->source_mac, sl_load_u64(data + 6));
  j->may_route = sl_is_for_router_skb(skb, j);
  if (!sl_parse_fast(data, data_end, &j->key, plain)) return sl_from_pod_any(skb);
  sl_measure_fast(skb, j, plain->header);
  int reason = sl_evaluate_fast(j, skb, plain, &seen);
  if (reason == SL_NOT_PLAIN) return sl_from_pod_any(skb);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_from_pod(j, outcome);
  sl_record_from_pod(skb, j, &seen.flow->entry, reason, outcome);
  if (reason) return TC_ACT_SHOT;
  if (j->must_find_route) return sl_from_pod_routed(skb, outcome);
  if (sl_try_redirect(j, plain, data, data_end)) return sl_redirect_to_pod(skb, j, &seen.flow->entry, outcome);
  if (sl_can_bridge(skb, j)) return sl_redirect_to_pod(skb, j, &seen.flow->entry, outcome);
  return TC_ACT_UNSPEC;
}
