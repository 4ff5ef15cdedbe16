/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The flow table: one hash table for all flows, in two arrays.
 *
 * `flow_buckets` (ARRAY of struct sl_flow_bucket): a tag for each slot of a bucket, in one cache line.
 * `flows` (ARRAY of struct sl_flow): the slots; those of bucket b begin at b * SL_FLOW_WAYS.
 *
 * `flow_shares` (ARRAY of __u64, by endpoint): how many allowed flows a workload has; number 0: all of them.
 *
 * The hash of a flow's key names its primary bucket and a secondary one (bpf/lib/flow_hash.h). When only the last slot
 * of the primary bucket is free, an allowed flow becomes an overflow entry in the secondary bucket; a denied-flow entry
 * does not. Where neither has room, the primary bucket evicts one entry: a closing or revoked flow, else a denied-flow
 * entry, else one of two pending flows: that of the owner with more flows, or the one that was idle for longer.
 * Established flows are never evicted. A bucket holds at most SL_FLOW_ESTABLISHED_WAYS of them, so a new flow always
 * finds room.
 *
 * A flow belongs to the local workload that opened it, else to the one that it was opened to; what the node itself
 * opens is nobody's while a quarter is free. A workload may have as many flows as slots are free. One that has more
 * makes room itself for each new one, by a flow of its own in these two buckets that is not established, or gets none.
 *
 * Nobody waits. Whoever takes a slot does it by compare-and-swap of the tag, from 0 (free) to the flow's in state
 * BUSY, writes the flow, and then sets the state. Whoever reads looks at the tag, the flow, and the tag again: if it is
 * still the same, and so is the incarnation, all of the flow was read. Whoever takes a flow away that he means, or
 * writes several fields of it that belong together, sets HELD in its tag, by which nobody else does; then he looks
 * whether it is that flow. Whoever needs room, whichever flow goes, sets BUSY instead. Two CPUs that see a flow's first
 * packets at the same moment may both put it down; the one that is found first is the flow, the other becomes idle.
 */
#ifndef SLUICE_ABI_FLOW_TABLE_H
#define SLUICE_ABI_FLOW_TABLE_H

#include "conntrack.h"

#define SL_FLOW_WAYS 15
#define SL_FLOW_ESTABLISHED_WAYS 14

/* A slot's tag: what the flow's hash says, and the state. */
enum sl_flow_state {
  SL_FLOW_BUSY = 0,        /* somebody is writing it, or takes it away */
  SL_FLOW_PENDING = 1,     /* allowed: the lowest bit */
  SL_FLOW_DENIED = 2,      /* the record of a denied flow */
  SL_FLOW_ESTABLISHED = 3, /* allowed, and not evicted */
  SL_FLOW_CLOSING = 5,     /* allowed once: closed, reset or revoked */
};
#define SL_FLOW_STATE_MASK 7
#define SL_FLOW_HELD 8 /* beside a state: whoever set it changes the flow, or takes it away */
#define SL_FLOW_MARKS_MASK (SL_FLOW_STATE_MASK | SL_FLOW_HELD)

struct sl_flow_bucket {
  __u32 tags[SL_FLOW_WAYS]; /* 0: free */
  __u32 overflow;           /* entries whose primary bucket this is and that are in their secondary one */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_bucket) == 64, "sl_flow_bucket");

struct sl_flow {
  struct sl_flow_key key;
  struct sl_flow_entry entry;
};
SL_ABI_ASSERT(sizeof(struct sl_flow) == 272, "sl_flow");

/* Buckets of a table for so many flows. */
#define SL_FLOW_BUCKETS(flows) (((flows) + SL_FLOW_WAYS - 1) / SL_FLOW_WAYS)

#endif
