/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Time for the packet path. Tests set a clock of their own; in production the branch is pruned at load. */
#ifndef SLUICE_CLOCK_BPF_H
#define SLUICE_CLOCK_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/conntrack.h"

const volatile __u8 use_test_clock = 0;
volatile __u64 test_clock_ns = 0;

/* Length of a jiffy: what CLOCK_MONOTONIC_COARSE moves by. Set by the loader. */
const volatile __u64 jiffy_ns = 4000000;
/* CLOCK_MONOTONIC minus the jiffies' time, and when that was measured, in jiffies. */
volatile __u64 jiffies_offset_ns = 0;
volatile __u64 jiffies_compared = 0;
#define SL_COMPARE_JIFFIES 1024

/*
 * CLOCK_MONOTONIC, ns, in steps of a jiffy. Jiffies cost a load, the clock a call of a dozen ns. But only the clock is
 * disciplined (NTP), so the two are compared every few seconds.
 */
static __always_inline __u64 sl_now(void) {
  if (use_test_clock) return test_clock_ns;
  __u64 jiffies = bpf_jiffies64(), time = jiffies * jiffy_ns;
  if (jiffies - jiffies_compared > SL_COMPARE_JIFFIES) {
    jiffies_offset_ns = bpf_ktime_get_coarse_ns() - time;
    jiffies_compared = jiffies;
  }
  return time + jiffies_offset_ns;
}

static __always_inline __u32 sl_ticks(__u64 ns) { return ns >> SL_TICK_SHIFT; }

/* As sl_now, to the nanosecond, for events that people sort by time. */
static __always_inline __u64 sl_now_precise(void) {
  if (use_test_clock) return test_clock_ns;
  return bpf_ktime_get_ns();
}

#endif
