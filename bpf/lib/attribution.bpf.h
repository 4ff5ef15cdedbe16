/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flow -> process. A flow's entry knows for each end whether its sender still has to be asked for; the decision then
 * returns SL_ASK_SENDER, the entry point asks the packet's socket (bpf/lib/sender.bpf.h) and has it decided again. A
 * packet of a flow that is known costs one comparison and one bit.
 *
 * Where a verdict hangs on an end's process, it hangs on the socket too: a packet that another socket sends, or that
 * another one would receive, is evaluated anew. So whoever gets a port that an allowed program used gets none of its
 * rights.
 *
 * Where only the record does, a datagram that another socket sends is asked likewise. Who receives it is asked once the
 * socket that the flow knows there was closed.
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

/* Test runs make a socket for each packet: tests say what its cookie is. */
volatile __u64 test_sender_socket = 0;

/* Who sent this packet. */
struct sl_sender {
  sl_process_id process;
  sl_process_id known_before; /* what the flow said before the socket was asked */
  sl_process_class_number process_class;
  __u32 changes; /* socket_changes before the socket was asked */
  __u8 found;    /* enum sl_counter_id, less SL_COUNTER_SENDER_FOUND */
  __u8 final;    /* found for good: another answer counts as a socket change */
  __u8 asked;
  __u8 has_socket; /* set by the entry point */
  __u8 unowned;    /* nobody has acted on the socket: should somebody yet, that counts as a socket change */
  __u8 inherited;  /* said of the listener, as nobody has acted on the accepted socket yet */
  __u8 begins;     /* another process than before at an end: this packet begins another record of the flow */
  __u8 not_ip;     /* the socket is no IP socket: AF_PACKET */
  __u8 stranger;   /* nobody knows who, of a socket that the flow was not decided for or that several processes have */
  __u16 closed;    /* `sockets_closed` for it while it was open */
  __u64 socket;    /* its cookie; 0: none came along. Set by the entry point of packets that are not plain */
};

/* Whose socket is going to receive it, where policy looks at the receiver's process. */
struct sl_receiver {
  sl_process_id process;
  __u64 socket; /* 0: nobody is known to have acted on it */
  sl_process_class_number process_class;
  __u32 asked;        /* for the workload behind this interface */
  __u32 found;        /* there is a socket */
  __u32 shared;       /* several processes send by it; this says one of them */
  __u32 is_connected; /* its socket is, to the packet's sender */
  __u16 closed;       /* as in sl_sender */
};

static __always_inline __u32 sl_socket_changes(void) {
  __u32 zero = 0;
  const __u32* value = bpf_map_lookup_elem(&socket_changes, &zero);
  return value ? SL_READ_ONCE(*value) : 0;
}

static __always_inline __u32 sl_ask_bit(int reply) { return reply ? SL_CT_ASK_RESPONDER : SL_CT_ASK_INITIATOR; }

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

/* For a flow that learns of this socket; one that was closed already is not taken for open. */
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
 * This packet is not of the socket that its flow has for the sender. Where the verdict hangs on that, one without a
 * socket is not either, but for TCP the kernel's answer for a connection that is over. Else it says nothing, and a TCP
 * connection stays with its socket.
 */
static __always_inline int sl_is_other_socket(struct sl_flow_entry* entry, int hangs, int reply, __u8 protocol,
                                              __u64 socket) {
  if (!(hangs ? socket || protocol != SL_IPPROTO_TCP : socket && protocol != SL_IPPROTO_TCP)) return 0;
  return SL_READ_ONCE(*sl_socket_of(entry, reply)) != socket;
}

/* Who receives it is looked up for each datagram that goes to an end whose process the verdict hangs on. A TCP
 * connection stays with its socket. */
static __always_inline int sl_hangs_on_receiver(__u32 flags, int reply, __u8 protocol) {
  return (flags & sl_by_bit(!reply)) && protocol == SL_IPPROTO_UDP;
}

/* Likewise of each that goes to a local end whose socket was closed, until another one is found there. */
static __always_inline int sl_has_lost_receiver(struct sl_flow_entry* entry, int reply, __u8 protocol) {
  const struct sl_flow_end* receiver = reply ? &entry->initiator : &entry->responder;
  if (protocol != SL_IPPROTO_UDP || !receiver->ifindex) return 0;
  const __u64 socket = SL_READ_ONCE(*sl_socket_of(entry, !reply));
  return socket && SL_READ_ONCE(*sl_closed_of(entry, !reply)) != sl_sockets_closed(socket);
}

/* Whether this packet has to say who sent it. */
static __always_inline int sl_must_ask(struct sl_sender* sender, struct sl_flow_entry* entry, int reply, int other) {
  __u32 changes = sl_socket_changes();
  if (SL_READ_ONCE(entry->socket_changes) != changes) {
    __sync_fetch_and_or(&entry->flags, SL_CT_ASK_INITIATOR | SL_CT_ASK_RESPONDER);
    SL_WRITE_ONCE(entry->socket_changes, changes);
  }
  if (!(other || SL_READ_ONCE(entry->flags) & sl_ask_bit(reply)) || !sender->has_socket || sender->asked) return 0;
  sender->known_before = SL_READ_ONCE(*sl_process_of(entry, reply));
  return 1;
}

/* The socket said who: a process, or for good that there is none. */
static __always_inline int sl_knows(const struct sl_sender* sender) {
  return sender->stranger || (sender->asked && (sender->process || sender->final));
}

/* Of a packet from another socket than its flow's, whose socket was asked where there is one. What the kernel's own
 * sockets send for TCP (a reset, an acknowledgement after the end) belongs to the connection. */
static __always_inline void sl_note_stranger(struct sl_sender* sender, __u8 protocol) {
  if (!sl_knows(sender) && (protocol != SL_IPPROTO_TCP || sender->not_ip)) sender->stranger = 1;
}

/*
 * The socket need not be asked again until somebody acts on one. If somebody did since it was asked, another packet may
 * have noticed already, and said so with the bit that is cleared here.
 */
static __always_inline void sl_settle_sender(const struct sl_sender* sender, struct sl_flow_entry* entry, __u32 bit) {
  __sync_fetch_and_and(&entry->flags, ~bit);
  if (sl_socket_changes() != sender->changes) __sync_fetch_and_or(&entry->flags, bit);
}

static __always_inline __u32 sl_listener_bit(int reply) {
  return reply ? SL_CT_LISTENER_RESPONDER : SL_CT_LISTENER_INITIATOR;
}

/*
 * Another process is behind an end than `was`. What was counted until now is the end of its record; another one begins.
 * A packet that another CPU counts meanwhile is in one of the two.
 */
static __noinline void sl_begin_record(const struct sl_flow_key* key, struct sl_flow_entry* entry, int reply,
                                       sl_process_id was, __u64 now) {
  const __u64 forward_packets = __sync_lock_test_and_set(&entry->forward_packets, 0);
  const __u64 forward_bytes = __sync_lock_test_and_set(&entry->forward_bytes, 0);
  const __u64 reply_packets = __sync_lock_test_and_set(&entry->reply_packets, 0);
  const __u64 reply_bytes = __sync_lock_test_and_set(&entry->reply_bytes, 0);
  /* Nothing in between: Linux 6.1 does not know that what was checked once is not null the next time. */
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
}

/* Who sent it, into the flow. A listener's process is not another one than who accepted from it. */
static __always_inline void sl_put_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  const sl_process_id was = __sync_lock_test_and_set(sl_process_of(entry, reply), sender->process);
  const __u32 listener = SL_READ_ONCE(entry->flags) & sl_listener_bit(reply);
  if (listener) __sync_fetch_and_and(&entry->flags, ~listener);
  if (listener || !was || was == sender->process) return;
  sl_begin_record(key, entry, reply, was, now);
  sender->begins = 1;
}

/* Whether the flow was decided for another sender than this one, who is known. */
static __always_inline int sl_is_another_sender(const struct sl_sender* sender, struct sl_flow_entry* entry,
                                                int reply) {
  const sl_process_class_number* class = reply ? &entry->responder_class : &entry->initiator_class;
  return SL_READ_ONCE(*class) != sender->process_class || SL_READ_ONCE(*sl_socket_of(entry, reply)) != sender->socket;
}

/* Likewise of who receives it. Where several share the socket, who answers is of that class; a look-up does not tell.
 */
static __always_inline int sl_is_another_receiver(const struct sl_receiver* receiver, struct sl_flow_entry* entry,
                                                  int reply) {
  const sl_process_class_number* class = reply ? &entry->initiator_class : &entry->responder_class;
  if (!receiver->found) return 0;
  if (SL_READ_ONCE(*sl_socket_of(entry, !reply)) != receiver->socket) return 1;
  return !receiver->shared && SL_READ_ONCE(*class) != receiver->process_class;
}

/*
 * What the socket said, into the flow. A socket of the kernel says nothing and changes nothing. What a listener said
 * may be late, when the socket has been accepted meanwhile: it does not replace what another packet learned since this
 * one asked. Returns 1 when the flow's verdict hangs on that process and it is of another class, or sends by another
 * socket, than it was decided for: sl_record writes both then, with the verdict.
 */
static __always_inline int sl_note_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  if (sender->final || sender->unowned) sl_settle_sender(sender, entry, sl_ask_bit(reply));
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

/* Who listens, into a flow of which nobody has answered yet. */
static __always_inline void sl_note_receiver(const struct sl_receiver* receiver, struct sl_flow_entry* entry) {
  if (!receiver->process) return;
  entry->responder_process = receiver->process;
  entry->responder_class = receiver->process_class;
  entry->responder_socket = receiver->socket;
  entry->responder_closed = receiver->closed;
  __sync_fetch_and_or(&entry->flags, SL_CT_LISTENER_RESPONDER);
}

/* The same for a flow's first packet, whose entry nobody else has yet. */
static __always_inline void sl_note_initiator(const struct sl_sender* sender, struct sl_flow_entry* fresh) {
  fresh->initiator_process = sender->process;
  fresh->initiator_class = sender->process_class;
  fresh->initiator_socket = sender->socket;
  fresh->initiator_closed = sender->closed;
  fresh->socket_changes = sender->asked ? sender->changes : sl_socket_changes();
  fresh->flags |= SL_CT_ASK_RESPONDER | (sender->inherited ? SL_CT_LISTENER_INITIATOR : 0);
  if (!sender->final && !sender->unowned) fresh->flags |= SL_CT_ASK_INITIATOR;
}

/* The first packet is an answer: who sent it is the responder, and who is going to receive it asked. */
static __always_inline void sl_turn_processes(struct sl_flow_entry* fresh) {
  const sl_process_id process = fresh->initiator_process;
  const sl_process_class_number class = fresh->initiator_class;
  const int is_settled = !(fresh->flags & SL_CT_ASK_INITIATOR);
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
  fresh->flags = (fresh->flags & ~listens) | SL_CT_ASK_INITIATOR;
  if (is_settled) fresh->flags &= ~(__u32)SL_CT_ASK_RESPONDER;
  if (listens & SL_CT_LISTENER_INITIATOR) fresh->flags |= SL_CT_LISTENER_RESPONDER;
  if (listens & SL_CT_LISTENER_RESPONDER) fresh->flags |= SL_CT_LISTENER_INITIATOR;
}

/* By the first packet of an end that is here. */
static __always_inline void sl_count_sender(const struct sl_sender* sender) {
  sl_count_event(SL_COUNTER_SENDER_FOUND + sender->found);
}

#endif
