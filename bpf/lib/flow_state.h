/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How a packet changes its flow's state. Helper-free: the packet path and `sluice replay` share it. */
#ifndef SLUICE_FLOW_STATE_H
#define SLUICE_FLOW_STATE_H

#include "bpf/abi/conntrack.h"
#include "bpf/lib/parse.bpf.h"

/* An ACK of the SYN-ACK may acknowledge at most this much more: data that the server sent before the ACK came. An
 * attacker who does not know the server's sequence number hits the window with one guess in 16384. */
#define SL_HANDSHAKE_WINDOW (1U << 18)

/* Whether `ack` acknowledges everything before `awaited`, and less than `window` beyond it. RFC 9293, 3.4. */
SL_INLINE int sl_acknowledges(__u32 ack, __u32 awaited, __u32 window) { return ack - awaited < window; }

SL_INLINE __u32 sl_fin_bit(int reply) { return reply ? SL_CT_FIN_REPLY : SL_CT_FIN_FORWARD; }
SL_INLINE __u32 sl_fin_agreed_bit(int reply) { return reply ? SL_CT_FIN_REPLY_AGREED : SL_CT_FIN_FORWARD_AGREED; }

#define SL_CT_BOTH_FINS (SL_CT_FIN_FORWARD | SL_CT_FIN_REPLY)
#define SL_CT_AGREED_SHIFT 17 /* from a FIN to its agreement */
#define SL_CT_BOTH_AGREED (SL_CT_FIN_FORWARD_AGREED | SL_CT_FIN_REPLY_AGREED)

SL_INLINE int sl_has_both_fins(__u32 flags) { return (flags & SL_CT_BOTH_FINS) == SL_CT_BOTH_FINS; }
SL_INLINE int sl_is_closed(__u32 flags) { return (flags & SL_CT_BOTH_AGREED) == SL_CT_BOTH_AGREED; }

/* A FIN counts once the other end has acknowledged it: until then it may be lost or forged. */
SL_INLINE __u32 sl_flags_after_ack(__u32 flags, const __u32* awaited, const struct sl_packet* packet, int reply) {
  const __u32 fin = sl_fin_bit(!reply), agreed = sl_fin_agreed_bit(!reply), ack = packet->tcp_ack;
  const __u32 others = reply ? awaited[0] : awaited[1];
  if ((flags & (fin | agreed)) == fin && sl_acknowledges(ack, others, 1U << 30)) flags |= agreed;
  if (reply || !(flags & SL_CT_SEEN_REPLY) || (packet->tcp_flags & SL_TCP_SYN)) return flags;
  if (!awaited[1] || sl_acknowledges(ack, awaited[1], SL_HANDSHAKE_WINDOW)) flags |= SL_CT_ESTABLISHED;
  return flags;
}

/*
 * A RST counts only until another packet follows it (RFC 6146, 3.5.2.2). Its receiver accepts only a RST with exactly
 * the next sequence number (RFC 5961, 3.2); after any other RST the connection continues.
 */
SL_INLINE __u32 sl_tcp_flags_after(__u32 flags, __u32* awaited, const struct sl_packet* packet, int reply) {
  const __u8 tcp = packet->tcp_flags;
  if (tcp & SL_TCP_RST) return flags | SL_CT_RESET | SL_CT_WATCH;
  flags &= ~(__u32)(SL_CT_RESET | SL_CT_WATCH);
  if (reply && (tcp & SL_TCP_SYN)) awaited[1] = packet->tcp_end;
  if (tcp & SL_TCP_ACK) flags = sl_flags_after_ack(flags, awaited, packet, reply);
  if ((tcp & SL_TCP_FIN) && !(flags & sl_fin_agreed_bit(reply))) {
    flags |= sl_fin_bit(reply);
    *(reply ? &awaited[1] : &awaited[0]) = packet->tcp_end;
  }
  const __u32 open = flags & SL_CT_BOTH_FINS & ~(flags >> SL_CT_AGREED_SHIFT);
  return open ? flags | SL_CT_WATCH : flags;
}

/* The flags (SL_CT_*) of a flow after one of its packets; updates the flow's `awaited`. `reply`: 0 or 1. */
SL_INLINE __u32 sl_flags_after(__u32 flags, __u32* awaited, const struct sl_packet* packet, int reply) {
  const int has_header = packet->fragment != SL_FRAGMENT_LATER;
  if (reply) flags |= SL_CT_SEEN_REPLY;
  if (packet->tuple.protocol == SL_IPPROTO_TCP)
    return has_header ? sl_tcp_flags_after(flags, awaited, packet, reply) : flags;
  if (!reply && (flags & SL_CT_SEEN_REPLY)) flags |= SL_CT_ESTABLISHED;
  return flags;
}

#endif
