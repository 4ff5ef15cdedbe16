/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Services: their addresses, and the backends that this node may use for each. The programs at sockets (cgroup/)
 * translate a Service's address when a pod's program uses it; the packet path translates what still leaves a pod with
 * such an address.
 *
 * `services` (HASH by struct sl_service_key) has the addresses, `service_backends` (ARRAY) the backends of each in one
 * range, sorted as memcmp sorts (addr, port). The agent writes a new range first, then the service that names it, and
 * uses the old range again only when no program can still read it.
 */
#ifndef SLUICE_ABI_SERVICE_H
#define SLUICE_ABI_SERVICE_H

#include "types.h"

/* One address of a Service: a cluster, external or load balancer address with its port, or a node's with a node port.
 */
struct sl_service_key {
  struct sl_addr addr;
  __be16 port;
  __u8 protocol; /* IANA protocol number: TCP, UDP, SCTP */
  __u8 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_service_key) == 20, "sl_service_key");

struct sl_service {
  __u32 number;   /* of this address of the Service; not used again before reboot. Flows have it */
  __u32 first;    /* of its backends */
  __u32 count;    /* 0: it has none, a connection to it fails */
  __u32 affinity; /* ClientIP affinity: the time after which a client may get another backend, seconds; 0: none */
};
SL_ABI_ASSERT(sizeof(struct sl_service) == 16, "sl_service");

struct sl_service_backend {
  struct sl_addr addr;
  __be16 port;
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_service_backend) == 20, "sl_service_backend");

/* Binary search in one range: 2^17 backends. */
#define SL_SERVICE_SEARCH_STEPS 17

/* `service_numbers` (HASH by number): the address of a Service that a flow has the number of. Value: sl_service_key. */

/*
 * `service_clients` (HASH by the cookie of a network namespace): the namespaces whose sockets are translated. Value:
 * the inode number of the namespace, for people.
 */

/* `service_affinity` (LRU_HASH). One entry for each client and Service with affinity: no client can have more. */
struct sl_affinity_key {
  __u64 client; /* cookie of its network namespace */
  __u32 number; /* as in sl_service */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_affinity_key) == 16, "sl_affinity_key");

struct sl_affinity {
  struct sl_service_backend backend;
  __u32 pad;
  __u64 used_ns; /* CLOCK_MONOTONIC, coarse */
};
SL_ABI_ASSERT(sizeof(struct sl_affinity) == 32, "sl_affinity");

/* A translation that a socket uses. */
struct sl_translation {
  struct sl_service_backend backend;
  struct sl_service_key service;
  __u32 number; /* as in sl_service; 0: unused */
};
SL_ABI_ASSERT(sizeof(struct sl_translation) == 44, "sl_translation");

/* `service_sockets` (SK_STORAGE): what was translated for this socket. It lives as long as the socket, so no other
 * socket can push it out. last[0] is what it was connected to, the others are a ring of what it sent to by address. */
#define SL_SOCKET_TRANSLATIONS 8
#define SL_SOCKET_RING (SL_SOCKET_TRANSLATIONS - 1)
struct sl_service_socket {
  __u64 client; /* cookie of the socket's network namespace */
  struct sl_translation last[SL_SOCKET_TRANSLATIONS];
  __u16 next;      /* index of the ring to write next, from 0 */
  __u16 latest;    /* index in `last` of what it sent to last by address */
  __u32 connected; /* 1: last[0] is what it is connected to, if it is connected */
};
SL_ABI_ASSERT(sizeof(struct sl_service_socket) == 368, "sl_service_socket");

/* A record of sv_stale_sockets: a connected UDP socket whose backend the Service no longer has. */
struct sl_stale_socket {
  __u64 cookie;
  struct sl_addr local;
  struct sl_service_backend backend; /* what it is connected to */
  __be16 local_port;
  __u8 pad[2];
  __u32 interface; /* that it is bound to; 0: none */
  __u32 pad2;
};
SL_ABI_ASSERT(sizeof(struct sl_stale_socket) == 56, "sl_stale_socket");

/*
 * `service_flows` (LRU_HASH): the backends of flows that the packet path translates. Flows that a pod's socket
 * translates are not here.
 */
struct sl_service_flow_key {
  struct sl_addr src;
  struct sl_addr service;
  __be16 src_port;
  __be16 service_port;
  __u8 protocol;
  __u8 pad[3];
};
SL_ABI_ASSERT(sizeof(struct sl_service_flow_key) == 40, "sl_service_flow_key");

struct sl_service_flow {
  struct sl_service_backend backend;
  __u32 number; /* as in sl_service */
};
SL_ABI_ASSERT(sizeof(struct sl_service_flow) == 24, "sl_service_flow");

/* How many backends the packet path tries, when it looks for a flow whose entry in `service_flows` was pushed out, and
 * how many it evaluates policy for, when it leaves the translation to others. With more, the packet is dropped. */
#define SL_SERVICE_SCAN 128

#endif
