/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Socket -> process, in the socket itself. Pinned: what is known of a socket outlives the agent. */
#ifndef SLUICE_SOCKET_MAPS_BPF_H
#define SLUICE_SOCKET_MAPS_BPF_H

#include "bpf/lib/datagram_senders.bpf.h"
#include "bpf/lib/process_maps.bpf.h"

/* Writer: socket probes; the packet path moves `process` on to the present life. Never full: memory is the socket's. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
  __type(key, int);
  __type(value, struct sl_socket_owner);
} sockets SEC(".maps");

#endif
