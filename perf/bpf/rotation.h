/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What user space tells the rotating wrappers of programs.bpf.c. */
#ifndef SLUICE_PERF_ROTATION_H
#define SLUICE_PERF_ROTATION_H

#include "bpf/abi/types.h"

/* Flow number n has client port FIRST_CLIENT_PORT + n % CLIENT_PORTS and service port FIRST_SERVICE_PORT + n /
 * CLIENT_PORTS. */
#define PERF_FIRST_CLIENT_PORT 10000
#define PERF_CLIENT_PORTS 50000
#define PERF_FIRST_SERVICE_PORT 5000
#define PERF_SERVICE_PORTS 10

struct perf_rotation {
  __u64 next;      /* packets so far */
  __u32 flows;     /* packets go round this many; no multiple of the stride's factors, see programs.bpf.c */
  __u32 l4_offset; /* of the frame's ports */
  __u32 answer;    /* 1: the packet comes from the service */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct perf_rotation) == 24, "perf_rotation");

#endif
