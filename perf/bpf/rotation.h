/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Configuration of the rotating wrappers of programs.bpf.c. */
#ifndef SLUICE_PERF_ROTATION_H
#define SLUICE_PERF_ROTATION_H

#include "bpf/abi/types.h"

/*
 * Flow n: address number n % addresses, in a scattered order; with m = n / addresses, client port
 * PERF_FIRST_CLIENT_PORT + m % PERF_CLIENT_PORTS, and service port by m / PERF_CLIENT_PORTS.
 */
#define PERF_FIRST_CLIENT_PORT 10000
#define PERF_CLIENT_PORTS 50000
#define PERF_FIRST_SERVICE_PORT 5000
#define PERF_SERVICE_PORTS 20

/* As many slots and buckets as the flow table has by default. */
#define PERF_SLOTS 393225
#define PERF_SLOT_BUCKETS 26215

struct perf_rotation {
  __u64 state;          /* in turn: the next flow; random: the generator's state */
  __u32 flows;          /* number of flows */
  __u32 random;         /* 1: a random flow for each packet; 0: in turn */
  __u32 l4_offset;      /* of the ports in the frame */
  __u32 answer;         /* 1: the packet comes from the service */
  __u32 addresses;      /* number of addresses in turn; 1: the frame keeps its own */
  __u32 address_offset; /* of the last four bytes of the address that changes */
  __u32 first_address;  /* its last four bytes, host order */
  __u32 address_step;
};
SL_ABI_ASSERT(sizeof(struct perf_rotation) == 40, "perf_rotation");

#endif
