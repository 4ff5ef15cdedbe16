/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Flows: when they time out, and what a packet changes in its flow. */
#ifndef SLUICE_CONNTRACK_BPF_H
#define SLUICE_CONNTRACK_BPF_H

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/flow_key.bpf.h"
#include "bpf/lib/flow_table.bpf.h"
#include "bpf/lib/flow_timeout.h"
#include "bpf/lib/parse.bpf.h"

static __always_inline int sl_flow_expired(const struct sl_flow_entry* entry, __u8 protocol, __u64 now) {
  const __u64 seen = SL_READ_ONCE(entry->last_seen_ns);
  return now > seen && now - seen > sl_flow_timeout(SL_READ_ONCE(entry->flags), protocol);
}

/* The service of a flow as policy sees it: protocol << 16 | the responder's port. */
static __always_inline __u32 sl_service(__u8 protocol, __be16 port) {
  int has_ports = protocol == SL_IPPROTO_TCP || protocol == SL_IPPROTO_UDP || protocol == SL_IPPROTO_SCTP;
  return (__u32)protocol << 16 | (has_ports ? bpf_ntohs(port) : 0);
}

/* Bytes at layer 3. */
static __always_inline __u32 sl_l3_bytes(const struct sl_size* size, __u32 l3_offset) {
  return size->bytes - l3_offset * size->packets;
}

/* Counts the packet in its flow. */
static __always_inline void sl_flow_add(struct sl_flow_entry* entry, const struct sl_size* size, __u32 l3_offset,
                                        int reply, __u64 now) {
  if (reply) {
    __sync_fetch_and_add(&entry->reply_packets, size->packets);
    __sync_fetch_and_add(&entry->reply_bytes, sl_l3_bytes(size, l3_offset));
  } else {
    __sync_fetch_and_add(&entry->forward_packets, size->packets);
    __sync_fetch_and_add(&entry->forward_bytes, sl_l3_bytes(size, l3_offset));
  }
  SL_WRITE_ONCE(entry->last_seen_ns, now);
}

/* Subtracts a counted packet that does not belong to the record. */
static __always_inline void sl_flow_take(struct sl_flow_entry* entry, const struct sl_size* size, __u32 l3_offset,
                                         int reply) {
  __sync_fetch_and_sub(reply ? &entry->reply_packets : &entry->forward_packets, size->packets);
  __sync_fetch_and_sub(reply ? &entry->reply_bytes : &entry->forward_bytes, sl_l3_bytes(size, l3_offset));
}

/* Updates the flow's state. Returns its flags. */
static __always_inline __u32 sl_flow_move(struct sl_flow_entry* entry, const struct sl_packet* packet, int reply) {
  const __u32 before = SL_READ_ONCE(entry->flags);
  const __u32 after = sl_flags_after(before, entry->awaited, packet, reply);
  if (after & ~before) __sync_fetch_and_or(&entry->flags, after & ~before);
  if (before & ~after) __sync_fetch_and_and(&entry->flags, ~(before & ~after));
  return after;
}

/* The flow table's state for an allowed flow, by its flags. */
static __always_inline __u32 sl_flow_state_of(__u32 flags) {
  if ((flags & (SL_CT_REVOKED | SL_CT_RESET)) || sl_is_closed(flags)) return SL_FLOW_CLOSING;
  return flags & SL_CT_ESTABLISHED ? SL_FLOW_ESTABLISHED : SL_FLOW_PENDING;
}

/* Counts the packet that opens the flow, and updates the state. The entry is not published yet, so plain stores are
 * enough; an atomic add would wait for all earlier writes. */
static __always_inline void sl_flow_begin(struct sl_flow_entry* fresh, const struct sl_packet* packet,
                                          const struct sl_size* size, int reply) {
  *(reply ? &fresh->reply_packets : &fresh->forward_packets) = size->packets;
  *(reply ? &fresh->reply_bytes : &fresh->forward_bytes) = sl_l3_bytes(size, packet->l3_offset);
  fresh->flags = sl_flags_after(fresh->flags, fresh->awaited, packet, reply);
}

#endif
