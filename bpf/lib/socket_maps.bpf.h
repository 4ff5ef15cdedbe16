/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Socket -> process, in the socket itself. Pinned, so that it outlives the agent. */
#ifndef SLUICE_SOCKET_MAPS_BPF_H
#define SLUICE_SOCKET_MAPS_BPF_H

#include "bpf/lib/datagram_senders.bpf.h"
#include "bpf/lib/process_maps.bpf.h"

/* Writer: socket probes; the packet path updates `process` to the current instance. Never full: the memory is the
 * socket's. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  __type(key, int);
  __type(value, struct sl_socket_owner);
} sockets SEC(".maps");

/* Writer: socket probes, before a UDP socket's port is free for others. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_SOCKETS_CLOSED);
  __type(key, __u32);
  __type(value, __u32);
} sockets_closed SEC(".maps");

static __always_inline __u32* sl_closed_like(__u64 cookie) {
  const __u32 index = (__u32)cookie & (SL_SOCKETS_CLOSED - 1);
  return bpf_map_lookup_elem(&sockets_closed, &index);
}

#endif
