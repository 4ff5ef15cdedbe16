/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counters by hook and outcome, counters by endpoint, and flow events while a client follows them. */
#ifndef SLUICE_ACCOUNT_BPF_H
#define SLUICE_ACCOUNT_BPF_H

#include "bpf/lib/clock.bpf.h"
#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/once.h"

static __always_inline void sl_count_event(__u32 id) {
  __u64* count = bpf_map_lookup_elem(&event_counts, &id);
  if (count) (*count)++;
}

/* Null: xdp/uplink is not attached there. */
static __always_inline const struct sl_uplink* sl_find_uplink(__u32 ifindex) {
  const struct sl_settings* value = sl_settings_in_force();
  if (!value) return 0;
  for (int i = 0; i < SL_MAX_UPLINKS; i++)
    if (value->uplinks[i].ifindex == ifindex) return &value->uplinks[i];
  return 0;
}

/* What one packet adds to counters. */
struct sl_size {
  __u32 packets; /* segments of a GSO packet */
  __u32 bytes;   /* layer 2 */
};

static __always_inline void sl_count_packet(__u32 hook, __u32 outcome, const struct sl_size* size) {
  __u32 index = hook * SL_OUTCOME_COUNT + outcome;
  struct sl_counter* counter = bpf_map_lookup_elem(&packet_counts, &index);
  if (!counter) return;
  counter->packets += size->packets;
  counter->bytes += size->bytes;
}

static __always_inline void sl_count_endpoint(__u32 endpoint, int ingress, __u32 outcome, const struct sl_size* size) {
  if (!endpoint) return;
  struct sl_endpoint_counters* counters = bpf_map_lookup_elem(&endpoint_counts, &endpoint);
  barrier_var(outcome); /* else the bound is checked before the call, and old verifiers forget it after the call */
  if (!counters || outcome >= SL_OUTCOME_COUNT) return;
  struct sl_counter* counter = ingress ? &counters->ingress[outcome] : &counters->egress[outcome];
  counter->packets += size->packets;
  counter->bytes += size->bytes;
}

/* An id for a new record of a flow. 0: none. */
static __always_inline __u64 sl_next_flow_id(void) {
  __u32 zero = 0;
  __u64* last = bpf_map_lookup_elem(&flow_ids, &zero);
  return last ? ++*last << 16 | (bpf_get_smp_processor_id() & 0xffff) : 0;
}

/* The share that an event of the flow is charged to: that of the workload that opened it, else that of the receiving
 * workload. The sender of a packet with a forged source is known only at the sender's own hook. */
static __always_inline __u32 sl_share_of(const struct sl_flow_entry* entry) {
  const int is_from_pod = entry->hook == SL_HOOK_TC_FROM_POD;
  if (entry->reason == SL_DROP_UNKNOWN_ENDPOINT && is_from_pod) return 0;
  if ((entry->reason == SL_DROP_SPOOFED_SOURCE || entry->reason == SL_DROP_UNKNOWN_ENDPOINT) && !is_from_pod)
    return SL_EVENT_SHARE(entry->responder.endpoint, 1);
  if (entry->initiator.endpoint) return SL_EVENT_SHARE(entry->initiator.endpoint, 0);
  return SL_EVENT_SHARE(entry->responder.endpoint, 1);
}

/* Cost of one event in a share. Set by the loader; 0: shares are off. */
const volatile __u64 event_price_ns = SL_SECOND_NS / SL_EVENT_RATE;

static __always_inline int sl_take_share(__u32 index) {
  const __u64 price = event_price_ns;
  if (!price) return 1;
  struct sl_event_share* share = bpf_map_lookup_elem(&event_shares, &index);
  if (!share) return 0;
  const __u64 now = sl_now();
  const __s64 debt = SL_READ_ONCE(share->paid_until_ns) - now;
  if (debt >= (__s64)SL_SECOND_NS ||
      (debt >= (__s64)(SL_EVENT_RESERVE * price) &&
       bpf_ringbuf_query(&flow_events, BPF_RB_AVAIL_DATA) >= bpf_ringbuf_query(&flow_events, BPF_RB_RING_SIZE) / 2)) {
    __sync_fetch_and_add(&share->lost, 1);
    return 0;
  }
  /* CPUs that come at the same moment may all find the bucket full. */
  if (debt >= 0)
    __sync_fetch_and_add(&share->paid_until_ns, price);
  else
    SL_WRITE_ONCE(share->paid_until_ns, now + price);
  return 1;
}

/* Reserves an event and fills in key and entry; the caller submits it. Null: lost and counted. */
static __always_inline struct sl_flow_event* sl_begin_event(const struct sl_flow_key* key,
                                                            const struct sl_flow_entry* entry, __u32 share) {
  if (!sl_take_share(share)) {
    sl_count_event(SL_COUNTER_EVENT_LOST_SHARE);
    return 0;
  }
  struct sl_flow_event* event = bpf_ringbuf_reserve(&flow_events, sizeof(*event), 0);
  if (!event) {
    sl_count_event(SL_COUNTER_EVENT_LOST_RING_FULL);
    return 0;
  }
  event->key = *key;
  event->entry = *entry;
  event->pad[0] = event->pad[1] = 0;
  return event;
}

static __always_inline void sl_submit_event(struct sl_flow_event* event, __u64 time_ns, __u32 ifindex, __u8 type,
                                            __u8 reply) {
  event->time_ns = time_ns;
  event->ifindex = ifindex;
  event->type = type;
  event->reply = reply;
  /* The reader polls: a wake-up per event costs more than the event. */
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

/* Global, so that the verifier checks it once: a call costs little compared to an event, and events are sent from many
 * places. `kind`: enum sl_flow_event_type, plus SL_EVENT_OF_REPLY. */
#define SL_EVENT_OF_REPLY (1 << 8)
__noinline int sl_send_event(const struct sl_flow_key* key, const struct sl_flow_entry* entry, __u32 share,
                             __u32 ifindex, __u32 kind) {
  if (!key || !entry) return 0;
  struct sl_flow_event* event = sl_begin_event(key, entry, share);
  const __u8 type = kind, reply = kind >= SL_EVENT_OF_REPLY;
  if (event)
    sl_submit_event(event, type == SL_FLOW_END ? event->entry.last_seen_ns : sl_now_precise(), ifindex, type, reply);
  return 0;
}

/* The packet path removes the flow, which ends its record. */
static __always_inline void sl_send_end(const struct sl_flow_key* key, const struct sl_flow_entry* entry) {
  sl_send_event(key, entry, sl_share_of(entry), 0, SL_FLOW_END);
}

#endif
