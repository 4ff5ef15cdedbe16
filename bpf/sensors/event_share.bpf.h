/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Shares of the ring `process_events`, one for each share of bpf/abi/process_class.h. While the ring is less than half
 * full, any share may send. From then on, each share may send its part: half of the ring, divided by the number of
 * shares, plus the same fraction of all bytes that the agent reads meanwhile. So the second half of the ring has room
 * for the parts of all shares, even if one share fills the first half.
 *
 * A share is a token bucket that refills with the bytes that are read, not with time. The iterator's records are not
 * limited, as they are read at once.
 */
#ifndef SLUICE_EVENT_SHARE_BPF_H
#define SLUICE_EVENT_SHARE_BPF_H

#include "bpf/lib/once.h"
#include "bpf/sensors/share.bpf.h"

#define SL_RING_HEADER 8

/* By share: the ring position up to which its tokens are used. Not pinned, as the ring is not. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_SHARES);
  __type(key, __u32);
  __type(value, __u64);
} process_event_shares SEC(".maps");

/* Not for the iterator. Not inlined, to save stack. */
__noinline bool may_send(__u32 share, __u32 bytes) {
  const __u64 half = ring_half;
  if (bpf_ringbuf_query(&process_events, BPF_RB_AVAIL_DATA) < half) return true;
  __u64* paid = bpf_map_lookup_elem(&process_event_shares, &share);
  if (!paid) return false;
  const __u64 read = bpf_ringbuf_query(&process_events, BPF_RB_CONS_POS);
  const __u64 price = (__u64)share_parts() * (bytes + SL_RING_HEADER);
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
