/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flow -> process. A flow's entry has a bit for each end that is not attributed yet. Then the decision returns
 * SL_RESOLVE_SENDER, and the entry point looks up the packet's socket (bpf/lib/sender.bpf.h) and decides again. For a
 * flow that is attributed, a packet costs one comparison and one bit test.
 *
 * A verdict that depends on an end's process also depends on its socket: a packet that another socket sends or would
 * receive is evaluated again. So a process that takes over the port of an allowed program does not get its rights.
 *
 * If only the record depends on it, a datagram that another socket sends is attributed again too. Its receiver is
 * looked up once the socket in the flow's entry was closed.
 */
#ifndef SLUICE_ATTRIBUTION_BPF_H
#define SLUICE_ATTRIBUTION_BPF_H

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/flow_table.bpf.h"
#include "bpf/lib/parse.bpf.h"
#include "bpf/lib/result.bpf.h"
#include "bpf/lib/socket_maps.bpf.h"

#define SL_TCP_STATE_LISTEN 10
#define SL_AF_INET 2
#define SL_AF_INET6 10
#define SL_SOCKET_CHANGES (~0ULL) /* in a flow's entry: no socket's cookie */

/* Test runs make a socket for each packet: tests set its cookie here. */
volatile __u64 test_sender_socket = 0;

/* The sender of this packet. */
struct sl_sender {
  sl_process_id process;
  sl_process_id known_before; /* the flow's process before the look-up */
  sl_process_class_number process_class;
  __u32 changes; /* socket_changes before the look-up */
  __u8 found;    /* enum sl_counter_id, less SL_COUNTER_SENDER_FOUND */
  __u8 final;    /* certain: a change would count in socket_changes */
  __u8 resolved;
  __u8 has_socket; /* set by the entry point */
  __u8 unowned;    /* no process has acted on the socket: the first one will count in socket_changes */
  __u8 inherited;  /* it is the listener's process, as none has acted on the accepted socket yet */
  __u8 begins;     /* an end has a new process: this packet begins a new record of the flow */
  __u8 not_ip;     /* the socket is no IP socket: AF_PACKET */
  __u8 unknown;    /* not known, and not the sender that the flow was decided for: another socket, or a shared one */
  __u16 closed;    /* `sockets_closed` for it while it was open */
  __u32 service;   /* sl_service.number of the address that the socket used for this destination; 0: its own */
  __u64 socket;    /* its cookie; 0: the packet has none. Set by the entry point for packets that are not plain */
};

/* The receiver of this packet, if policy depends on its process. */
struct sl_receiver {
  sl_process_id process;
  __u64 socket; /* 0: no process is known to have acted on it */
  sl_process_class_number process_class;
  __u32 resolved;     /* the look-up was for the workload behind this interface */
  __u32 found;        /* a socket was found */
  __u32 shared;       /* several processes send by it; `process` is one of them */
  __u32 is_connected; /* the socket is connected to the packet's sender */
  __u16 closed;       /* as in sl_sender */
};

static __always_inline __u32 sl_socket_changes(void) {
  __u32 zero = 0;
  const __u32* value = bpf_map_lookup_elem(&socket_changes, &zero);
  return value ? SL_READ_ONCE(*value) : 0;
}

static __always_inline __u32 sl_resolve_bit(int reply) {
  return reply ? SL_CT_RESOLVE_RESPONDER : SL_CT_RESOLVE_INITIATOR;
}

static __always_inline sl_process_id* sl_process_of(struct sl_flow_entry* entry, int reply) {
  return reply ? &entry->responder_process : &entry->initiator_process;
}

static __always_inline __u64* sl_socket_of(struct sl_flow_entry* entry, int reply) {
  return reply ? &entry->responder_socket : &entry->initiator_socket;
}

static __always_inline __u16* sl_closed_of(struct sl_flow_entry* entry, int reply) {
  return reply ? &entry->responder_closed : &entry->initiator_closed;
}

static __always_inline __u16 sl_sockets_closed(__u64 cookie) {
  const __u32* closed = sl_closed_like(cookie);
  return closed ? SL_READ_ONCE(*closed) : 0;
}

/* For a flow that is attributed to this socket: a value that cannot match later if the socket is closed already. */
static __always_inline __u16 sl_closed_while_open(struct sl_socket_owner* owner, __u64 cookie) {
  const __u16 closed = sl_sockets_closed(cookie);
  sl_memory_barrier(&owner->closed);
  return closed - (__u16)SL_READ_ONCE(owner->closed);
}

static __always_inline __u32 sl_by_bit(int reply) { return reply ? SL_CT_BY_RESPONDER : SL_CT_BY_INITIATOR; }

static __always_inline __u64 sl_sending_socket(struct __sk_buff* skb, int has_socket) {
  if (!has_socket) return 0;
  return use_test_clock ? test_sender_socket : bpf_get_socket_cookie(skb);
}

/*
 * Whether this packet is not from the sender's socket in the flow's entry. `hangs`: the verdict depends on that socket.
 * Then a packet without a socket counts as another's too, except for TCP, where the kernel answers for closed
 * connections without one. Otherwise a packet without a socket is no evidence, and a TCP connection always keeps its
 * socket.
 */
static __always_inline int sl_is_other_socket(struct sl_flow_entry* entry, int hangs, int reply, __u8 protocol,
                                              __u64 socket) {
  if (!(hangs ? socket || protocol != SL_IPPROTO_TCP : socket && protocol != SL_IPPROTO_TCP)) return 0;
  return SL_READ_ONCE(*sl_socket_of(entry, reply)) != socket;
}

/* Whether the verdict depends on the receiver's process: then it is looked up for each datagram. A TCP connection keeps
 * its socket. */
static __always_inline int sl_hangs_on_receiver(__u32 flags, int reply, __u8 protocol) {
  return (flags & sl_by_bit(!reply)) && protocol == SL_IPPROTO_UDP;
}

/* Whether the socket of the local receiver was closed: then it is looked up for each datagram, until another one is
 * found. */
static __always_inline int sl_has_lost_receiver(struct sl_flow_entry* entry, int reply, __u8 protocol) {
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  if (protocol != SL_IPPROTO_UDP || !receiver->ifindex) return 0;
  const __u64 socket = SL_READ_ONCE(*sl_socket_of(entry, !reply));
  return socket && SL_READ_ONCE(*sl_closed_of(entry, !reply)) != sl_sockets_closed(socket);
}

/* Whether the sender of this packet must be looked up. */
static __always_inline int sl_must_resolve_sender(struct sl_sender* sender, struct sl_flow_entry* entry, int reply,
                                                  int other) {
  __u32 changes = sl_socket_changes();
  if (SL_READ_ONCE(entry->socket_changes) != changes) {
    __sync_fetch_and_or(&entry->flags, SL_CT_RESOLVE_INITIATOR | SL_CT_RESOLVE_RESPONDER);
    SL_WRITE_ONCE(entry->socket_changes, changes);
  }
  if (!(other || SL_READ_ONCE(entry->flags) & sl_resolve_bit(reply)) || !sender->has_socket || sender->resolved)
    return 0;
  sender->known_before = SL_READ_ONCE(*sl_process_of(entry, reply));
  return 1;
}

/* Whether the look-up was conclusive: it found a process, or that there is certainly none. */
static __always_inline int sl_knows(const struct sl_sender* sender) {
  return sender->unknown || (sender->resolved && (sender->process || sender->final));
}

/* For a packet from another socket than its flow's, after the look-up: the sender may be unknown. Packets from
 * the kernel's own TCP sockets (a reset, an ACK after the end) belong to the connection. */
static __always_inline void sl_note_unknown(struct sl_sender* sender, __u8 protocol) {
  if (!sl_knows(sender) && (protocol != SL_IPPROTO_TCP || sender->not_ip)) sender->unknown = 1;
}

/*
 * No further look-up is needed until a process acts on a socket. If one did since the look-up, another packet may
 * already have set the bit that is cleared here, so it is set again.
 */
static __always_inline void sl_settle_sender(const struct sl_sender* sender, struct sl_flow_entry* entry, __u32 bit) {
  __sync_fetch_and_and(&entry->flags, ~bit);
  if (sl_socket_changes() != sender->changes) __sync_fetch_and_or(&entry->flags, bit);
}

static __always_inline __u32 sl_listener_bit(int reply) {
  return reply ? SL_CT_LISTENER_RESPONDER : SL_CT_LISTENER_INITIATOR;
}

/*
 * An end's process is no longer `was`: its record ends with the packets counted so far, and a new record begins. A
 * packet that another CPU counts meanwhile is in one of the two. Global, as sl_send_event.
 */
__noinline int sl_begin_record(const struct sl_flow_key* key, struct sl_flow_entry* entry, int reply, sl_process_id was,
                               __u64 now) {
  if (!key || !entry) return 0;
  const __u64 forward_packets = __sync_lock_test_and_set(&entry->forward_packets, 0);
  const __u64 forward_bytes = __sync_lock_test_and_set(&entry->forward_bytes, 0);
  const __u64 reply_packets = __sync_lock_test_and_set(&entry->reply_packets, 0);
  const __u64 reply_bytes = __sync_lock_test_and_set(&entry->reply_bytes, 0);
  /* Keep these together: the verifier of Linux 6.1 forgets that the pointer is not null. */
  struct sl_flow_event* event = sl_begin_event(key, entry, sl_share_of(entry));
  if (event) {
    *sl_process_of(&event->entry, reply) = was;
    event->entry.forward_packets = forward_packets;
    event->entry.forward_bytes = forward_bytes;
    event->entry.reply_packets = reply_packets;
    event->entry.reply_bytes = reply_bytes;
    sl_submit_event(event, event->entry.last_seen_ns, 0, SL_FLOW_END, 0);
  }
  SL_WRITE_ONCE(entry->id, sl_next_flow_id());
  SL_WRITE_ONCE(entry->created_ns, now);
  return 0;
}

/* Writes the sender into the flow. A change from the listener's process to the accepting one begins no new record. */
static __always_inline void sl_put_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  const sl_process_id was = __sync_lock_test_and_set(sl_process_of(entry, reply), sender->process);
  const __u32 listener = SL_READ_ONCE(entry->flags) & sl_listener_bit(reply);
  if (listener) __sync_fetch_and_and(&entry->flags, ~listener);
  if (listener || !was || was == sender->process) return;
  sl_begin_record(key, entry, reply, was, now);
  sender->begins = 1;
}

/* Whether the flow was decided for another sender than this one, which is known. */
static __always_inline int sl_is_another_sender(const struct sl_sender* sender, struct sl_flow_entry* entry,
                                                int reply) {
  const sl_process_class_number* class = reply ? &entry->responder_class : &entry->initiator_class;
  return SL_READ_ONCE(*class) != sender->process_class || SL_READ_ONCE(*sl_socket_of(entry, reply)) != sender->socket;
}

/* The same for the receiver. If several processes share the socket, its class is not compared, as the look-up cannot
 * tell which one will receive. */
static __always_inline int sl_is_another_receiver(const struct sl_receiver* receiver, struct sl_flow_entry* entry,
                                                  int reply) {
  const sl_process_class_number* class = reply ? &entry->initiator_class : &entry->responder_class;
  if (!receiver->found) return 0;
  if (SL_READ_ONCE(*sl_socket_of(entry, !reply)) != receiver->socket) return 1;
  return !receiver->shared && SL_READ_ONCE(*class) != receiver->process_class;
}

/*
 * Writes the result of the look-up into the flow. A kernel socket has no process and changes nothing. A listener's
 * process may be outdated, if the socket was accepted meanwhile: it does not replace a result that another packet wrote
 * since this look-up began. Returns 1 if the flow's verdict depends on the process, and was decided for another class
 * or socket: sl_record then writes both, with the verdict.
 */
static __always_inline int sl_note_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  if (sender->final || sender->unowned) sl_settle_sender(sender, entry, sl_resolve_bit(reply));
  if (!sl_knows(sender)) return 0;
  sl_process_class_number* class = reply ? &entry->responder_class : &entry->initiator_class;
  if (!sender->inherited)
    sl_put_sender(sender, key, entry, reply, now);
  else if (__sync_val_compare_and_swap(sl_process_of(entry, reply), sender->known_before, sender->process) ==
           sender->known_before)
    __sync_fetch_and_or(&entry->flags, sl_listener_bit(reply));
  else
    return 0;
  if (SL_READ_ONCE(entry->flags) & sl_by_bit(reply)) return sl_is_another_sender(sender, entry, reply);
  SL_WRITE_ONCE(*class, sender->process_class);
  SL_WRITE_ONCE(*sl_closed_of(entry, reply), sender->closed);
  SL_WRITE_ONCE(*sl_socket_of(entry, reply), sender->socket);
  return 0;
}

/* Writes the listener into a flow that has no answer yet. */
static __always_inline void sl_note_receiver(const struct sl_receiver* receiver, struct sl_flow_entry* entry) {
  if (!receiver->process) return;
  entry->responder_process = receiver->process;
  entry->responder_class = receiver->process_class;
  entry->responder_socket = receiver->socket;
  entry->responder_closed = receiver->closed;
  __sync_fetch_and_or(&entry->flags, SL_CT_LISTENER_RESPONDER);
}

/* Writes the sender of a flow's first packet; the entry is not published yet. */
static __always_inline void sl_note_initiator(const struct sl_sender* sender, struct sl_flow_entry* fresh) {
  fresh->initiator_process = sender->process;
  fresh->initiator_class = sender->process_class;
  fresh->initiator_socket = sender->socket;
  fresh->initiator_closed = sender->closed;
  fresh->socket_changes = sender->resolved ? sender->changes : sl_socket_changes();
  fresh->flags |= SL_CT_RESOLVE_RESPONDER | (sender->inherited ? SL_CT_LISTENER_INITIATOR : 0);
  if (!sender->final && !sender->unowned) fresh->flags |= SL_CT_RESOLVE_INITIATOR;
}

/* The first packet is an answer: its sender is the responder, and its receiver the initiator. */
static __always_inline void sl_reverse_processes(struct sl_flow_entry* fresh) {
  const sl_process_id process = fresh->initiator_process;
  const sl_process_class_number class = fresh->initiator_class;
  const int is_settled = !(fresh->flags & SL_CT_RESOLVE_INITIATOR);
  fresh->initiator_process = fresh->responder_process;
  fresh->initiator_class = fresh->responder_class;
  fresh->responder_process = process;
  fresh->responder_class = class;
  const __u64 socket = fresh->initiator_socket;
  fresh->initiator_socket = fresh->responder_socket;
  fresh->responder_socket = socket;
  const __u16 closed = fresh->initiator_closed;
  fresh->initiator_closed = fresh->responder_closed;
  fresh->responder_closed = closed;
  const __u32 listens = fresh->flags & (SL_CT_LISTENER_INITIATOR | SL_CT_LISTENER_RESPONDER);
  fresh->flags = (fresh->flags & ~listens) | SL_CT_RESOLVE_INITIATOR;
  if (is_settled) fresh->flags &= ~(__u32)SL_CT_RESOLVE_RESPONDER;
  if (listens & SL_CT_LISTENER_INITIATOR) fresh->flags |= SL_CT_LISTENER_RESPONDER;
  if (listens & SL_CT_LISTENER_RESPONDER) fresh->flags |= SL_CT_LISTENER_INITIATOR;
}

/* Counts the result of the look-up for an end's first packet. */
static __always_inline void sl_count_sender(const struct sl_sender* sender) {
  sl_count_event(SL_COUNTER_SENDER_FOUND + sender->found);
}

#endif
