/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Floors: the minimum cost of any program. Wrappers: each run turns the frame into a packet of another flow, then
 * tail-calls the program under test.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "perf/bpf/rotation.h"

#define ETH_LEN 14
#define MAX_L4_OFFSET 0x7f

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct perf_rotation);
} rotation SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} tc_target SEC(".maps"), xdp_target SEC(".maps");

struct flow {
  __be32 src;
  __be32 dst;
  __be32 ports;
  __u32 protocol;
};

struct seen {
  __u64 words[4];
};

/* The loader sets its size. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1);
  __type(key, struct flow);
  __type(value, struct seen);
} flows SEC(".maps");

/*
 * What packets touch in Sluice's flow table, and nothing else: a line of tags, and words of a slot. The loader makes
 * room for PERF_SLOTS slots where that is measured. `slots280` is as wide as the table's; the others are as if a flow
 * were in four aligned lines, of which two are for every packet; in two, with the rest elsewhere; in one.
 */
struct bucket {
  __u32 tags[16];
};

#define SLOT_ARRAY(map_name, value_type) \
  struct {                               \
    __uint(type, BPF_MAP_TYPE_ARRAY);    \
    __uint(map_flags, BPF_F_MMAPABLE);   \
    __uint(max_entries, 1);              \
    __type(key, __u32);                  \
    __type(value, value_type);           \
  } map_name SEC(".maps")
typedef __u64 slot280[35], slot256[32], slot128[16], slot64[8];
SLOT_ARRAY(buckets, struct bucket);
SLOT_ARRAY(slots280, slot280);
SLOT_ARRAY(slots256, slot256);
SLOT_ARRAY(slots128, slot128);
SLOT_ARRAY(slots64, slot64);

/* Where a known flow's packet reads and counts in a slot, as numbers of words, beside the key in words 0 to 4. */
struct slot_layout {
  int state;
  int ends[2];
  int seen;
  int packets; /* bytes: the next one */
};

/* Ethernet, IPv4 without options, TCP or UDP. */
static __always_inline int parse(const __u8* data, const __u8* end, struct flow* flow) {
  if (data + ETH_LEN + 24 > end) return 0;
  if (*(const __be16*)(data + 12) != bpf_htons(0x0800) || data[ETH_LEN] != 0x45) return 0;
  flow->protocol = data[ETH_LEN + 9];
  flow->src = *(const __be32*)(data + ETH_LEN + 12);
  flow->dst = *(const __be32*)(data + ETH_LEN + 16);
  flow->ports = *(const __be32*)(data + ETH_LEN + 20);
  return flow->protocol == 6 || flow->protocol == 17;
}

/* The first round fills the table, later ones only look up. */
static __always_inline int lookup(const struct flow* flow) {
  if (bpf_map_lookup_elem(&flows, flow)) return 1;
  struct seen seen = {};
  return bpf_map_update_elem(&flows, flow, &seen, BPF_NOEXIST) == 0;
}

static __always_inline __u32 hash_of(const struct flow* flow) {
  const __u32 hash = (flow->ports ^ flow->src) * 2654435761u;
  return (hash ^ hash >> 15) * 0x85ebca77u;
}

/* The tag of the flow's slot in its bucket. */
static __always_inline __u32* find_tag(__u32 hash) {
  __u32 index = (__u64)hash * PERF_SLOT_BUCKETS >> 32;
  struct bucket* bucket = bpf_map_lookup_elem(&buckets, &index);
  return bucket ? &bucket->tags[hash & 15] : 0;
}

/* The slot follows from the hash, as in the flow table, so that the processor may fetch it before it has the tag. */
static __always_inline __u64* find_slot(__u32 hash, void* slots) {
  const __u32 index = (__u64)hash * PERF_SLOTS >> 32;
  return bpf_map_lookup_elem(slots, &index);
}

static __always_inline __u64 read_word(const __u64* word) { return *(const volatile __u64*)word; }

/* Tables are filled in turn and looked up at random; looking up in turn would favour the cache. */
static __always_inline __u64 next_number(struct perf_rotation* r) {
  if (!r->random) return r->state++;
  r->state = r->state * 6364136223846793005ULL + 1442695040888963407ULL; /* Knuth's MMIX; the high bits are good */
  return r->state >> 33;
}

/* The IPv4 checksum is not updated: no measured program checks it. */
static __always_inline void rotate(__u8* data, const __u8* end) {
  __u32 zero = 0;
  struct perf_rotation* r = bpf_map_lookup_elem(&rotation, &zero);
  if (!r || !r->flows || !r->addresses) return;
  __u32 number = next_number(r) % r->flows;
  if (r->addresses > 1) {
    /* The prime separates neighbours, because walking memory in order is cheap. */
    __u32 address = (__u64)(number % r->addresses) * 2654435761ULL % r->addresses;
    __be32* last = (__be32*)(data + (r->address_offset & MAX_L4_OFFSET));
    if ((__u8*)(last + 1) > end) return;
    *last = bpf_htonl(r->first_address + address * r->address_step);
    number /= r->addresses;
  }
  __u32 client = PERF_FIRST_CLIENT_PORT + number % PERF_CLIENT_PORTS;
  __u32 service = PERF_FIRST_SERVICE_PORT + number / PERF_CLIENT_PORTS;
  __be32* ports = (__be32*)(data + (r->l4_offset & MAX_L4_OFFSET));
  if ((__u8*)(ports + 1) > end) return;
  /* One store for both ports: one load of two separate stores would defeat store forwarding and stall, which does not
   * happen with a received packet. */
  *ports = bpf_htonl(r->answer ? service << 16 | client : client << 16 | service);
}

#define DATA(ctx) ((__u8*)(long)(ctx)->data)
#define END(ctx) ((const __u8*)(long)(ctx)->data_end)

SEC("tc")
int tc_bare(struct __sk_buff* skb) { return TC_ACT_SHOT; }

SEC("xdp")
int xdp_bare(struct xdp_md* ctx) { return XDP_DROP; }

SEC("tc")
int tc_parse(struct __sk_buff* skb) {
  struct flow flow;
  return parse(DATA(skb), END(skb), &flow) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("xdp")
int xdp_parse(struct xdp_md* ctx) {
  struct flow flow;
  return parse(DATA(ctx), END(ctx), &flow) ? XDP_DROP : XDP_ABORTED;
}

SEC("tc")
int tc_hash(struct __sk_buff* skb) {
  struct flow flow;
  return parse(DATA(skb), END(skb), &flow) && lookup(&flow) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("xdp")
int xdp_hash(struct xdp_md* ctx) {
  struct flow flow;
  return parse(DATA(ctx), END(ctx), &flow) && lookup(&flow) ? XDP_DROP : XDP_ABORTED;
}

/* As many instructions as a packet of a known flow takes, which touch no memory. With few, the processor begins with
 * the next packets while it waits for this one's lines, which it cannot when all that it looks ahead is one packet. */
#define BUSY_4 "r6 = 1\n r6 += 1\n r7 = 1\n r7 += 1\n"
#define BUSY_32 BUSY_4 BUSY_4 BUSY_4 BUSY_4 BUSY_4 BUSY_4 BUSY_4 BUSY_4
#define BUSY_288 BUSY_32 BUSY_32 BUSY_32 BUSY_32 BUSY_32 BUSY_32 BUSY_32 BUSY_32 BUSY_32

/* A packet of a known flow: its verdict depends on the tag and on words of its slot, all 0 here. */
static __always_inline int use_known(struct xdp_md* ctx, void* slots, const struct slot_layout at, int busy) {
  struct flow flow;
  if (!parse(DATA(ctx), END(ctx), &flow)) return XDP_ABORTED;
  const __u32 hash = hash_of(&flow);
  const __u32* tag = find_tag(hash);
  if (!tag || *(const volatile __u32*)tag) return XDP_ABORTED;
  __u64* words = find_slot(hash, slots);
  if (!words) return XDP_ABORTED;
  const __u64 sum = read_word(&words[0]) + read_word(&words[4]) + read_word(&words[at.state]) +
                    read_word(&words[at.ends[0]]) + read_word(&words[at.ends[1]]);
  if (busy) asm volatile(BUSY_288 ::: "r6", "r7");
  words[at.packets]++;
  words[at.packets + 1] += 48;
  words[at.seen] = 1;
  return sum ? XDP_ABORTED : XDP_DROP;
}

#define AT_280 ((struct slot_layout){.state = 7, .ends = {17, 19}, .seen = 5, .packets = 12})
#define AT_TWO_LINES ((struct slot_layout){.state = 7, .ends = {8, 14}, .seen = 5, .packets = 12})
#define AT_ONE_LINE ((struct slot_layout){.state = 3, .ends = {1, 2}, .seen = 5, .packets = 6})

SEC("xdp")
int xdp_slot280(struct xdp_md* ctx) { return use_known(ctx, &slots280, AT_280, 0); }

SEC("xdp")
int xdp_busy_slot280(struct xdp_md* ctx) { return use_known(ctx, &slots280, AT_280, 1); }

SEC("xdp")
int xdp_busy_slot256(struct xdp_md* ctx) { return use_known(ctx, &slots256, AT_TWO_LINES, 1); }

SEC("xdp")
int xdp_busy_slot128(struct xdp_md* ctx) { return use_known(ctx, &slots128, AT_TWO_LINES, 1); }

SEC("xdp")
int xdp_busy_slot64(struct xdp_md* ctx) { return use_known(ctx, &slots64, AT_ONE_LINE, 1); }

/* The first packet of a flow: takes a tag, writes the whole slot, and sets the tag. All to 0, as the next packet there
 * is a first one too, and as `use_known` wants it. */
static __always_inline int use_new(struct xdp_md* ctx, void* slots, int size) {
  struct flow flow;
  if (!parse(DATA(ctx), END(ctx), &flow)) return XDP_ABORTED;
  const __u32 hash = hash_of(&flow);
  __u32* tag = find_tag(hash);
  if (!tag || __sync_val_compare_and_swap(tag, 0, 1)) return XDP_ABORTED;
  __u64* words = find_slot(hash, slots);
  if (!words) return XDP_ABORTED;
  asm volatile(BUSY_288 ::: "r6", "r7");
#pragma unroll
  for (int i = 0; i < size / 8; i++) *(volatile __u64*)&words[i] = 0;
  *(volatile __u32*)tag = 0;
  return XDP_DROP;
}

SEC("xdp")
int xdp_new_slot280(struct xdp_md* ctx) { return use_new(ctx, &slots280, 280); }

SEC("xdp")
int xdp_new_slot256(struct xdp_md* ctx) { return use_new(ctx, &slots256, 256); }

SEC("xdp")
int xdp_new_slot128(struct xdp_md* ctx) { return use_new(ctx, &slots128, 128); }

SEC("tc")
int tc_rotate(struct __sk_buff* skb) {
  rotate(DATA(skb), END(skb));
  bpf_tail_call(skb, &tc_target, 0);
  return TC_ACT_STOLEN; /* no program under test */
}

SEC("xdp")
int xdp_rotate(struct xdp_md* ctx) {
  rotate(DATA(ctx), END(ctx));
  bpf_tail_call(ctx, &xdp_target, 0);
  return XDP_ABORTED; /* no program under test */
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
