/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The tables of bpf/abi/service.h. Pinned: the programs at sockets and the packet path share them. */
#ifndef SLUICE_SERVICE_MAPS_BPF_H
#define SLUICE_SERVICE_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/service.h"

/* Writer: agent. Full: the agent leaves the Services that do not fit untranslated, and says so. The same is true of the
 * next two. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct sl_service_key);
  __type(value, struct sl_service);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 262144);
  __type(key, __u32);
  __type(value, struct sl_service_backend);
} service_backends SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 131072); /* more than `services`: a number stays until no flow has it */
  __type(key, __u32);
  __type(value, struct sl_service_key);
} service_numbers SEC(".maps");

/* Writer: agent. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 8192);
  __type(key, __u64);
  __type(value, __u64);
} service_clients SEC(".maps");

/* Writer: programs at sockets and veths. Full: the client that was idle longest may get another backend. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct sl_affinity_key);
  __type(value, struct sl_affinity);
} service_affinity SEC(".maps");

/* Writer: programs at sockets. Never full: the memory is the socket's. Not cloned: what a listener accepts was not
 * translated. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sl_service_socket);
} service_sockets SEC(".maps");

/* Writer: packet path. Full: the flow that was idle longest is looked for among all backends. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 65536);
  __type(key, struct sl_service_flow_key);
  __type(value, struct sl_service_flow);
} service_flows SEC(".maps");

#endif
