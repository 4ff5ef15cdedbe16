/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space tells the programs of rate.bpf.c. */
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

#endif
