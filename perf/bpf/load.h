/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Which packets a generator makes, and how: for the programs of rate.bpf.c and for generators in user space. */
#ifndef SLUICE_PERF_LOAD_H
#define SLUICE_PERF_LOAD_H

#include "perf/bpf/rotation.h"

#define PERF_LOAD_HEADERS 42 /* Ethernet, IPv4 without options, UDP */

/* Packet of flow n. By ports: as in rotation.h. By address: the template's source address + n * stride. */
struct perf_load {
  __u64 state; /* in turn: the next flow's number; random: the generator's state */
  __u32 flows;
  __u32 random;                    /* each packet of any of the flows; else in turn */
  __u32 by_address;                /* else by ports */
  __u32 stride;                    /* between two source addresses */
  __u32 answer;                    /* by ports: the service is the sender */
  __u32 source;                    /* of flow 0, host byte order */
  __u32 header_sum;                /* of the IPv4 header without its checksum and its source, as 16-bit words */
  __u8 headers[PERF_LOAD_HEADERS]; /* the template; network byte order */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct perf_load) == 80, "perf_load");

static inline void perf_put16(__u8* at, __u32 value) {
  at[0] = (__u8)(value >> 8);
  at[1] = (__u8)value;
}

static inline __u32 perf_next_flow(struct perf_load* load) {
  if (!load->random) return (__u32)(load->state++ % load->flows);
  /* Knuth's MMIX; the high bits are good. */
  load->state = load->state * 6364136223846793005ULL + 1442695040888963407ULL;
  return (__u32)(load->state >> 33) % load->flows;
}

/* The load's next packet: writes all PERF_LOAD_HEADERS bytes, whatever `frame` held. `flows` must not be 0. */
static inline void perf_write_packet(struct perf_load* load, __u8* frame) {
  __u32 number = perf_next_flow(load);
  __u32 source = load->source;
  __builtin_memcpy(frame, load->headers, PERF_LOAD_HEADERS);
  if (load->by_address) {
    source += number * load->stride;
  } else {
    __u32 client = PERF_FIRST_CLIENT_PORT + number % PERF_CLIENT_PORTS;
    __u32 service = PERF_FIRST_SERVICE_PORT + number / PERF_CLIENT_PORTS;
    perf_put16(frame + 34, load->answer ? service : client);
    perf_put16(frame + 36, load->answer ? client : service);
  }
  __u32 sum = load->header_sum + (source >> 16) + (source & 0xffff);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  perf_put16(frame + 24, ~sum);
  perf_put16(frame + 26, source >> 16);
  perf_put16(frame + 28, source);
}

#endif
