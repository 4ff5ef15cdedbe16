/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flows. One entry holds both directions, its verdict, and the generation it was decided under.
 *
 * A flow is pending until its initiator goes on after an answer, then established. A denied one may have a record,
 * which counts its packets and repeats what policy said of it under the same generation; without a record policy is
 * asked. All stand in the flow table (flow_table.h).
 */
#ifndef SLUICE_ABI_CONNTRACK_H
#define SLUICE_ABI_CONNTRACK_H

#include "process.h"
#include "types.h"

/* Normalised: (lo, lo_port) is not above (hi, hi_port) when compared as bytes, so both directions have one key. */
struct sl_flow_key {
  struct sl_addr lo;
  struct sl_addr hi;
  __be16 lo_port; /* ICMP: the identifier on both sides, where there is one; protocols without ports: 0 */
  __be16 hi_port;
  __u8 protocol;   /* IANA protocol number */
  __u8 icmp_asker; /* enum sl_icmp_asker: each end's own requests are another flow */
  __u16 receiver;  /* of multicast and broadcast at tc_to_pod: the receiver's endpoint, as each has a flow; else 0 */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_key) == 40, "sl_flow_key");

/* Of ICMP, whose sender asks unless the message is a reply. */
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
  SL_CT_ESTABLISHED = 1 << 5, /* its initiator went on after an answer; TCP: by acknowledging the SYN-ACK */
  SL_CT_CUT = 1 << 6,         /* was allowed, is denied by a newer generation: both directions drop */
  SL_CT_AUDIT = 1 << 7,       /* a policy in audit would have denied it */
  SL_CT_FROM_NODE = 1 << 8,   /* the node itself opened it: ingress is always allowed */
  SL_CT_QUARANTINED = 1 << 9, /* quarantine stopped its last packet; `reason` is what policy says */
  /* Bits 10 and 11: that end's process is not known for good. Its next packet that carries a socket is asked. */
  SL_CT_ASK_INITIATOR = 1 << 10,
  SL_CT_ASK_RESPONDER = 1 << 11,
  /* Likewise: the verdict hangs on that end's process. */
  SL_CT_BY_INITIATOR = 1 << 12,
  SL_CT_BY_RESPONDER = 1 << 13,
  SL_CT_WATCH = 1 << 14, /* TCP: a RST or FIN whose effect is open, so that every packet tells something */
  /* A packet of that direction came to tc_to_pod as it left its sender's hook, since counted_* below. */
  SL_CT_PATH_FORWARD = 1 << 15,
  SL_CT_PATH_REPLY = 1 << 16,
  /* That end's process is the one that listens: who accepts the connection is not known yet. */
  SL_CT_LISTENER_INITIATOR = 1 << 17,
  SL_CT_LISTENER_RESPONDER = 1 << 18,
  /* The other end has acknowledged this end's FIN. */
  SL_CT_FIN_FORWARD_AGREED = 1 << 19,
  SL_CT_FIN_REPLY_AGREED = 1 << 20,
};

struct sl_flow_end {
  __u32 identity;
  __u32 workload; /* as in sl_address_value */
  __u32 endpoint; /* as in sl_address_value */
  __u32 ifindex;  /* as in sl_address_value */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_end) == 16, "sl_flow_end");

/*
 * The Ethernet addresses of the redirect to a local receiver: each in the first six bytes, as they stand in a frame.
 * All 0: there is none. The upper 16 bits say when it was asked for: the words are those of one answer, and valid,
 * while in both they are the lowest 16 of route_checked, which is not SL_ROUTE_FRESH ago. Plus SL_ROUTE_CLAIMED, in
 * `source`: a CPU is writing that answer.
 */
struct sl_flow_route {
  __u64 destination;
  __u64 source;
};
SL_ABI_ASSERT(sizeof(struct sl_flow_route) == 16, "sl_flow_route");
#define SL_ROUTE_TAG_SHIFT 48
#define SL_ROUTE_CLAIMED 0x8000

/* What a plain packet looks at comes first: with the key (flow_table.h) two cache lines, and the ends. */
struct sl_flow_entry {
  __u64 last_seen_ns; /* CLOCK_MONOTONIC, coarse */
  __u64 generation;
  __u32 flags;          /* SL_CT_* */
  __u32 socket_changes; /* the processes below are right as of this `socket_changes` */
  __u8 reason;          /* enum sl_drop_reason; SL_DROP_NONE: allowed */
  __u8 hook;            /* enum sl_hook that decided */
  __u8 tcp_flags;       /* of the packet that opened it */
  __u8 icmp_type;       /* of the packet that opened it */
  __u8 icmp_code;
  __u8 pad[3];
  __u16 forward_mtu; /* of the routes below, at layer 3 */
  __u16 reply_mtu;
  __u32 route_checked; /* when the routes below were last asked for, in ticks */
  __u32 last_event;    /* in ticks; 0: to be said with the next packet */
  __u32
      counted_forward; /* since when the initiator's own hook counts its packets (host_path.bpf.h), in ticks; 0: not */
  __u32 counted_reply; /* likewise of the responder's */
  /* `sockets_closed` for the two sockets below, when they were last known to be open. */
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
  __u64 created_ns;                /* of the record, as last_seen_ns */
  __u64 id;                        /* of the record: another process behind an end begins another one */
  sl_process_id initiator_process; /* who last acted on the end's socket, as far as its packets told; 0: not known */
  sl_process_id responder_process;
  __u64 initiator_socket; /* cookie of the socket that the process above was found by; 0: none */
  __u64 responder_socket;
  sl_process_class_number initiator_class; /* of these processes; the responder's also from its listener */
  sl_process_class_number responder_class;
  __u32 egress_decision;  /* 0: the initiator is not a local isolated workload */
  __u32 ingress_decision; /* 0: likewise for the responder */
  /* TCP: by which acknowledgement the other end agrees to the initiator's FIN, and to the responder's SYN-ACK or FIN.
   * Host byte order; 0: not seen. */
  __u32 awaited[2];
  __u32 owner;       /* endpoint in whose share it is (flow_table.h); 0: nobody's */
  __u32 incarnation; /* of its slot: another one with each flow that is put there */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_entry) == 232, "sl_flow_entry");

/* What a datagram's fragments have in common. */
struct sl_fragment_key {
  struct sl_addr src;
  struct sl_addr dst;
  __be32 id;
  __u8 protocol; /* IPv4; for IPv6 0: a fragment header may be followed by others */
  __u8 pad[3];
};
SL_ABI_ASSERT(sizeof(struct sl_fragment_key) == 40, "sl_fragment_key");

/* Of a first fragment, for the later ones. */
struct sl_fragment_value {
  __be16 src_port;
  __be16 dst_port;
  __u8 protocol; /* after all extension headers */
  __u8 icmp_type;
  __u8 icmp_code;
  __u8 time; /* when it came, in ticks >> SL_FRAGMENT_TIME_SHIFT */
};
SL_ABI_ASSERT(sizeof(struct sl_fragment_value) == 8, "sl_fragment_value");
#define SL_FRAGMENT_TIME_SHIFT 10
#define SL_FRAGMENT_TIMEOUT 60 /* in that unit: as long as hosts reassemble (RFC 8200, 4.5) */

/* Value of `fragments` (ARRAY of SL_MAX_ENDPOINTS): the first fragments that a local workload sent last, or that came
 * to it from elsewhere. */
#define SL_FRAGMENTS 64
struct sl_first_fragment {
  __u64 check; /* the hash of the sl_fragment_key, xor `value`: whoever reads half of a change finds nothing */
  __u64 value; /* struct sl_fragment_value */
};
SL_ABI_ASSERT(sizeof(struct sl_first_fragment) == 16, "sl_first_fragment");
struct sl_fragments {
  struct sl_first_fragment last[SL_FRAGMENTS];
  __u32 next; /* modulo SL_FRAGMENTS: where the next one goes */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_fragments) == 1032, "sl_fragments");

#define SL_SECOND_NS 1000000000ULL
/* Unit of times that need not be exact: 2^20 ns, in 32 bits for 52 days. */
#define SL_TICK_SHIFT 20
/* How long a flow's packets follow the host's routes and neighbours without asking again, in ticks. */
#define SL_ROUTE_FRESH ((__u32)(SL_SECOND_NS / 4 >> SL_TICK_SHIFT))
/* How long a flow may go past the host's path until one packet takes it again, where settings say nothing else. */
#define SL_PATH_FRESH ((__u32)(5 * SL_SECOND_NS >> SL_TICK_SHIFT))

/* Idle times after which an entry no longer counts, nanoseconds. TCP: RFC 5382, REQ-5, by which keepalives every two
 * hours are in time. */
#define SL_CT_TIMEOUT_TCP_ESTABLISHED (7440 * SL_SECOND_NS)
#define SL_CT_TIMEOUT_TCP_TRANSITORY (240 * SL_SECOND_NS) /* opening; closing, until both ends agree */
#define SL_CT_TIMEOUT_TCP_CLOSED (10 * SL_SECOND_NS)
#define SL_CT_TIMEOUT_TALKING (180 * SL_SECOND_NS) /* others, whose initiator went on after an answer */
#define SL_CT_TIMEOUT_SINGLE (30 * SL_SECOND_NS)   /* one question, answered or not */
/* Of the record of a denied flow. */
#define SL_CT_TIMEOUT_DENIED (30 * SL_SECOND_NS)
/* What a record costs in a table of so many slots, in ns, and how much of that there is to spend: seven eighths of the
 * table (bpf/lib/denied_budget.bpf.h). */
#define SL_DENIED_COST(slots) (8 * SL_CT_TIMEOUT_DENIED / (slots))
#define SL_DENIED_BUDGET (7 * SL_CT_TIMEOUT_DENIED)
/* Longer than the kernel retransmits (tcp_retries2 = 15: 924 s), so that a cut connection stays cut. */
#define SL_CT_TIMEOUT_CUT (1200 * SL_SECOND_NS)

#endif
