/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* XDP on the node's network card: what comes in from the wire. Judges only what is for a local workload. */
#include "bpf/lib/hook.bpf.h"

static __always_inline int sl_uplink_redirect(const struct sl_judgement* j, __u32 outcome) {
  sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size); /* it will not pass tc_to_pod */
  sl_count_event(SL_COUNTER_REDIRECT_DEVMAP);
  return bpf_redirect_map(&pod_devices, j->to_ifindex, XDP_DROP);
}

static __always_inline int sl_uplink_drop(const struct sl_judgement* j, __u32 reason) {
  sl_count_packet(SL_HOOK_XDP_UPLINK, reason, &j->size);
  sl_count_endpoint(j->to_endpoint, 1, reason, &j->size);
  return XDP_DROP;
}

/* What is not plain. Global, so that the verifier checks it once. */
__noinline int sl_uplink_any(struct xdp_md* ctx) {
  __u32 zero = 0;
  struct sl_judgement* j = bpf_map_lookup_elem(&judgements, &zero);
  if (!j) return XDP_DROP;
  int reason = sl_parse_xdp(ctx);
  if (reason == SL_DROP_UNSUPPORTED_L3 || (!reason && j->packet.kind == SL_PACKET_CONTROL)) {
    sl_count_packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, &j->size); /* the card is not ours alone */
    return XDP_PASS;
  }
  if (!reason) reason = sl_judge();
  if (reason == SL_ASK_RECEIVER) { /* sockets can be asked at tc/to_pod, which decides then */
    sl_count_packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, &j->size);
    return XDP_PASS;
  }
  if (reason) return sl_uplink_drop(j, reason);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(SL_HOOK_XDP_UPLINK, outcome, &j->size);
  if (j->not_ours || !j->may_route || j->packet.has_vlan || !sl_route_xdp(ctx, j)) return XDP_PASS;
  return sl_uplink_redirect(j, outcome);
}

SEC("xdp")
int xdp_uplink(struct xdp_md* ctx) {
  struct sl_judgement* j = sl_begin(SL_HOOK_XDP_UPLINK, ctx->ingress_ifindex);
  if (!j) return XDP_DROP;
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* data_end = (__u8*)(long)ctx->data_end;
  struct sl_plain plain;
  struct sl_sighting seen;
  j->size.packets = 1;
  j->size.bytes = data_end - data;
  j->route_length = data_end - data - SL_ETH_LEN;
  j->may_route = sl_is_for_router_xdp(data, data_end, j);
  if (!sl_parse_plain(data, data_end, &j->key, &plain)) return sl_uplink_any(ctx);
  int reason = sl_judge_plain(j, &plain, &seen);
  if (reason == SL_NOT_PLAIN) return sl_uplink_any(ctx);
  if (reason) return sl_uplink_drop(j, reason);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(SL_HOOK_XDP_UPLINK, outcome, &j->size);
  return sl_take_short_cut(j, &plain, &seen, data, data_end) ? sl_uplink_redirect(j, outcome) : XDP_PASS;
}
