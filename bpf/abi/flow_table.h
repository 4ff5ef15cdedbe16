/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The flow table: one hash table for all flows, in two arrays.
 *
 * `flow_buckets` (ARRAY of struct sl_flow_bucket): a tag for each slot of a bucket, in one cache line.
 * `flows` (ARRAY of struct sl_flow): the slots; those of bucket b begin at b * SL_FLOW_WAYS.
 *
 * `flow_shares` (ARRAY of __u64, by endpoint): how many allowed flows a workload has; index 0: the total.
 *
 * The hash of a flow's key names its primary bucket and a secondary one (bpf/lib/flow_hash.h). When only the last slot
 * of the primary bucket is free, an allowed flow becomes an overflow entry in the secondary bucket; a denied-flow entry
 * does not. Where neither has room, the primary bucket evicts one entry: a closing or revoked flow, else a denied-flow
 * entry, else one of two pending flows: the one whose owner has more flows, or, for one owner, the one that was idle
 * longer. Established flows are never evicted. A bucket holds at most SL_FLOW_ESTABLISHED_WAYS of them, so a new flow
 * always finds room.
 *
 * The owner of a flow is the local workload that opened it, else the local workload that it was opened to. Flows that
 * the node opens have no owner while a quarter of the table is free. A workload may own as many flows as there are free
 * slots. Beyond that, each new flow first evicts one of the workload's own flows in the same two buckets that is not
 * established; if there is none, the new flow is refused.
 *
 * The table needs no lock. To insert: a compare-and-swap sets the tag from 0 (free) to the flow's tag in state BUSY;
 * then the flow is written, and then the state is set. To read: read the tag, the flow, and the tag again; if tag and
 * incarnation are the same, the copy is whole. To remove one particular flow, or to write several of its fields that
 * belong together: set HELD in its tag, which excludes other writers, then check that the slot still has that flow. To
 * evict any flow: set BUSY instead. Two CPUs that see the first packets of a flow at the same moment may both insert
 * it; look-ups use the one that is found first, and the other one expires.
 */
#ifndef SLUICE_ABI_FLOW_TABLE_H
#define SLUICE_ABI_FLOW_TABLE_H

#include "conntrack.h"

#define SL_FLOW_WAYS 15
#define SL_FLOW_ESTABLISHED_WAYS 14

/* A slot's tag: bits of the flow's hash, and the state. */
enum sl_flow_state {
  SL_FLOW_BUSY = 0,        /* it is being written or removed */
  SL_FLOW_PENDING = 1,     /* the lowest bit means allowed */
  SL_FLOW_DENIED = 2,      /* a denied-flow entry */
  SL_FLOW_ESTABLISHED = 3, /* allowed, and never evicted */
  SL_FLOW_CLOSING = 5,     /* allowed once: closed, reset or revoked */
};
#define SL_FLOW_STATE_MASK 7
#define SL_FLOW_HELD 8 /* together with a state: one CPU, or the agent, is changing or removing the flow */
#define SL_FLOW_MARKS_MASK (SL_FLOW_STATE_MASK | SL_FLOW_HELD)

struct sl_flow_bucket {
  __u32 tags[SL_FLOW_WAYS]; /* 0: free */
  __u32 overflow;           /* entries that have this primary bucket but are in their secondary one */
};
SL_ABI_ASSERT(sizeof(struct sl_flow_bucket) == 64, "sl_flow_bucket");

struct sl_flow {
  struct sl_flow_key key;
  struct sl_flow_entry entry;
};
SL_ABI_ASSERT(sizeof(struct sl_flow) == 280, "sl_flow");

/* Number of buckets of a table for `flows` flows. */
#define SL_FLOW_BUCKETS(flows) (((flows) + SL_FLOW_WAYS - 1) / SL_FLOW_WAYS)

#endif
