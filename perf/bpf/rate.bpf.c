/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The generator of the suite rate, the sinks that count what arrives, and the floors: the minimum work of a hook. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_helpers.h>

#include "perf/bpf/load.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct perf_load);
} load SEC(".maps");

/* Packets that a sink has seen. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} arrived SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} device SEC(".maps");

/* The receiver's host end, for redirect_peer. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} peer SEC(".maps");

static __always_inline void count(void) {
  __u32 zero = 0;
  __u64* packets = bpf_map_lookup_elem(&arrived, &zero);
  if (packets) ++*packets;
}

/*
 * For test runs with live frames, which leave by the interface that they run on. The kernel recycles the frames with
 * all changes by their receiver, so all headers are written again.
 */
SEC("xdp")
int rate_generate(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  __u32 zero = 0;
  struct perf_load* l = bpf_map_lookup_elem(&load, &zero);
  if (!l || !l->flows || data + PERF_LOAD_HEADERS > end) return XDP_ABORTED;
  perf_write_packet(l, data);
  return XDP_TX;
}

SEC("xdp")
int rate_xdp_sink(struct xdp_md* ctx) {
  count();
  return XDP_DROP;
}

SEC("tc")
int rate_tc_sink(struct __sk_buff* skb) {
  count();
  return TC_ACT_SHOT;
}

SEC("xdp")
int rate_xdp_drop(struct xdp_md* ctx) { return XDP_DROP; }

SEC("xdp")
int rate_xdp_tx(struct xdp_md* ctx) { return XDP_TX; }

SEC("xdp")
int rate_xdp_redirect(struct xdp_md* ctx) { return bpf_redirect_map(&device, 0, XDP_DROP); }

SEC("tc")
int rate_tc_drop(struct __sk_buff* skb) { return TC_ACT_SHOT; }

SEC("tc")
int rate_tc_redirect_peer(struct __sk_buff* skb) {
  __u32 zero = 0;
  const __u32* ifindex = bpf_map_lookup_elem(&peer, &zero);
  return ifindex ? bpf_redirect_peer(*ifindex, 0) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
