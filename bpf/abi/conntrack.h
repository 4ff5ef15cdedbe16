/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flows. One entry holds both directions, its verdict, and the generation it was decided under.
 *
 * A flow is pending until its initiator sends again after an answer, then it is established. A denied flow may have a
 * denied-flow entry, which counts its packets and repeats the denial within one generation; without one, policy is
 * evaluated for each packet. All entries are in the flow table (flow_table.h).
 */
#ifndef SLUICE_ABI_CONNTRACK_H
#define SLUICE_ABI_CONNTRACK_H

#include "process.h"
#include "types.h"

/* Normalised: (lo, lo_port) is not above (hi, hi_port) when compared as bytes, so both directions have one key. */
struct sl_flow_key {
  struct sl_addr lo;
  struct sl_addr hi;
  __be16 lo_port; /* ICMP: the identifier in both ports, if there is one; protocols without ports: 0 */
  __be16 hi_port;
  __u8 protocol;   /* IANA protocol number */
  __u8 icmp_asker; /* enum sl_icmp_asker: the requests of each end are a flow of their own */
  __u16 receiver;  /* multicast and broadcast at tc_to_pod: the receiver's endpoint, as each receiver has its own flow;
                      else 0 */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_key) == 40, "sl_flow_key");

/* The end that sends the requests: the sender of an ICMP message, unless the message is a reply. */
enum sl_icmp_asker {
  SL_ICMP_ASKER_NONE = 0, /* not ICMP */
  SL_ICMP_ASKER_LO = 1,
  SL_ICMP_ASKER_HI = 2,
};

enum sl_ct_flags {
  SL_CT_INITIATOR_HI = 1 << 0, /* the initiator is the key's `hi` end */
  SL_CT_SEEN_REPLY = 1 << 1,
  SL_CT_FIN_FORWARD = 1 << 2,
  SL_CT_FIN_REPLY = 1 << 3,
  SL_CT_RESET = 1 << 4,       /* the last packet was a RST */
  SL_CT_ESTABLISHED = 1 << 5, /* its initiator sent again after an answer; TCP: it acknowledged the SYN-ACK */
  SL_CT_REVOKED = 1 << 6,     /* revoked: was allowed, and a newer generation denies it; both directions drop */
  SL_CT_AUDIT = 1 << 7,       /* a policy in audit would have denied it */
  SL_CT_FROM_NODE = 1 << 8,   /* the node opened it: ingress is always allowed */
  SL_CT_QUARANTINED = 1 << 9, /* quarantine dropped its last packet; `reason` is the policy's verdict */
  /* That end's process is not certain: its next packet that carries a socket is attributed again. */
  SL_CT_RESOLVE_INITIATOR = 1 << 10,
  SL_CT_RESOLVE_RESPONDER = 1 << 11,
  /* The verdict depends on that end's process. */
  SL_CT_BY_INITIATOR = 1 << 12,
  SL_CT_BY_RESPONDER = 1 << 13,
  SL_CT_WATCH = 1 << 14, /* TCP: a RST or FIN is not confirmed yet, so every packet may change the state */
  /* Since counted_* below, a packet of that direction reached tc_to_pod unchanged from its sender's hook. */
  SL_CT_PATH_FORWARD = 1 << 15,
  SL_CT_PATH_REPLY = 1 << 16,
  /* That end's process is the listening one: the process that accepts the connection is not known yet. */
  SL_CT_LISTENER_INITIATOR = 1 << 17,
  SL_CT_LISTENER_RESPONDER = 1 << 18,
  /* The other end has acknowledged this end's FIN. */
  SL_CT_FIN_FORWARD_AGREED = 1 << 19,
  SL_CT_FIN_REPLY_AGREED = 1 << 20,
  /* The packet path translates the initiator's packets from the Service's address, and the answers back. */
  SL_CT_TRANSLATED = 1 << 21,
  /* The responder's address is a Service's, and others translate it: policy was evaluated for each of its backends. */
  SL_CT_TO_SERVICE = 1 << 22,
};

struct sl_flow_end {
  __u32 identity;
  __u32 workload; /* as in sl_address_value */
  __u32 endpoint; /* as in sl_address_value */
  __u32 ifindex;  /* as in sl_address_value */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_end) == 16, "sl_flow_end");

/*
 * The MAC addresses for a redirect to a local receiver, each in the first six bytes and in a frame's byte order. All 0:
 * no redirect. The upper 16 bits of each word are a tag, the time of the look-up. Both words are valid while both tags
 * equal the lowest 16 bits of route_checked, and less than SL_ROUTE_FRESH has passed since then. A tag plus
 * SL_ROUTE_CLAIMED in `source`: a CPU is writing the result of that look-up.
 */
struct sl_flow_route {
  __u64 destination;
  __u64 source;
};
SL_ABI_ASSERT(sizeof(struct sl_flow_route) == 16, "sl_flow_route");
#define SL_ROUTE_TAG_SHIFT 48
#define SL_ROUTE_CLAIMED 0x8000

/* Fields that the fast path reads come first: with the key (flow_table.h), two cache lines and the ends. */
struct sl_flow_entry {
  __u64 last_seen_ns; /* CLOCK_MONOTONIC, coarse */
  __u64 generation;
  __u32 flags;          /* SL_CT_* */
  __u32 socket_changes; /* the processes below were correct at this value of `socket_changes` */
  __u8 reason;          /* enum sl_drop_reason; SL_DROP_NONE: allowed */
  __u8 hook;            /* enum sl_packet_hook that decided */
  __u8 tcp_flags;       /* of the packet that opened it */
  __u8 icmp_type;       /* of the packet that opened it */
  __u8 icmp_code;
  __u8 pad[3];
  __u16 forward_mtu; /* MTU of the next hops below, at layer 3 */
  __u16 reply_mtu;
  __u32 route_checked;   /* when the next hops below were last looked up, in ticks */
  __u32 last_event;      /* in ticks; 0: the next packet sends an event */
  __u32 counted_forward; /* since when the initiator's hook counts its packets (host_path.bpf.h), in ticks; 0: never */
  __u32 counted_reply;   /* the same for the responder */
  /* `sockets_closed` of the two sockets below, when they were last known to be open. */
  __u16 initiator_closed;
  __u16 responder_closed;
  __u64 forward_packets; /* initiator to responder */
  __u64 forward_bytes;   /* at layer 3 */
  __u64 reply_packets;
  __u64 reply_bytes;
  struct sl_flow_end initiator;
  struct sl_flow_end responder;
  struct sl_flow_route forward_route;
  struct sl_flow_route reply_route;
  __u64 created_ns;                /* beginning of the record; clock as last_seen_ns */
  __u64 id;                        /* of the record: a new process at an end begins a new record */
  sl_process_id initiator_process; /* last process known to act on that end's socket; 0: not known */
  sl_process_id responder_process;
  __u64 initiator_socket; /* cookie of the socket that named the process above; 0: none */
  __u64 responder_socket;
  sl_process_class_number initiator_class; /* of these processes; the responder's may be its listener's */
  sl_process_class_number responder_class;
  __u32 egress_decision;  /* 0: the initiator is not a local isolated workload */
  __u32 ingress_decision; /* 0: the same for the responder */
  /* TCP: the number that acknowledges the initiator's FIN, and the one for the responder's SYN-ACK or FIN. Host byte
   * order; 0: not seen. */
  __u32 awaited[2];
  __u32 owner;         /* endpoint whose share it counts in (flow_table.h); 0: none */
  __u32 incarnation;   /* of its slot: changes with each flow that is put there */
  __u32 service;       /* sl_service.number of the address that the initiator used; 0: the responder's own */
  __u32 service_range; /* SL_CT_TO_SERVICE: sl_service.first that it was decided for */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_entry) == 240, "sl_flow_entry");

/* Identifies the fragments of one datagram. */
struct sl_fragment_key {
  struct sl_addr src;
  struct sl_addr dst;
  __be32 id;
  __u8 protocol; /* IPv4; for IPv6 0, as other headers may follow a fragment header */
  __u8 pad[3];
};
SL_ABI_ASSERT(sizeof(struct sl_fragment_key) == 40, "sl_fragment_key");

/* Fields of a first fragment that later ones need. */
struct sl_fragment_value {
  __be16 src_port;
  __be16 dst_port;
  __u8 protocol; /* after all extension headers */
  __u8 icmp_type;
  __u8 icmp_code;
  __u8 time; /* arrival, in ticks >> SL_FRAGMENT_TIME_SHIFT */
};
SL_ABI_ASSERT(sizeof(struct sl_fragment_value) == 8, "sl_fragment_value");
#define SL_FRAGMENT_TIME_SHIFT 10
#define SL_FRAGMENT_TIMEOUT 60 /* in that unit; hosts give up reassembly then too (RFC 8200, 4.5) */

/* Value of `fragments` (ARRAY of SL_MAX_ENDPOINTS): the latest first fragments that a local workload sent, or received
 * from elsewhere. */
#define SL_FRAGMENTS 64
struct sl_first_fragment {
  __u64 check; /* the hash of the sl_fragment_key, xor `value`: a half-written pair matches no key */
  __u64 value; /* struct sl_fragment_value */
};
SL_ABI_ASSERT(sizeof(struct sl_first_fragment) == 16, "sl_first_fragment");
struct sl_fragments {
  struct sl_first_fragment last[SL_FRAGMENTS];
  __u32 next; /* modulo SL_FRAGMENTS: index to write next */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_fragments) == 1032, "sl_fragments");

#define SL_SECOND_NS 1000000000ULL
/* A tick: 2^20 ns, for times that need not be exact. 32 bits last for 52 days. */
#define SL_TICK_SHIFT 20
/* How long a flow uses a cached next hop before it is looked up again, in ticks. */
#define SL_ROUTE_FRESH ((__u32)(SL_SECOND_NS / 4 >> SL_TICK_SHIFT))
/* Default of sl_settings.path_fresh. */
#define SL_PATH_FRESH ((__u32)(5 * SL_SECOND_NS >> SL_TICK_SHIFT))

/* Idle times after which a flow expires, nanoseconds. TCP: RFC 5382, REQ-5; keepalives every two hours are in time. */
#define SL_CT_TIMEOUT_TCP_ESTABLISHED (7440 * SL_SECOND_NS)
#define SL_CT_TIMEOUT_TCP_TRANSITORY (240 * SL_SECOND_NS) /* opening; closing, until both FINs are acknowledged */
#define SL_CT_TIMEOUT_TCP_CLOSED (10 * SL_SECOND_NS)
#define SL_CT_TIMEOUT_TALKING (180 * SL_SECOND_NS) /* not TCP, established */
#define SL_CT_TIMEOUT_SINGLE (30 * SL_SECOND_NS)   /* not TCP, pending */
/* A denied-flow entry. */
#define SL_CT_TIMEOUT_DENIED (30 * SL_SECOND_NS)
/* The token bucket for denied-flow entries (bpf/lib/denied_budget.bpf.h), in ns: the cost of one entry in a table of
 * `slots` slots, and the size of the bucket, enough for seven eighths of the table. */
#define SL_DENIED_COST(slots) (8 * SL_CT_TIMEOUT_DENIED / (slots))
#define SL_DENIED_BUDGET (7 * SL_CT_TIMEOUT_DENIED)
/* Longer than the kernel retransmits (tcp_retries2 = 15: 924 s), so that a revoked connection stays revoked. */
#define SL_CT_TIMEOUT_CUT (1200 * SL_SECOND_NS)

#endif
