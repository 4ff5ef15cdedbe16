/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Flow -> process. A flow's entry knows for each end whether its sender still has to be asked for; the decision then
 * returns SL_ASK_SENDER, the entry point asks the packet's socket (bpf/lib/sender.bpf.h) and has it decided again. A
 * packet of a flow that is known costs one comparison and one bit.
 */
#ifndef SLUICE_ATTRIBUTION_BPF_H
#define SLUICE_ATTRIBUTION_BPF_H

#include "bpf/lib/account.bpf.h"
#include "bpf/lib/socket_maps.bpf.h"

#define SL_ASK_SENDER (-1) /* as the result of sl_judge: not decided yet */
#define SL_TCP_STATE_LISTEN 10

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
  __u8 begins;     /* another process than before: this packet begins another record of the flow */
  __u8 pad[1];
};

/* Who is going to receive it: the listener, where policy looks at the receiver's process. */
struct sl_receiver {
  sl_process_id process;
  sl_process_class_number process_class;
  __u32 asked;
  __u32 is_connected; /* its socket is, to the packet's sender */
};

static __always_inline __u32 sl_socket_changes(void) {
  __u32 zero = 0;
  volatile __u32* value = bpf_map_lookup_elem(&socket_changes, &zero);
  return value ? *value : 0;
}

static __always_inline __u32 sl_ask_bit(int reply) { return reply ? SL_CT_ASK_RESPONDER : SL_CT_ASK_INITIATOR; }

static __always_inline sl_process_id* sl_process_of(struct sl_flow_entry* entry, int reply) {
  return reply ? &entry->responder_process : &entry->initiator_process;
}

/* Whether this packet has to say who sent it. */
static __always_inline int sl_must_ask(struct sl_sender* sender, struct sl_flow_entry* entry, int reply) {
  __u32 changes = sl_socket_changes();
  if (entry->socket_changes != changes) {
    __sync_fetch_and_or(&entry->flags, SL_CT_ASK_INITIATOR | SL_CT_ASK_RESPONDER);
    entry->socket_changes = changes;
  }
  if (!(entry->flags & sl_ask_bit(reply)) || !sender->has_socket || sender->asked) return 0;
  sender->known_before = *sl_process_of(entry, reply);
  return 1;
}

/* The socket said who: a process, or for good that there is none. */
static __always_inline int sl_knows(const struct sl_sender* sender) {
  return sender->asked && (sender->process || sender->final);
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
  struct sl_flow_event* event = sl_begin_event(key, entry, sl_share_of(entry));
  const __u64 forward_packets = __sync_lock_test_and_set(&entry->forward_packets, 0);
  const __u64 forward_bytes = __sync_lock_test_and_set(&entry->forward_bytes, 0);
  const __u64 reply_packets = __sync_lock_test_and_set(&entry->reply_packets, 0);
  const __u64 reply_bytes = __sync_lock_test_and_set(&entry->reply_bytes, 0);
  entry->id = sl_next_flow_id();
  entry->created_ns = now;
  if (!event) return;
  *sl_process_of(&event->entry, reply) = was;
  event->entry.forward_packets = forward_packets;
  event->entry.forward_bytes = forward_bytes;
  event->entry.reply_packets = reply_packets;
  event->entry.reply_bytes = reply_bytes;
  sl_submit_event(event, event->entry.last_seen_ns, 0, SL_FLOW_END, 0);
}

/* Who sent it, into the flow. A listener's process is not another one than who accepted from it. */
static __always_inline void sl_put_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  const sl_process_id was = __sync_lock_test_and_set(sl_process_of(entry, reply), sender->process);
  const __u32 listener = entry->flags & sl_listener_bit(reply);
  if (listener) __sync_fetch_and_and(&entry->flags, ~listener);
  if (listener || !was || was == sender->process) return;
  sl_begin_record(key, entry, reply, was, now);
  sender->begins = 1;
}

/*
 * What the socket said, into the flow. A socket of the kernel says nothing and changes nothing. What a listener said
 * may be late, when the socket has been accepted meanwhile: it does not replace what another packet learned since this
 * one asked. Returns 1 when the flow's verdict hangs on that process and it is of another class than the one that it
 * was decided for.
 */
static __always_inline int sl_note_sender(struct sl_sender* sender, const struct sl_flow_key* key,
                                          struct sl_flow_entry* entry, int reply, __u64 now) {
  if (!sender->asked) return 0;
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
  if (entry->flags & (reply ? SL_CT_BY_RESPONDER : SL_CT_BY_INITIATOR)) return *class != sender->process_class;
  *class = sender->process_class;
  return 0;
}

/* Who listens, into a flow of which nobody has answered yet. */
static __always_inline void sl_note_receiver(const struct sl_receiver* receiver, struct sl_flow_entry* entry) {
  if (!receiver->process) return;
  entry->responder_process = receiver->process;
  entry->responder_class = receiver->process_class;
  __sync_fetch_and_or(&entry->flags, SL_CT_LISTENER_RESPONDER);
}

/* The same for a flow's first packet, whose entry nobody else has yet. */
static __always_inline void sl_note_initiator(const struct sl_sender* sender, struct sl_flow_entry* fresh) {
  fresh->initiator_process = sender->process;
  fresh->initiator_class = sender->process_class;
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
