/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The packets that a generator makes, for the programs of rate.bpf.c and for generators in user space. */
#ifndef SLUICE_PERF_LOAD_H
#define SLUICE_PERF_LOAD_H

#include "perf/bpf/rotation.h"

#define PERF_LOAD_HEADERS 62 /* Ethernet, IPv6, UDP; IPv4 without options takes 42 */

/* Packet of flow n. By ports: as in rotation.h. By address: the template's source address + n * stride. */
struct perf_load {
  __u64 state; /* in turn: the next flow's number; random: the generator's state */
  __u32 flows;
  __u32 random;                    /* 1: a random flow for each packet; 0: in turn */
  __u32 by_address;                /* 1: flows differ by source address; 0: by ports */
  __u32 stride;                    /* between two source addresses */
  __u32 answer;                    /* by ports: the service is the sender */
  __u32 v6;                        /* 0: IPv4 */
  __u32 source;                    /* of flow 0, host byte order; IPv6: its last 32 bits */
  __u32 sum;                       /* of the constant 16-bit words under the checksum: IPv4's, or UDP's over IPv6 */
  __u8 headers[PERF_LOAD_HEADERS]; /* the template; network byte order */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct perf_load) == 104, "perf_load");

static inline void perf_put16(__u8* at, __u32 value) {
  at[0] = (__u8)(value >> 8);
  at[1] = (__u8)value;
}

static inline void perf_put32(__u8* at, __u32 value) {
  perf_put16(at, value >> 16);
  perf_put16(at + 2, value);
}

static inline __u32 perf_next_flow(struct perf_load* load) {
  if (!load->random) return (__u32)(load->state++ % load->flows);
  /* Knuth's MMIX; the high bits are good. */
  load->state = load->state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (__u32)(load->state >> 33) % load->flows;
}

/* The source port in the high half, the destination port in the low half. */
static inline __u32 perf_ports(const struct perf_load* load, __u32 number) {
  __u32 client = PERF_FIRST_CLIENT_PORT + number % PERF_CLIENT_PORTS;
  __u32 service = PERF_FIRST_SERVICE_PORT + number / PERF_CLIENT_PORTS;
  return load->answer ? service << 16 | client : client << 16 | service;
}

static inline __u32 perf_words(__u32 value) { return (value >> 16) + (value & 0xffff); }

/* Writes the load's next packet: PERF_LOAD_HEADERS bytes, whatever `frame` held. `flows` must not be 0. */
static inline void perf_write_packet(struct perf_load* load, __u8* frame) {
  __u32 number = perf_next_flow(load);
  __u32 source = load->source + (load->by_address ? number * load->stride : 0);
  __u32 ports = perf_ports(load, load->by_address ? 0 : number);
  __u32 sum = load->sum + perf_words(source);
  __builtin_memcpy(frame, load->headers, PERF_LOAD_HEADERS);
  if (load->v6) {
    perf_put32(frame + 34, source);
    perf_put32(frame + 54, ports);
    sum = ~perf_words(perf_words(sum + perf_words(ports))) & 0xffff;
    perf_put16(frame + 60, sum ? sum : 0xffff); /* 0 would mean: no checksum */
  } else {
    perf_put32(frame + 26, source);
    perf_put32(frame + 34, ports);
    perf_put16(frame + 24, ~perf_words(perf_words(sum)));
  }
}

#endif
