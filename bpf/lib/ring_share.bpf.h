/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A share of a ring buffer. While the ring is less than half full, any share may send. From then on, each share may
 * send its part: half of the ring, divided by the number of shares, plus the same fraction of all bytes that the agent
 * reads meanwhile. So the second half of the ring has room for the parts of all shares, even if one share fills the
 * first half. A share is a token bucket that refills with the bytes that are read, not with time.
 */
#ifndef SLUICE_RING_SHARE_BPF_H
#define SLUICE_RING_SHARE_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lib/once.h"

#define SL_RING_HEADER 8

/* `paid`: the ring position up to which the share's tokens are used; `parts`: the number of shares. */
static __always_inline bool pay_for_record(void* ring, __u64 half, __u64* paid, __u32 parts, __u32 bytes) {
  const __u64 read = bpf_ringbuf_query(ring, BPF_RB_CONS_POS);
  const __u64 price = (__u64)parts * (bytes + SL_RING_HEADER);
  const __s64 debt = SL_READ_ONCE(*paid) - read;
  if (debt >= (__s64)half) return false;
  /* CPUs that come at the same moment may all find the bucket full. */
  if (debt >= 0)
    __sync_fetch_and_add(paid, price);
  else
    SL_WRITE_ONCE(*paid, read + price);
  return true;
}

#endif
