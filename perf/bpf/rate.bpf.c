/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The generator of the suite rate, the sinks that count what arrives, and the floors: the least that a hook can do. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "perf/bpf/load.h"

#define ETH_LEN 14

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

static __always_inline __u32 next_flow(struct perf_load* l) {
  if (!l->random) return l->state++ % l->flows;
  l->state = l->state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX; the high bits are good */
  return (__u32)(l->state >> 33) % l->flows;
}

/*
 * For test runs with live frames, which leave by the interface that they are run on. Frames come back with whatever
 * their receiver did to them, so the headers are written whole.
 */
SEC("xdp")
int rate_generate(struct xdp_md* ctx) {
  __u8* data = (__u8*)(long)ctx->data;
  const __u8* end = (const __u8*)(long)ctx->data_end;
  __u32 zero = 0;
  struct perf_load* l = bpf_map_lookup_elem(&load, &zero);
  if (!l || !l->flows || data + PERF_LOAD_HEADERS > end) return XDP_ABORTED;
  __builtin_memcpy(data, l->headers, PERF_LOAD_HEADERS);
  __u32 number = next_flow(l);
  __u32 source = l->source;
  if (l->by_address) {
    source += number * l->stride;
  } else {
    __u16* ports = (__u16*)(data + ETH_LEN + 20);
    __u16 client = bpf_htons(PERF_FIRST_CLIENT_PORT + number % PERF_CLIENT_PORTS);
    __u16 service = bpf_htons(PERF_FIRST_SERVICE_PORT + number / PERF_CLIENT_PORTS);
    ports[0] = l->answer ? service : client;
    ports[1] = l->answer ? client : service;
  }
  __u32 sum = l->header_sum + (source >> 16) + (source & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  *(__u16*)(data + ETH_LEN + 10) = bpf_htons(~sum);
  __u16* address = (__u16*)(data + ETH_LEN + 12);
  address[0] = bpf_htons(source >> 16);
  address[1] = bpf_htons(source);
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
