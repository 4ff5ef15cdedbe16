/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Whether the host path, from the sender's hook (tc_from_pod or xdp_uplink) to tc_to_pod, lets a flow pass unchanged.
 *
 * The sender's hook notes in the flow that it counts this direction's packets. If tc_to_pod then finds a packet in the
 * same flow, the packet took the host path unchanged: it was neither translated nor dropped by the host's firewall.
 * Only such flows may skip that path. Every `path_fresh` ticks the sender's hook clears the result, so that the next
 * packet takes the host path again: it meets rules that were added since, and shows if the key belongs to another
 * connection now.
 */
#ifndef SLUICE_HOST_PATH_BPF_H
#define SLUICE_HOST_PATH_BPF_H

#include "bpf/lib/conntrack.bpf.h"

static __always_inline __u32 sl_path_bit(int reply) { return reply ? SL_CT_PATH_REPLY : SL_CT_PATH_FORWARD; }

static __always_inline __u32* sl_counted_of(struct sl_flow_entry* entry, int reply) {
  return reply ? &entry->counted_reply : &entry->counted_forward;
}

/* 0 means never. */
static __always_inline __u32 sl_counted_now(__u64 now) { return sl_ticks(now) ?: 1; }

static __always_inline int sl_is_counted_within(struct sl_flow_entry* entry, int reply, __u64 now, __u32 ticks) {
  const __u32 counted = SL_READ_ONCE(*sl_counted_of(entry, reply));
  return counted && sl_ticks(now) - counted < ticks;
}

/* At the sender's hook. */
static __always_inline void sl_note_counted(struct sl_flow_entry* entry, int reply, __u64 now) {
  __sync_fetch_and_and(&entry->flags, ~sl_path_bit(reply));
  SL_WRITE_ONCE(*sl_counted_of(entry, reply), sl_counted_now(now));
}

/*
 * Whether a packet of a known flow may skip the host path, by the flow's `flags` before it. If both ends are local
 * pods, both directions must have passed unchanged; else the flow must have an answer. TCP's handshake and end always
 * take the host path. In between the host sees only some of the packets, and its connection tracking could take those
 * for out of window: no redirect then (SL_SETTING_HOST_TRACKS_TCP).
 */
static __always_inline int sl_passes_host_unchanged(__u32 settings, __u32 flags, int from_pod, __u8 protocol,
                                                    __u8 tcp_flags, int reply) {
  const __u32 other = from_pod ? sl_path_bit(!reply) : SL_CT_SEEN_REPLY;
  const __u32 wanted = sl_path_bit(reply) | other;
  if ((flags & wanted) != wanted) return 0;
  if (protocol == SL_IPPROTO_UDP) return 1;
  if (protocol != SL_IPPROTO_TCP || (settings & SL_SETTING_HOST_TRACKS_TCP)) return 0;
  return (flags & SL_CT_ESTABLISHED) && !(tcp_flags & (SL_TCP_FIN | SL_TCP_RST | SL_TCP_SYN));
}

#endif
