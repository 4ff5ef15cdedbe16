/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* tc ingress of the host end of a pod's veth: what the pod sends. */
#include "bpf/lib/hook.bpf.h"

SEC("tc")
int tc_from_pod(struct __sk_buff* skb) {
  struct sl_judgement* j = sl_begin(SL_HOOK_TC_FROM_POD, skb->ifindex);
  if (!j) return TC_ACT_SHOT;
  j->sender.has_socket = skb->sk != 0;
  int reason = sl_parse_pulling(skb, j);
  sl_measure(skb, j);
  if (!reason && j->packet.kind == SL_PACKET_CONTROL) {
    sl_count_packet(j->hook, SL_DROP_NONE, &j->size);
    return TC_ACT_UNSPEC;
  }
  if (!reason) reason = sl_judge_skb(skb);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(j->hook, outcome, &j->size);
  sl_count_endpoint(j->from_endpoint, 0, outcome, &j->size);
  if (reason) return TC_ACT_SHOT;
  if ((j->setting_flags & SL_SETTING_REDIRECT) && sl_can_redirect_skb(skb, &j->packet, j->to_ifindex)) {
    sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size); /* it will not pass tc_to_pod */
    sl_count_event(SL_COUNTER_REDIRECT_PEER);
    return bpf_redirect_peer(j->to_ifindex, 0);
  }
  return TC_ACT_UNSPEC;
}
