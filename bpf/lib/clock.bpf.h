/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time for the packet path. Tests set a clock of their own; in production the branch is pruned at load. */
#ifndef SLUICE_CLOCK_BPF_H
#define SLUICE_CLOCK_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

const volatile __u8 use_test_clock = 0;
volatile __u64 test_clock_ns = 0;

/* CLOCK_MONOTONIC_COARSE, ns: 4 ms steps at HZ=250, and less than half the cost of bpf_ktime_get_ns. */
static __always_inline __u64 sl_now(void) {
  if (use_test_clock) return test_clock_ns;
  return bpf_ktime_get_coarse_ns();
}

/* As sl_now, to the nanosecond: for what people order by. */
static __always_inline __u64 sl_now_precise(void) {
  if (use_test_clock) return test_clock_ns;
  return bpf_ktime_get_ns();
}

#endif
