/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The verdict of a known flow, and its new decision: under a later generation, or for another process or socket.
 */
#ifndef SLUICE_REDECIDE_BPF_H
#define SLUICE_REDECIDE_BPF_H

#include "bpf/lib/ends.bpf.h"
#include "bpf/lib/quarantine.bpf.h"

/* Writes a known flow's new verdict, if the flow is still in its slot; one CPU at a time. If another CPU is already
 * updating the entry, this packet uses its own verdict and does not write it. */
static __always_inline void sl_record(struct sl_evaluation* j, const struct sl_flow_key* key,
                                      struct sl_flow_entry* entry, int reason, int keep) {
  const struct sl_policy_question* q = &j->question;
  const __u32 held = sl_flow_hold(key, j->slot);
  __u32 state = held & SL_FLOW_STATE_MASK;
  if (!held) {
    if (sl_flow_stands(key, j->slot))
      __sync_fetch_and_or(&entry->flags, SL_CT_RESOLVE_INITIATOR | SL_CT_RESOLVE_RESPONDER);
    return;
  }
  if (SL_READ_ONCE(entry->generation) <= j->gen) {
    sl_renew_end(&entry->initiator, &q->source);
    sl_renew_end(&entry->responder, &q->destination);
    if (!keep) {
      if (entry->reason != reason) {
        SL_WRITE_ONCE(entry->last_event, 0); /* send an event with this packet */
        if (reason) sl_count_event(SL_COUNTER_FLOW_REVOKED);
      }
      /* No socket matches while the verdict is written, so a packet that compares then is evaluated by itself. */
      if (entry->initiator_socket != q->source_socket) SL_WRITE_ONCE(entry->initiator_socket, SL_SOCKET_CHANGES);
      if (entry->responder_socket != q->destination_socket) SL_WRITE_ONCE(entry->responder_socket, SL_SOCKET_CHANGES);
      sl_memory_barrier(&entry->flags);
      SL_WRITE_ONCE(entry->initiator_class, q->source_class);
      SL_WRITE_ONCE(entry->responder_class, q->destination_class);
      entry->egress_decision = q->egress_decision;
      entry->ingress_decision = q->ingress_decision;
      SL_WRITE_ONCE(entry->reason, reason);
      if (reason) state = SL_FLOW_CLOSING;
      __u32 flags = (reason ? SL_CT_REVOKED : 0) | (q->audit ? SL_CT_AUDIT : 0) | q->by_process;
      __sync_fetch_and_and(&entry->flags,
                           ~(__u32)(SL_CT_REVOKED | SL_CT_AUDIT | SL_CT_BY_INITIATOR | SL_CT_BY_RESPONDER));
      if (flags) __sync_fetch_and_or(&entry->flags, flags);
      sl_memory_barrier(&entry->flags);
      SL_WRITE_ONCE(entry->initiator_socket, q->source_socket);
      SL_WRITE_ONCE(entry->responder_socket, q->destination_socket);
    }
    sl_memory_barrier(&entry->flags);
    SL_WRITE_ONCE(entry->generation, j->gen); /* last: a reader that sees it also sees the verdict */
  }
  sl_flow_release(j->slot, (held & ~(__u32)SL_FLOW_STATE_MASK) | state);
}

/* A flow's verdict, read after the generation that it was decided under: in the other order an old verdict could be
 * taken for a new one. */
static __always_inline int sl_verdict_of(struct sl_flow_entry* entry, __u64* generation) {
  *generation = SL_READ_ONCE(entry->generation);
  sl_memory_barrier(&entry->flags);
  return SL_READ_ONCE(entry->reason);
}

/*
 * Decides a known flow again, under this generation, for the processes in the question. Returns the drop reason for
 * this packet, SL_RESOLVE_RECEIVER or SL_FLOW_OVER. Global, so that the verifier checks it once.
 */
__noinline int sl_redecide(struct sl_evaluation* j, const struct sl_flow_key* key, struct sl_flow_entry* entry,
                           int other_process) {
  if (!j || !key || !entry) return SL_DROP_RULESET_MISSING;
  struct sl_policy_question* q = &j->question;
  int hi = entry->flags & SL_CT_INITIATOR_HI;
  /* The initiator's next packet is decided as a new flow's. Until then answers pass, or do not, as before. */
  if (entry->flags & SL_CT_TO_SERVICE) return j->service ? SL_FLOW_OVER : SL_READ_ONCE(entry->reason);
  q->epoch = j->gen & 1;
  sl_resolve_end(hi ? &key->hi : &key->lo, &entry->initiator, q->epoch, &q->source);
  sl_resolve_end(hi ? &key->lo : &key->hi, &entry->responder, q->epoch, &q->destination);
  /* Hairpin: the initiator's address may be one that the host has put in its place (sl_evaluate_policy). */
  if (entry->initiator.ifindex && entry->initiator.ifindex == entry->responder.ifindex && !q->source.workload)
    q->source = q->destination;
  if (!sl_is_same_end(&entry->initiator, &q->source) || !sl_is_same_end(&entry->responder, &q->destination))
    return SL_FLOW_OVER;
  q->service = sl_service(key->protocol, hi ? key->lo_port : key->hi_port);
  q->from_node = entry->flags & SL_CT_FROM_NODE;
  j->to_ifindex = q->destination.ifindex;
  int reason = sl_decide(q);
  if (reason == SL_RESOLVE_RECEIVER) return reason;
  sl_count_event(SL_COUNTER_FLOW_REDECIDED);
  int keep = reason && !other_process && (j->setting_flags & SL_SETTING_KEEP_ESTABLISHED) &&
             !(entry->flags & SL_CT_REVOKED) && (entry->flags & SL_CT_SEEN_REPLY);
  if (keep) reason = entry->reason;
  sl_record(j, key, entry, reason, keep);
  return reason;
}

/* Fills in the processes that the flow was decided for. */
static __always_inline void sl_keep_processes(struct sl_policy_question* q, const struct sl_flow_entry* entry) {
  q->source_class = entry->initiator_class;
  q->source_socket = entry->initiator_socket;
  q->destination_class = entry->responder_class;
  q->destination_socket = entry->responder_socket;
  q->may_resolve_receiver = 0;
}

/* Fills in the process at one end. */
static __always_inline void sl_set_process(struct sl_policy_question* q, int responder, sl_process_class_number class,
                                           __u64 socket) {
  if (responder) {
    q->destination_class = class;
    q->destination_socket = socket;
  } else {
    q->source_class = class;
    q->source_socket = socket;
  }
}

/* sl_redecide for a packet of the flow. Only packets to the receiver look up its socket. */
static __always_inline int sl_redecide_for(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply,
                                           int other_process) {
  struct sl_policy_question* q = &j->question;
  const struct sl_receiver* receiver = &j->receiver;
  sl_keep_processes(q, entry);
  if (sl_knows(&j->sender)) sl_set_process(q, reply, j->sender.process_class, j->sender.socket);
  if (!reply && !q->destination_class) sl_note_receiver(receiver, entry);
  if (receiver->found &&
      (sl_hangs_on_receiver(entry->flags, reply, j->key.protocol) || (!reply && !q->destination_class)))
    sl_set_process(q, !reply, receiver->process_class, receiver->socket);
  q->may_resolve_receiver = !reply && !q->destination_class && !receiver->resolved;
  return sl_redecide(j, &j->key, entry, other_process);
}

/* Verdicts depend only on processes of pods, and tc_from_pod is the hook where packets carry a pod's socket. */
static __always_inline int sl_hangs_on_sender(const struct sl_evaluation* j, __u32 flags, int reply) {
  return j->hook == SL_HOOK_TC_FROM_POD && (flags & sl_by_bit(reply));
}

static __always_inline int sl_is_of_other_socket(const struct sl_evaluation* j, struct sl_flow_entry* entry,
                                                 int reply) {
  const int hangs = sl_hangs_on_sender(j, entry->flags, reply);
  return sl_is_other_socket(entry, hangs, reply, j->key.protocol, j->sender.socket);
}

/* The last hook before the pod; XDP cannot look up sockets. */
static __always_inline int sl_resolves_receiver_here(const struct sl_evaluation* j) {
  return j->hook == SL_HOOK_TC_TO_POD || (j->hook == SL_HOOK_TC_FROM_POD && j->setting_flags & SL_SETTING_REDIRECT);
}

/* An earlier hook passes an allowed flow without a redirect, and so leaves the check to the last hook. A denied flow
 * waits for the look-up at a later hook, as the port may belong to another process by now. */
static __always_inline int sl_must_resolve_receiver(struct sl_evaluation* j, const struct sl_flow_end* receiver,
                                                    struct sl_flow_entry* entry, int reply) {
  const int hangs = sl_hangs_on_receiver(entry->flags, reply, j->key.protocol);
  if (!hangs && (entry->reason || !sl_has_lost_receiver(entry, reply, j->key.protocol))) return 0;
  j->to_ifindex = receiver->ifindex;
  if (!sl_resolves_receiver_here(j)) {
    j->may_route = 0;
    if (entry->reason == SL_DROP_NONE) return 0;
  }
  return j->receiver.resolved != receiver->ifindex;
}

/* Writes the receiver into the flow. If that ends a record, the packet belongs to the new one, even if the old one
 * counted it. */
static __always_inline void sl_put_receiver(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  const sl_process_id is = j->receiver.process;
  const sl_process_id was = __sync_lock_test_and_set(sl_process_of(entry, !reply), is);
  if (!was || was == is) return;
  const int is_counted = sl_is_counted(j, entry, reply);
  if (is_counted) sl_flow_take(entry, &j->size, j->packet.l3_offset, reply);
  sl_begin_record(&j->key, entry, !reply, was, j->now);
  if (is_counted) sl_flow_add(entry, &j->size, j->packet.l3_offset, reply, j->now);
  j->sender.begins = 1;
}

/* After the receiver's socket was closed: writes the socket that gets the flow's datagrams now. If there is none, or
 * still the old one, the next datagram looks again. */
static __always_inline void sl_follow_receiver(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  const struct sl_receiver* receiver = &j->receiver;
  if (!receiver->found) return;
  SL_WRITE_ONCE(*sl_closed_of(entry, !reply), receiver->closed);
  if (SL_READ_ONCE(*sl_socket_of(entry, !reply)) == receiver->socket) return;
  SL_WRITE_ONCE(*(reply ? &entry->initiator_class : &entry->responder_class), receiver->process_class);
  SL_WRITE_ONCE(*sl_socket_of(entry, !reply), receiver->socket);
  __sync_fetch_and_or(&entry->flags, sl_resolve_bit(!reply) | sl_listener_bit(!reply));
  sl_put_receiver(j, entry, reply);
}

/* Writes the receiver of a known flow's datagram into the flow. Returns 1 if the verdict depends on it, and its socket
 * or its process's class is not the one that the verdict was decided for. Global, as sl_redecide. */
__noinline int sl_note_other_receiver(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  if (!j || !entry) return 0;
  if (sl_hangs_on_receiver(entry->flags, reply, j->key.protocol)) {
    if (!sl_is_another_receiver(&j->receiver, entry, reply)) return 0;
    sl_put_receiver(j, entry, reply);
    return 1;
  }
  if (sl_has_lost_receiver(entry, reply, j->key.protocol)) sl_follow_receiver(j, entry, reply);
  return 0;
}

/* Writes the processes behind this packet into its flow. Returns 1 if the flow must be decided again for them. */
static __always_inline int sl_note_processes(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply,
                                             int other_socket) {
  if (other_socket) sl_note_unknown(&j->sender, j->key.protocol);
  const int sender = sl_note_sender(&j->sender, &j->key, entry, reply, j->now);
  return sl_note_other_receiver(j, entry, reply) | sender;
}

/* Whether the flow's verdict was decided for the processes and sockets of this packet. */
static __always_inline int sl_is_decided_for(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  const __u32 flags = SL_READ_ONCE(entry->flags);
  if (sl_is_of_other_socket(j, entry, reply)) return 0;
  if ((flags & sl_by_bit(reply)) && sl_knows(&j->sender) && !j->sender.inherited &&
      sl_is_another_sender(&j->sender, entry, reply))
    return 0;
  return !sl_hangs_on_receiver(flags, reply, j->key.protocol) || !sl_is_another_receiver(&j->receiver, entry, reply);
}

/*
 * The flow's verdict for this packet. The caller has just checked that it was decided for the packet's processes and
 * sockets, but another CPU may have written one for others since: so it is valid only if a second check, after the
 * read, agrees. SL_FLOW_STALE: it does not. Global, as sl_redecide.
 */
__noinline int sl_verdict_for(struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  __u64 generation;
  if (!j || !entry) return SL_FLOW_STALE;
  sl_memory_barrier(&entry->flags);
  const int verdict = sl_verdict_of(entry, &generation);
  sl_memory_barrier(&entry->flags);
  return generation >= j->gen && sl_is_decided_for(j, entry, reply) ? verdict : SL_FLOW_STALE;
}

#endif
