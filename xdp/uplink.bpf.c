/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* XDP on the node's network card: what comes in from the wire. Judges only what is for a local workload. */
#include "bpf/lib/hook.bpf.h"

SEC("xdp")
int xdp_uplink(struct xdp_md* ctx) {
  struct sl_judgement* j = sl_begin(SL_HOOK_XDP_UPLINK, ctx->ingress_ifindex);
  if (!j) return XDP_DROP;
  j->size.packets = 1;
  j->size.bytes = ctx->data_end - ctx->data;
  int reason = sl_parse_xdp(ctx);
  if (reason == SL_DROP_UNSUPPORTED_L3 || (!reason && j->packet.kind == SL_PACKET_CONTROL)) {
    sl_count_packet(j->hook, SL_DROP_NONE, &j->size); /* the card is not ours alone */
    return XDP_PASS;
  }
  if (!reason) reason = sl_judge();
  if (reason == SL_ASK_RECEIVER) { /* sockets can be asked at tc/to_pod, which decides then */
    sl_count_packet(j->hook, SL_DROP_NONE, &j->size);
    return XDP_PASS;
  }
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(j->hook, outcome, &j->size);
  if (reason) {
    sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size);
    return XDP_DROP;
  }
  if (!j->not_ours && (j->setting_flags & SL_SETTING_REDIRECT) && sl_route_xdp(ctx, &j->packet, j->to_ifindex)) {
    sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size); /* it will not pass tc_to_pod */
    sl_count_event(SL_COUNTER_REDIRECT_DEVMAP);
    return bpf_redirect_map(&pod_devices, j->to_ifindex, XDP_DROP);
  }
  return XDP_PASS;
}
