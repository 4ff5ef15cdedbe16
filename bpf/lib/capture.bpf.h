/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Keeps packets of the workloads that are captured, after their verdict (bpf/abi/capture.h). While nobody captures, a
 * packet costs one test of a word that sl_begin has read; while others are captured, one or two more tests of it.
 */
#ifndef SLUICE_CAPTURE_BPF_H
#define SLUICE_CAPTURE_BPF_H

#include "bpf/lib/capture_maps.bpf.h"
#include "bpf/lib/evaluation.bpf.h"

/* Arguments in one word, as global functions take five: the outcome, and whose rings get the packet. */
#define SL_CAPTURE_OF_SENDER (1 << 8)
#define SL_CAPTURE_OF_RECEIVER (1 << 9)
#define SL_CAPTURE_OUTCOME(what) ((what)&0xff)

/* Whether the packet may be one of a captured workload: `own`, whose hook this is (0: not known), or `other` (0: not
 * local, or its own hook records the packet). */
static __always_inline int sl_is_captured(const struct sl_evaluation* j, __u32 own, __u32 other) {
  const __u32 flags = j->setting_flags;
  if (!(flags & SL_SETTING_CAPTURE)) return 0;
  return !own || (flags & SL_SETTING_CAPTURED(own)) || (other && (flags & SL_SETTING_CAPTURED(other)));
}

/* Where the copied bytes come from: an skb, or an XDP frame's linear part. */
struct sl_capture_source {
  struct __sk_buff* skb;
  struct xdp_md* xdp;
  int is_xdp; /* a constant: each program has only its own half */
};

/* Copies `length` bytes of an XDP frame, from offset `from` on, to offset `at` in the cell's data. Global, so that the
 * verifier checks the loop once, and not for each cell of a record. */
__noinline int sl_copy_frame(struct xdp_md* xdp, struct sl_capture_cell* cell, __u32 from, __u32 at, __u32 length) {
  if (!cell || from > SL_CAPTURE_SNAPLEN_MAX || at > sizeof(struct sl_capture_packet)) return 0;
  const __u8* data = (const __u8*)(long)xdp->data + from;
  const __u8* end = (const __u8*)(long)xdp->data_end;
  __u8* to = cell->data;
  __u32 room = SL_CAPTURE_CELL_BYTES, done = 0;
  if (at) {
    to += sizeof(struct sl_capture_packet);
    room = SL_CAPTURE_HEADERS;
  }
  barrier_var(room); /* else the compiler moves the two bounds together, where the verifier loses them */
  if (length > room) length = room;
  for (; done + 8 <= length; done += 8) {
    if (data + done + 8 > end) return 0;
    sl_store_u64(to + done, sl_load_u64(data + done));
  }
  for (; done < length; done++) {
    if (data + done + 1 > end) return 0;
    to[done] = data[done];
  }
  return 0;
}

/* `at`: 0, or a record's size. */
static __always_inline void sl_copy_packet(const struct sl_capture_source* source, struct sl_capture_cell* cell,
                                           __u32 from, __u32 at, __u32 length) {
  if (source->is_xdp) {
    sl_copy_frame(source->xdp, cell, from, at, length);
    return;
  }
  __u32 less = length - 1; /* from 0 on, as the verifier of 6.1 does not learn from "is not 0" */
  barrier_var(less);       /* else the compiler drops the bound or tests another register */
  if (less < SL_CAPTURE_CELL_BYTES - at) bpf_skb_load_bytes(source->skb, from, cell->data + at, less + 1);
}

/* Of a record with so many bytes of a packet. */
static __always_inline __u32 sl_cells_of(__u32 captured) {
  return captured > SL_CAPTURE_HEADERS ? (captured - SL_CAPTURE_HEADERS - 1) / SL_CAPTURE_CELL_BYTES + 2 : 1;
}

/* The cell at a position, for this CPU alone; null: another CPU still writes a record that is a whole ring older. */
static __always_inline struct sl_capture_cell* sl_take_cell(void* ring, __u64 position, __u32 mask) {
  __u32 slot = (__u32)position & mask;
  struct sl_capture_cell* cell = bpf_map_lookup_elem(ring, &slot);
  if (!cell || __sync_lock_test_and_set(&cell->position, SL_CAPTURE_BUSY) == SL_CAPTURE_BUSY) return 0;
  return cell;
}

static __always_inline void sl_publish_cell(struct sl_capture_cell* cell, __u64 position) {
#ifdef __TARGET_ARCH_x86
  barrier();
  SL_WRITE_ONCE(cell->position, position + 1);
#else
  __sync_lock_test_and_set(&cell->position, position + 1);
#endif
}

static __always_inline void sl_describe_flow(struct sl_capture_packet* p, const struct sl_evaluation* j,
                                             const struct sl_flow_entry* entry) {
  p->flow_flags = entry->flags;
  p->key = j->key;
  p->flow_id = entry->id;
  p->initiator_process = entry->initiator_process;
  p->responder_process = entry->responder_process;
  p->initiator_identity = entry->initiator.identity;
  p->initiator_workload = entry->initiator.workload;
  p->responder_identity = entry->responder.identity;
  p->responder_workload = entry->responder.workload;
  p->egress_decision = entry->egress_decision;
  p->ingress_decision = entry->ingress_decision;
  p->service = entry->service;
  p->flow_reason = entry->reason;
  p->flow_hook = entry->hook;
  p->created = sl_ticks(entry->created_ns);
}

/* The flow of a packet that was not plain; null: none, or its entry is not in the table any more. */
static __always_inline const struct sl_flow_entry* sl_captured_flow(const struct sl_evaluation* j) {
  if (j->flow_slot != SL_NO_SLOT) return sl_entry_at(j->flow_slot);
  return j->has_fresh ? &j->fresh : 0;
}

/* What both kinds of packets tell. */
struct sl_capture_frame {
  __u32 length;
  __u32 available; /* bytes that can be copied */
  __u16 vlan_tci;
  __be16 vlan_protocol;
  __u32 tagged;
};

/* Writes cell `i` of a record, not the first one, for a ring (SL_CAPTURE_RING), the position of the record's first cell
 * and the bytes that are kept of the packet. 0: it cannot be written, and the reader finds the record incomplete. */
static __always_inline int sl_fill_cell(const struct sl_capture_source* source, __u32 index, __u64 first, __u32 i,
                                        __u32 captured) {
  __u32 endpoint = index / SL_CAPTURE_KINDS;
  const __u32 from = SL_CAPTURE_HEADERS + (i - 1) * SL_CAPTURE_CELL_BYTES;
  struct sl_capture* capture = bpf_map_lookup_elem(&captures, &endpoint);
  void* ring = bpf_map_lookup_elem(&capture_rings, &index);
  if (!capture || !ring || from >= captured) return 0;
  const int dropped = index % SL_CAPTURE_KINDS;
  const __u32 mask = (dropped ? capture->cells[SL_CAPTURE_DROPPED] : capture->cells[SL_CAPTURE_PASSED]) - 1;
  struct sl_capture_cell* cell = sl_take_cell(ring, first + i, mask);
  if (!cell) {
    __sync_fetch_and_add(dropped ? &capture->lost[SL_CAPTURE_DROPPED] : &capture->lost[SL_CAPTURE_PASSED], 1);
    return 0;
  }
  const __u32 left = captured - from;
  cell->index = i;
  cell->count = sl_cells_of(captured);
  cell->pad = 0;
  sl_copy_packet(source, cell, from, 0, left < SL_CAPTURE_CELL_BYTES ? left : SL_CAPTURE_CELL_BYTES);
  sl_publish_cell(cell, first + i);
  return 1;
}

/* Global, so that the verifier checks it once, and not for each cell. */
__noinline int sl_fill_cell_skb(struct __sk_buff* skb, __u32 index, __u64 first, __u32 i, __u32 captured) {
  const struct sl_capture_source source = {.skb = skb};
  return sl_fill_cell(&source, index, first, i, captured);
}

__noinline int sl_fill_cell_xdp(struct xdp_md* xdp, __u32 index, __u64 first, __u32 i, __u32 captured) {
  const struct sl_capture_source source = {.xdp = xdp, .is_xdp = 1};
  return sl_fill_cell(&source, index, first, i, captured);
}

static __always_inline void sl_fill_more(const struct sl_capture_source* source, __u32 index, __u64 first,
                                         __u32 captured) {
  const __u32 count = sl_cells_of(captured);
  for (__u32 i = 1; i <= SL_CAPTURE_MORE_CELLS && i < count; i++) {
    const int filled = source->is_xdp ? sl_fill_cell_xdp(source->xdp, index, first, i, captured)
                                      : sl_fill_cell_skb(source->skb, index, first, i, captured);
    if (!filled) return;
  }
}

/* Records the packet for one workload. `entry`: its flow, for a plain packet; else null. */
static __always_inline int sl_keep(const struct sl_capture_source* source, const struct sl_capture_frame* frame,
                                   const struct sl_flow_entry* entry, __u32 endpoint, __u32 what) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  struct sl_capture* capture = bpf_map_lookup_elem(&captures, &endpoint);
  if (!j || !capture) return 0;
  const __u32 outcome = SL_CAPTURE_OUTCOME(what), snaplen = SL_READ_ONCE(capture->snaplen);
  const int dropped = outcome != SL_DROP_NONE && outcome != SL_OUTCOME_AUDITED;
  __u32 index = SL_CAPTURE_RING(endpoint, dropped);
  void* ring = bpf_map_lookup_elem(&capture_rings, &index);
  if (!snaplen || !ring) return 0;
  __u32 captured = frame->available < snaplen ? frame->available : snaplen;
  if (captured > SL_CAPTURE_SNAPLEN_MAX) captured = SL_CAPTURE_SNAPLEN_MAX;
  const __u32 count = sl_cells_of(captured);
  __u64* next = dropped ? &capture->next[SL_CAPTURE_DROPPED] : &capture->next[SL_CAPTURE_PASSED];
  __u64* lost = dropped ? &capture->lost[SL_CAPTURE_DROPPED] : &capture->lost[SL_CAPTURE_PASSED];
  const __u32 mask = (dropped ? capture->cells[SL_CAPTURE_DROPPED] : capture->cells[SL_CAPTURE_PASSED]) - 1;
  const __u64 first = __sync_fetch_and_add(next, count);
  struct sl_capture_cell* cell = sl_take_cell(ring, first, mask);
  if (!cell) {
    __sync_fetch_and_add(lost, 1);
    return 0;
  }
  cell->index = 0;
  cell->count = count;
  cell->pad = 0;
  struct sl_capture_packet* p = (struct sl_capture_packet*)cell->data;
  p->time_ns = sl_now_precise();
  p->ifindex = j->ifindex;
  p->length = frame->length;
  p->captured = captured;
  p->vlan_tci = frame->vlan_tci;
  p->vlan_protocol = frame->vlan_protocol;
  p->hook = j->hook;
  p->outcome = outcome;
  p->pad = 0;
  if (!entry) entry = sl_captured_flow(j);
  p->flags = (entry ? SL_CAPTURE_HAS_FLOW : 0) | (j->reply ? SL_CAPTURE_REPLY : 0) |
             (frame->tagged ? SL_CAPTURE_TAGGED : 0) | (what & SL_CAPTURE_OF_SENDER ? SL_CAPTURE_SENT : 0);
  if (entry) sl_describe_flow(p, j, entry);
  const __u32 head = captured < SL_CAPTURE_HEADERS ? captured : SL_CAPTURE_HEADERS;
  sl_copy_packet(source, cell, 0, sizeof(*p), head);
  sl_publish_cell(cell, first);
  if (count > 1) sl_fill_more(source, index, first, captured);
  return 0;
}

static __always_inline int sl_has_ring(__u32 endpoint) {
  const struct sl_capture* capture = endpoint ? bpf_map_lookup_elem(&captures, &endpoint) : 0;
  return capture && SL_READ_ONCE(capture->snaplen);
}

/* The workload of a tc hook's interface, for a packet whose sender or receiver the decision has not found: a malformed
 * one, or link control. */
static __always_inline __u32 sl_endpoint_here(const struct sl_evaluation* j) {
  __u32 ifindex = j->ifindex;
  const struct sl_interface* interface = bpf_map_lookup_elem(&interfaces, &ifindex);
  return interface ? interface->endpoint : 0;
}

/* Global, so that the verifier checks it once: two ends use it. */
__noinline int sl_keep_skb(struct __sk_buff* skb, const struct sl_flow_entry* entry, __u32 endpoint, __u32 what) {
  const struct sl_capture_source source = {.skb = skb};
  const struct sl_capture_frame frame = {.length = skb->len,
                                         .available = skb->len,
                                         .vlan_tci = skb->vlan_tci,
                                         .vlan_protocol = skb->vlan_proto,
                                         .tagged = skb->vlan_present};
  return sl_keep(&source, &frame, entry, endpoint, what);
}

/* `entry`: the flow of a plain packet; null: sl_captured_flow. `what`: the outcome and SL_CAPTURE_OF_*. Global, as
 * above, and so that packets which are not captured do not pay for its registers. */
__noinline int sl_capture_skb(struct __sk_buff* skb, const struct sl_flow_entry* entry, __u32 what) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  __u32 from = j->from_endpoint, to = j->to_endpoint;
  if (!from && j->hook == SL_HOOK_TC_FROM_POD) from = sl_endpoint_here(j);
  if (!to && j->hook == SL_HOOK_TC_TO_POD) to = sl_endpoint_here(j);
  if ((what & SL_CAPTURE_OF_SENDER) && sl_has_ring(from))
    sl_keep_skb(skb, entry, from, what & ~(__u32)SL_CAPTURE_OF_RECEIVER);
  if ((what & SL_CAPTURE_OF_RECEIVER) && to != from && sl_has_ring(to))
    sl_keep_skb(skb, entry, to, what & ~(__u32)SL_CAPTURE_OF_SENDER);
  return 0;
}

/* At the uplink: only the receiver is local. */
__noinline int sl_capture_xdp(struct xdp_md* ctx, const struct sl_flow_entry* entry, __u32 outcome) {
  __u32 zero = 0;
  const struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j || !sl_has_ring(j->to_endpoint)) return 0;
  const struct sl_capture_source source = {.xdp = ctx, .is_xdp = 1};
  const struct sl_capture_frame frame = {.length = j->size.bytes, .available = j->size.bytes};
  return sl_keep(&source, &frame, entry, j->to_endpoint, outcome | SL_CAPTURE_OF_RECEIVER);
}

#endif
