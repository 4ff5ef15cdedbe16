/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counters by hook and outcome, counters by endpoint, and flow events while somebody watches. */
#ifndef SLUICE_ACCOUNT_BPF_H
#define SLUICE_ACCOUNT_BPF_H

#include "bpf/lib/clock.bpf.h"
#include "bpf/lib/maps.bpf.h"

static __always_inline void sl_count_event(__u32 id) {
  __u64* count = bpf_map_lookup_elem(&event_counts, &id);
  if (count) (*count)++;
}

static __always_inline __u32 sl_setting(void) {
  const struct sl_settings* value = sl_settings_in_force();
  return value ? value->flags : 0;
}

/* Null: xdp/uplink is not attached there. */
static __always_inline const struct sl_uplink* sl_find_uplink(__u32 ifindex) {
  const struct sl_settings* value = sl_settings_in_force();
  if (!value) return 0;
  for (int i = 0; i < SL_MAX_UPLINKS; i++)
    if (value->uplinks[i].ifindex == ifindex) return &value->uplinks[i];
  return 0;
}

/* What one packet adds. */
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
  barrier_var(outcome); /* or the bound is checked before the call, and old verifiers forget it meanwhile */
  if (!counters || outcome >= SL_OUTCOME_COUNT) return;
  struct sl_counter* counter = ingress ? &counters->ingress[outcome] : &counters->egress[outcome];
  counter->packets += size->packets;
  counter->bytes += size->bytes;
}

static __always_inline void sl_send_event(const struct sl_flow_key* key, const struct sl_flow_entry* entry,
                                          __u32 ifindex, __u8 type, __u8 reply) {
  struct sl_flow_event* event = bpf_ringbuf_reserve(&flow_events, sizeof(*event), 0);
  if (!event) {
    sl_count_event(SL_COUNTER_EVENT_LOST_RING_FULL);
    return;
  }
  event->time_ns = sl_now_precise();
  event->key = *key;
  event->entry = *entry;
  event->ifindex = ifindex;
  event->type = type;
  event->reply = reply;
  event->pad[0] = event->pad[1] = 0;
  /* The reader polls: a wake-up per event costs more than the event. */
  bpf_ringbuf_submit(event, BPF_RB_NO_WAKEUP);
}

#endif
