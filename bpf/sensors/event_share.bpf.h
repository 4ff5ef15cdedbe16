/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Shares of the ring `process_events` (bpf/lib/ring_share.bpf.h), one for each share of bpf/abi/process_class.h. The
 * iterator's records are not limited, as they are read at once. */
#ifndef SLUICE_EVENT_SHARE_BPF_H
#define SLUICE_EVENT_SHARE_BPF_H

#include "bpf/lib/ring_share.bpf.h"
#include "bpf/sensors/share.bpf.h"

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
  return pay_for_record(&process_events, half, paid, share_parts(), bytes);
}

#endif
