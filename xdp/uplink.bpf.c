/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* XDP on an uplink: packets that come in from the network. Evaluates only packets for local workloads. */
#include "bpf/lib/hook.bpf.h"
#include "bpf/lib/verdict_unrecorded.bpf.h"

static __always_inline int sl_uplink_redirect(struct xdp_md* ctx, const struct sl_evaluation* j,
                                              const struct sl_flow_entry* entry, __u32 outcome) {
  if (sl_is_captured(j, j->to_endpoint, 0)) sl_capture_xdp(ctx, entry, outcome);
  sl_count_endpoint(j->to_endpoint, 1, outcome, &j->size); /* the packet skips tc_to_pod */
  sl_count_event(SL_COUNTER_REDIRECT_DEVMAP);
  return bpf_redirect_map(&pod_devices, j->to_ifindex, XDP_DROP);
}

static __always_inline int sl_uplink_drop(struct xdp_md* ctx, const struct sl_evaluation* j,
                                          const struct sl_flow_entry* entry, __u32 reason) {
  if (sl_is_captured(j, j->to_endpoint, 0)) sl_capture_xdp(ctx, entry, reason);
  sl_count_packet(SL_HOOK_XDP_UPLINK, reason, &j->size);
  sl_count_endpoint(j->to_endpoint, 1, reason, &j->size);
  return XDP_DROP;
}

/* Whether a packet that cannot be evaluated is for a local workload: only then is it dropped. All other packets pass
 * unchanged, even malformed ones: the card has other users too, and a pod's own hook sees all that the pod gets. */
static __noinline int sl_is_for_pod(const struct sl_evaluation* j) {
  struct sl_address_value who;
  if (!j->packet.has_addresses) return 0;
  sl_resolve(&j->packet.tuple.dst, sl_generation() & 1, &who);
  return who.ifindex != 0;
}

static __always_inline int sl_uplink_pass(const struct sl_evaluation* j) {
  sl_count_packet(SL_HOOK_XDP_UPLINK, SL_DROP_NONE, &j->size);
  return XDP_PASS;
}

/* Looks up the next hop of a packet that may be redirected. Global, as sl_uplink_any: plain packets and others come
 * here. */
__noinline int sl_uplink_routed(struct xdp_md* ctx, __u32 outcome) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return XDP_DROP;
  sl_complete_fast(j);
  return sl_route_xdp(ctx, j) ? sl_uplink_redirect(ctx, j, 0, outcome) : XDP_PASS;
}

/* For packets that are not plain. Global, so that the verifier checks it once. */
__noinline int sl_uplink_any(struct xdp_md* ctx) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return XDP_DROP;
  int reason = sl_parse_xdp(ctx);
  if (!reason && j->packet.kind == SL_PACKET_CONTROL) return sl_uplink_pass(j);
  /* Generic XDP runs after GRO, whose packets above 64 KiB have no length (BIG TCP). */
  if (!reason && j->packet.no_length && j->size.bytes <= 65535u + j->packet.l3_offset) reason = SL_DROP_MALFORMED_IPV4;
  const int is_evaluated = !reason;
  if (is_evaluated) reason = sl_evaluate();
  if (reason == SL_RESOLVE_RECEIVER) return sl_uplink_pass(j); /* tc/to_pod can look up sockets, and decides then */
  if (reason && (!is_evaluated || reason == SL_DROP_FRAGMENT_NOT_FOUND) && !sl_is_for_pod(j)) return sl_uplink_pass(j);
  if (reason) return sl_uplink_drop(ctx, j, 0, reason);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(SL_HOOK_XDP_UPLINK, outcome, &j->size);
  if (j->not_local || !j->may_route || !j->may_pass_host || j->packet.has_vlan) return XDP_PASS;
  return sl_uplink_routed(ctx, outcome);
}

SEC("xdp")
int xdp_uplink(struct xdp_md* ctx) {
  struct sl_evaluation* j = sl_begin(SL_HOOK_XDP_UPLINK, ctx->ingress_ifindex);
  if (!j) return XDP_DROP;
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* data_end = (__u8*)(long)ctx->data_end;
  struct sl_fast_packet* plain = &j->plain; /* not on the stack, which Linux 6.1 counts in steps of 32 bytes */
  struct sl_sighting seen;
  j->size.packets = 1;
  j->size.bytes = data_end - data;
  j->route_length = data_end - data - SL_ETH_LEN;
  j->may_route =
      j->route_length <= 65535 && sl_is_for_router_xdp(data, data_end, j); /* else longer than any route's MTU */
  if (!sl_parse_fast(data, data_end, &j->key, plain)) return sl_uplink_any(ctx);
  int reason = sl_evaluate_fast(j, 0, plain, &seen);
  if (reason == SL_NOT_PLAIN && j->known_absent) {
    reason = sl_evaluate_unrecorded();
    if (reason != SL_NOT_PLAIN) return sl_uplink_drop(ctx, j, 0, reason);
  }
  if (reason == SL_NOT_PLAIN) return sl_uplink_any(ctx);
  if (reason) return sl_uplink_drop(ctx, j, &seen.flow->entry, reason);
  __u32 outcome = sl_outcome(reason, j);
  sl_count_packet(SL_HOOK_XDP_UPLINK, outcome, &j->size);
  if (j->must_find_route) return sl_uplink_routed(ctx, outcome);
  return sl_try_redirect(j, plain, data, data_end) ? sl_uplink_redirect(ctx, j, &seen.flow->entry, outcome) : XDP_PASS;
}
