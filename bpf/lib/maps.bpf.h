/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every map, once. Sizes are defaults; the loader sets the configured ones. Only the "Writer" creates entries. "Full"
 * says what happens when the map is full.
 */
#ifndef SLUICE_MAPS_BPF_H
#define SLUICE_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/conntrack.h"
#include "bpf/abi/events.h"
#include "bpf/abi/flow_table.h"
#include "bpf/abi/policy.h"
#include "bpf/abi/quarantine.h"
#include "bpf/lib/quarantine_maps.bpf.h"

/* Writer: agent. The number of the policy generation in force; memory-mapped by the agent, stored with release
 * order. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} generation SEC(".maps");

/* Writer: agent. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct sl_settings);
} settings SEC(".maps");

static __always_inline const struct sl_settings* sl_settings_in_force(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&settings, &zero);
}

/* Writer: agent, which has it memory-mapped and edits the epoch that is not in force. A hash table of our own
 * (policy.h): the agent fills it at memory speed, where a map of type HASH takes a microsecond for each entry; and a
 * look-up calls no helper and touches one or two cache lines. Full: the new generation is refused, and the old one
 * stays in force. The same is true of all policy maps. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_EPOCHS* SL_EPOCH_SLOTS(131072));
  __type(key, __u32);
  __type(value, struct sl_address_entry);
} addresses SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 262144);
  __type(key, struct sl_prefix_key);
  __type(value, struct sl_prefix_value);
} prefixes SEC(".maps");

/* As `addresses`. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_EPOCHS* SL_EPOCH_SLOTS(1048576));
  __type(key, __u32);
  __type(value, struct sl_peer_entry);
} peers SEC(".maps");

/* Memory-mapped as `addresses`. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 524288);
  __type(key, __u32);
  __type(value, struct sl_port_entry);
} ports SEC(".maps");

/* Epochs as `addresses`, but written by system calls. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_EPOCHS* SL_MAX_PROCESS_VERDICTS);
  __type(key, __u32);
  __type(value, struct sl_process_verdict);
} process_verdicts SEC(".maps");

/* Writer: agent, when it attaches to an interface. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, struct sl_interface);
} interfaces SEC(".maps");

/* Writer: agent, when it attaches to a workload's interface, before the workload is in force. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct sl_endpoint_mac);
} endpoint_macs SEC(".maps");

/* Writer: packet path. Token bucket of each endpoint's link control: the time up to which its tokens are used,
 * CLOCK_MONOTONIC. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, __u64);
} link_budgets SEC(".maps");

/* Writer: agent. Host ends of veths whose peers accept XDP frames. */
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 8192);
  __type(key, __u32);
  __type(value, __u32);
} pod_devices SEC(".maps");

/* Writer: agent, when it starts. Full: it does not start. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, SL_MAX_QUARANTINE_PEERS);
  __type(key, struct sl_quarantine_peer);
  __type(value, __u32);
} quarantine_allow SEC(".maps");

/* Writers: packet path; the agent, which only frees the slots of expired flows, and counts them out of `overflow`.
 * Memory-mapped by the agent. Full: see flow_table.h; with no room at all, CONNTRACK_FULL, and no denied-flow
 * entries. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_FLOW_BUCKETS(393216));
  __type(key, __u32);
  __type(value, struct sl_flow_bucket);
} flow_buckets SEC(".maps");

/* Writer: packet path. Memory-mapped by the agent, to read. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_FLOW_BUCKETS(393216) * SL_FLOW_WAYS);
  __type(key, __u32);
  __type(value, struct sl_flow);
} flows SEC(".maps");

/* Writers: packet path, agent. Memory-mapped by the agent. Full: see flow_table.h. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, __u64);
} flow_shares SEC(".maps");

/* Writer: packet path. By endpoint number. Full: the workload's oldest fragment is evicted; later fragments of that
 * datagram drop as FRAGMENT_NOT_FOUND. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct sl_fragments);
} fragments SEC(".maps");

/* Writer: packet path. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SL_HOOK_COUNT* SL_OUTCOME_COUNT);
  __type(key, __u32);
  __type(value, struct sl_counter);
} packet_counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct sl_endpoint_counters);
} endpoint_counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SL_COUNTER_COUNT);
  __type(key, __u32);
  __type(value, __u64);
} event_counts SEC(".maps");

/* Writer: packet path. The last flow record id that each CPU assigned, without the CPU's bits. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} flow_ids SEC(".maps");

/* Writer: packet path. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_EVENT_SHARES);
  __type(key, __u32);
  __type(value, struct sl_event_share);
} event_shares SEC(".maps");

/* Writer: packet path. Full, or the workload's share is used up: the event is lost and counted. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20);
} flow_events SEC(".maps");
/* A ring buffer names no type: this puts its record's layout into the object's BTF. */
const struct sl_flow_event* const flow_event_layout = 0;

#endif
