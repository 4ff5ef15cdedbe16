/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps of processes that the sensors write and the packet path reads. Pinned: ids outlive the agent. */
#ifndef SLUICE_PROCESS_MAPS_BPF_H
#define SLUICE_PROCESS_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/process.h"

/* Writer: sensors. Full: the process has no entry (PROCESS_TABLE_FULL is counted), but its events are sent. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, __u32);
  __type(value, struct sl_process);
} processes SEC(".maps");

/* Writer: sensors. The last sl_process_id that was assigned. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} process_ids SEC(".maps");

/*
 * Writers: sensors and socket probes. Counts events that can change the process behind a known flow: another process
 * acts on a socket, or a process with sockets executes a program. Flows are attributed again after it changes.
 */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} socket_changes SEC(".maps");

static __always_inline void sl_note_socket_change(void) {
  const __u32 zero = 0;
  __u32* changes = bpf_map_lookup_elem(&socket_changes, &zero);
  if (changes) __sync_fetch_and_add(changes, 1);
}

#endif
