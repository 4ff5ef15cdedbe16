/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The rings of workloads' last packets (bpf/abi/capture.h). */
#ifndef SLUICE_CAPTURE_MAPS_BPF_H
#define SLUICE_CAPTURE_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/capture.h"

/* Writers: agent (snaplen, cells; all of it before a workload's capture begins); packet path (the rest).
 * Memory-mapped by the agent. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, struct sl_capture);
} captures SEC(".maps");

struct sl_capture_ring_map {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE | BPF_F_INNER_MAP); /* rings differ in size */
  __uint(max_entries, SL_CAPTURE_CELLS_MIN);
  __uint(key_size, sizeof(__u32));
  __uint(value_size, sizeof(struct sl_capture_cell));
};

/* Writer: agent, which makes a workload's rings when its capture begins. Cells are written by the packet path, and
 * memory-mapped by the agent, to read. Full: the oldest cells are overwritten. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, SL_CAPTURE_RINGS);
  __type(key, __u32);
  __array(values, struct sl_capture_ring_map);
} capture_rings SEC(".maps");

/* A record's layout, for the object's BTF: no map names it. */
const struct sl_capture_packet* const capture_packet_layout = 0;

#endif
