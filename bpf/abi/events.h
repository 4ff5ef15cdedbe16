/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Hooks, counters, run-time settings, and the flow events that the packet path sends while a client follows them. */
#ifndef SLUICE_ABI_EVENTS_H
#define SLUICE_ABI_EVENTS_H

#include "conntrack.h"
#include "drop_reasons.h"
#include "policy.h"
#include "types.h"

/* X(NAME, label, direction) */
#define SL_PACKET_HOOKS(X)                \
  X(TC_FROM_POD, "tc_from_pod", "egress") \
  X(TC_TO_POD, "tc_to_pod", "ingress")    \
  X(XDP_UPLINK, "xdp_uplink", "ingress")

enum sl_packet_hook {
#define SL_X(name, label, direction) SL_HOOK_##name,
  SL_PACKET_HOOKS(SL_X)
#undef SL_X
      SL_HOOK_COUNT
};

struct sl_counter {
  __u64 packets;
  __u64 bytes; /* at layer 2 */
};
SL_ABI_ASSERT(sizeof(struct sl_counter) == 16, "sl_counter");

/* `packet_counts` (PERCPU_ARRAY of SL_HOOK_COUNT * SL_OUTCOME_COUNT): outcome = drop reason (0: forwarded), or AUDITED.
 */
#define SL_OUTCOME_AUDITED SL_DROP_REASON_COUNT
#define SL_OUTCOME_COUNT (SL_DROP_REASON_COUNT + 1)

/* `endpoint_counts` (PERCPU_ARRAY of SL_MAX_ENDPOINTS), by sl_address_value.endpoint. */
struct sl_endpoint_counters {
  struct sl_counter egress[SL_OUTCOME_COUNT];
  struct sl_counter ingress[SL_OUTCOME_COUNT];
};

/* X(NAME, metric suffix): single per-CPU counters in `event_counts` (PERCPU_ARRAY). */
#define SL_COUNTERS(X)                                                                           \
  X(FLOW_NEW, "flows_new")                                                                       \
  X(FLOW_REVOKED, "flows_cut")                                                                   \
  X(FLOW_REDECIDED, "flows_redecided")                                                           \
  X(CT_PROMOTE_FAILED, "conntrack_promote_failed")                                               \
  X(CT_INSERT_FAILED, "conntrack_insert_failed")                                                 \
  X(FLOW_EVICTED, "flows_evicted")                                                               \
  X(FLOW_OVER_SHARE, "flows_refused_over_share")                                                 \
  X(EVENT_LOST_RING_FULL, "events_lost_ring_full")                                               \
  X(EVENT_LOST_SHARE, "events_lost_workload_share")                                              \
  X(DENIED_UNRECORDED, "denied_packets_unrecorded")                                              \
  X(REDIRECT_PEER, "redirect_peer")                                                              \
  X(REDIRECT_DEVMAP, "redirect_devmap")                                                          \
  /* Attribution of a flow's end, by its first packet at a local pod's hook or from the node: */ \
  X(SENDER_FOUND, "attribution_hits")                                                            \
  X(SENDER_NO_SOCKET, "attribution_no_socket")                                                   \
  X(SENDER_UNOWNED, "attribution_unowned_socket")                                                \
  X(SENDER_GONE, "attribution_process_gone")

enum sl_counter_id {
#define SL_X(name, label) SL_COUNTER_##name,
  SL_COUNTERS(SL_X)
#undef SL_X
      SL_COUNTER_COUNT
};

enum sl_setting_flags {
  SL_SETTING_EVENTS = 1 << 0,           /* a client follows flow events: send them */
  SL_SETTING_REDIRECT = 1 << 1,         /* redirects by bpf_redirect_peer and devmap are on */
  SL_SETTING_KEEP_ESTABLISHED = 1 << 2, /* a newer generation does not revoke live flows */
  SL_SETTING_REDIRECT_ALWAYS = 1 << 3,  /* with REDIRECT: also for flows that were not seen to pass the host path */
  SL_SETTING_HOST_TRACKS_TCP = 1 << 4,  /* the host's connection tracking checks TCP windows: no redirect for TCP */
  SL_SETTING_CAPTURE = 1 << 5           /* packets of some workload are recorded (bpf/abi/capture.h) */
};
/* With SL_SETTING_CAPTURE: set if an endpoint with the same lowest four bits is recorded. So almost all other workloads
 * pay for one test of a word that is loaded. */
#define SL_SETTING_CAPTURED(endpoint) (1u << (16 + ((endpoint)&15)))
#define SL_SETTING_CAPTURED_ANY 0xffff0000u

/* An uplink: a network card that xdp/uplink is attached to. */
struct sl_uplink {
  __u32 ifindex; /* 0: unused */
  __u8 mac[6];
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_uplink) == 12, "sl_uplink");

/* `settings` (ARRAY of 1). */
#define SL_MAX_UPLINKS 8
#define SL_HASH_SEEDS (sizeof(struct sl_flow_key) / sizeof(__u32)) /* the longest key is a flow's */
struct sl_settings {
  __u32 flags; /* SL_SETTING_* */
  struct sl_uplink uplinks[SL_MAX_UPLINKS];
  __u32 path_fresh; /* how long a flow may skip the host path before one packet must take it again, in ticks */
  __u64 hash_seeds[SL_HASH_SEEDS]; /* for our own hash tables (bpf/lib/hash.h); random, chosen once, when the maps are
                                      created */
};
SL_ABI_ASSERT(sizeof(struct sl_settings) == 184, "sl_settings");

/* Foreign programs and queueing disciplines at an interface, which a redirect would skip. */
enum sl_interface_others {
  SL_OTHERS_SENT = 1,    /* for packets that the pod sends */
  SL_OTHERS_RECEIVED = 2 /* for packets that it receives */
};

/* `interfaces` (HASH by ifindex of __u32): the host ends of local workloads' veths. */
struct sl_interface {
  __u32 bridge;    /* ifindex of the bridge that it is a plain forwarding port of; 0: none */
  __s32 netns;     /* the pod's netns id, as the host's namespace numbers it; below 0: not known */
  __u8 pod_mac[6]; /* of the pod's end of the veth; all 0: not known, and not checked */
  __u8 others;     /* enum sl_interface_others */
  __u8 pad;
  struct sl_addr address;    /* one of the workload's: stands for it in broadcast and multicast */
  struct sl_addr link_local; /* the pod's IPv6 link-local address; all 0: not known, and it may use none */
  __be32 link_local4;        /* the same in 169.254.0.0/16; 0: not known */
  __u32 master;   /* ifindex of the device that routes for it: its bridge or VRF, or a device on them; 0: none */
  __u32 endpoint; /* the workload's, index in `endpoint_macs` */
};
SL_ABI_ASSERT(sizeof(struct sl_interface) == 60, "sl_interface");

/* Value of `endpoint_macs` (ARRAY of SL_MAX_ENDPOINTS): copy of sl_interface.pod_mac, which an array look-up finds. */
struct sl_endpoint_mac {
  __u8 mac[6];
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_endpoint_mac) == 8, "sl_endpoint_mac");

/* Limit on the link control (ARP, neighbour discovery, multicast membership) that a workload sends, bytes per second at
 * layer 2, with bursts of one second's worth. CUT_OFF: in quarantine. */
#define SL_LINK_CONTROL_RATE 131072
#define SL_LINK_CONTROL_RATE_CUT_OFF 8192

enum sl_flow_event_type {
  SL_FLOW_NEW = 1,
  SL_FLOW_UPDATE = 2,
  SL_FLOW_END = 3,
};

/* One record of the ring buffer `flow_events`. NEW and UPDATE are sent while a client follows flow events; END whenever
 * the packet path ends a flow's record: it removes the flow, or an end has a new process. */
struct sl_flow_event {
  __u64 time_ns; /* CLOCK_MONOTONIC; END: the record's last packet, as last_seen_ns */
  struct sl_flow_key key;
  struct sl_flow_entry entry; /* as it was after this packet */
  __u32 ifindex;
  __u8 type;  /* enum sl_flow_event_type */
  __u8 reply; /* 1: the packet went from responder to initiator */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_flow_event) == 296, "sl_flow_event");

/*
 * `event_shares` (ARRAY of SL_EVENT_SHARES): each workload's share of `flow_events`, so that one workload's flood
 * leaves room for the others. Each endpoint has two, by SL_EVENT_SHARE: for flows that it opens, and for flows that
 * come to it from elsewhere. Share 0 is for packets whose sender is not known.
 *
 * A share is a token bucket: SL_EVENT_RATE events per second, and at most one second's worth. While the ring is half
 * full or more, a full bucket gives only SL_EVENT_RESERVE events.
 */
struct sl_event_share {
  __u64 paid_until_ns; /* CLOCK_MONOTONIC, moved on by each event; in the past: the bucket is full */
  __u64 lost;          /* events that it refused */
};
SL_ABI_ASSERT(sizeof(struct sl_event_share) == 16, "sl_event_share");
#define SL_EVENT_SHARE(endpoint, from_elsewhere) (2 * (endpoint) + (from_elsewhere))
#define SL_EVENT_SHARES SL_EVENT_SHARE(SL_MAX_ENDPOINTS, 0)
#define SL_EVENT_RATE 5000 /* unless the loader sets another rate */
#define SL_EVENT_RESERVE 256

/* Time between two events of a flow that continues, in ticks. */
#define SL_FLOW_EVENT_INTERVAL ((__u32)(5 * SL_SECOND_NS >> SL_TICK_SHIFT))

#endif
