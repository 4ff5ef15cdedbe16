/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The last packets of workloads, which the packet path keeps with their verdicts while the agent wants them.
 *
 * A workload has two rings: one of packets that passed and one of packets that were dropped, so that a flood of denied
 * packets does not push out the traffic before it. No packet of another workload is in them. A ring is an array of
 * cells; a record takes one cell or more that follow each other, and the oldest cells are overwritten.
 *
 * A packet is recorded where it leaves Sluice on its way from or to the workload: at the workload's own tc hooks, and
 * at another hook that drops it or redirects it past the workload's own.
 */
#ifndef SLUICE_ABI_CAPTURE_H
#define SLUICE_ABI_CAPTURE_H

#include "conntrack.h"
#include "policy.h"
#include "types.h"

/* The rings of a workload, and `capture_rings` (ARRAY_OF_MAPS of SL_CAPTURE_RINGS) by SL_CAPTURE_RING. */
enum sl_capture_ring { SL_CAPTURE_PASSED = 0, SL_CAPTURE_DROPPED = 1, SL_CAPTURE_KINDS = 2 };
#define SL_CAPTURE_RING(endpoint, kind) (SL_CAPTURE_KINDS * (endpoint) + (kind))
#define SL_CAPTURE_RINGS (SL_CAPTURE_KINDS * SL_MAX_ENDPOINTS)

/* Value of `captures` (ARRAY of SL_MAX_ENDPOINTS), by sl_address_value.endpoint. */
struct sl_capture {
  __u32 snaplen;                 /* bytes of each packet that are kept; 0: this workload's packets are not recorded */
  __u32 cells[SL_CAPTURE_KINDS]; /* of each ring; a power of two, and at least SL_CAPTURE_CELLS_MIN */
  __u32 pad;
  __u64 next[SL_CAPTURE_KINDS]; /* position of the next cell: cells taken since the ring was made */
  __u64 lost[SL_CAPTURE_KINDS]; /* packets that were not recorded, as another CPU still wrote in their cell */
  __u64 unused[2];              /* a cache line for each workload */
};
SL_ABI_ASSERT(sizeof(struct sl_capture) == 64, "sl_capture");

#define SL_CAPTURE_CELL_BYTES 240
/* Element of a ring. */
struct sl_capture_cell {
  __u64 position; /* 1 + the cell's position; 0: never written; SL_CAPTURE_BUSY: being written. Written last */
  __u16 index;    /* of the cell in its record */
  __u16 count;    /* cells of the record */
  __u32 pad;
  __u8 data[SL_CAPTURE_CELL_BYTES]; /* the record's first cell: struct sl_capture_packet, then the packet; else the
                                       packet goes on */
};
SL_ABI_ASSERT(sizeof(struct sl_capture_cell) == 256, "sl_capture_cell");
#define SL_CAPTURE_BUSY (~0ULL)

enum sl_capture_flags {
  SL_CAPTURE_HAS_FLOW = 1 << 0, /* the packet belongs to a flow: the fields of it are set */
  SL_CAPTURE_REPLY = 1 << 1,    /* the packet went from the flow's responder to its initiator */
  SL_CAPTURE_TAGGED = 1 << 2,   /* vlan_* are of a tag that is not in the bytes */
  SL_CAPTURE_SENT = 1 << 3,     /* the workload of this ring sent it; else it was on its way to the workload */
};

/* What is known of a packet when its verdict is. */
struct sl_capture_packet {
  __u64 time_ns; /* CLOCK_MONOTONIC */
  __u32 ifindex; /* the hook's interface */
  __u32 length;  /* bytes at layer 2, before segmentation */
  __u16 captured;
  __u16 vlan_tci; /* host byte order */
  __be16 vlan_protocol;
  __u8 hook;        /* enum sl_packet_hook */
  __u8 outcome;     /* drop reason, SL_DROP_NONE or SL_OUTCOME_AUDITED */
  __u8 flags;       /* enum sl_capture_flags */
  __u8 flow_reason; /* of the flow's verdict: what drops a single packet does not change it */
  __u8 flow_hook;   /* as in sl_flow_entry, like all that follows */
  __u8 pad;
  __u32 flow_flags;
  struct sl_flow_key key;
  __u64 flow_id;
  sl_process_id initiator_process;
  sl_process_id responder_process;
  __u32 initiator_identity;
  __u32 initiator_workload;
  __u32 responder_identity;
  __u32 responder_workload;
  __u32 egress_decision;
  __u32 ingress_decision;
  __u32 service;
  __u32 created; /* created_ns in ticks, the lower 32 bits */
};
SL_ABI_ASSERT(sizeof(struct sl_capture_packet) == 128, "sl_capture_packet");

/* Bytes of a packet that the first cell has room for: the headers. */
#define SL_CAPTURE_HEADERS (SL_CAPTURE_CELL_BYTES - 128)
/* Longest part of a packet that is kept: a jumbo frame. */
#define SL_CAPTURE_SNAPLEN_MAX 9216
#define SL_CAPTURE_MORE_CELLS ((SL_CAPTURE_SNAPLEN_MAX - SL_CAPTURE_HEADERS) / SL_CAPTURE_CELL_BYTES + 1)
#define SL_CAPTURE_CELLS_MIN 64 /* more than a record has */

#endif
