/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space tells the rotating wrappers of programs.bpf.c. */
#ifndef SLUICE_PERF_ROTATION_H
#define SLUICE_PERF_ROTATION_H

#include "bpf/abi/types.h"

/* Flow n: client port PERF_FIRST_CLIENT_PORT + n % PERF_CLIENT_PORTS, service port by n / PERF_CLIENT_PORTS. */
#define PERF_FIRST_CLIENT_PORT 10000
#define PERF_CLIENT_PORTS 50000
#define PERF_FIRST_SERVICE_PORT 5000
#define PERF_SERVICE_PORTS 10

struct perf_rotation {
  __u64 state;     /* in turn: the next flow; else of the random numbers */
  __u32 flows;     /* packets are of this many */
  __u32 random;    /* 1: each packet of any of them; 0: in turn */
  __u32 l4_offset; /* of the frame's ports */
  __u32 answer;    /* 1: the packet comes from the service */
};
SL_ABI_ASSERT(sizeof(struct perf_rotation) == 24, "perf_rotation");

#endif
