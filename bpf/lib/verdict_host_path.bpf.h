/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides whether a packet may bypass the host's network stack, and records in the flow what this hook saw of the host
 * path (bpf/lib/host_path.bpf.h).
 */
#ifndef SLUICE_VERDICT_HOST_PATH_BPF_H
#define SLUICE_VERDICT_HOST_PATH_BPF_H

#include "bpf/lib/ends.bpf.h"

/* Whether the flow lacks what this hook sees of the host path. */
static __always_inline int sl_must_note_path(const struct sl_evaluation* j, struct sl_flow_entry* entry, __u32 flags,
                                             int reply) {
  if (j->hook != SL_HOOK_TC_TO_POD) return !sl_is_counted_within(entry, reply, j->now, j->path_fresh);
  return !(flags & sl_path_bit(reply)) && sl_is_counted(j, entry, reply);
}

/* What sl_note_path_now makes of the flow's flags, as far as this packet's redirect depends on them. */
static __always_inline __u32 sl_flags_after_note(const struct sl_evaluation* j, __u32 flags, int reply) {
  return j->hook != SL_HOOK_TC_TO_POD ? flags & ~sl_path_bit(reply) : flags | sl_path_bit(reply);
}

/* Notes what sl_must_note_path found missing. */
static __always_inline void sl_note_path_now(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  if (j->hook != SL_HOOK_TC_TO_POD)
    sl_note_counted(entry, reply, j->now);
  else
    __sync_fetch_and_or(&entry->flags, sl_path_bit(reply));
}

/* Packets that never take a redirect prove nothing about the host path: the host's rules see ports only in a first
 * fragment, and they see VLAN tags. */
static __always_inline void sl_note_path(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  if (!sl_must_note_path(j, entry, SL_READ_ONCE(entry->flags), reply)) return;
  if (j->hook != SL_HOOK_TC_TO_POD || (!j->packet.fragment && !j->packet.has_vlan)) sl_note_path_now(j, entry, reply);
}

/* Whether even a flow's first packet may be redirected here (SL_SETTING_REDIRECT_ALWAYS). */
static __always_inline int sl_is_redirect_always(const struct sl_evaluation* j) {
  const __u32 both = SL_SETTING_REDIRECT | SL_SETTING_REDIRECT_ALWAYS;
  return (j->setting_flags & both) == both && j->hook != SL_HOOK_TC_TO_POD;
}

/* `flags` are the flow's before this packet, `tcp_flags` the packet's. */
static __always_inline int sl_may_pass_host(const struct sl_evaluation* j, const struct sl_flow_entry* entry,
                                            __u32 flags, __u8 protocol, __u8 tcp_flags, int reply) {
  if (!(j->setting_flags & SL_SETTING_REDIRECT) || j->hook == SL_HOOK_TC_TO_POD) return 0;
  if (flags & (SL_CT_TRANSLATED | SL_CT_TO_SERVICE)) return 0; /* its answers must be translated back */
  /* A flow that began at tc_to_pod was translated before that hook. */
  if (j->setting_flags & SL_SETTING_REDIRECT_ALWAYS) return entry->hook != SL_HOOK_TC_TO_POD;
  return sl_passes_host_unchanged(j->setting_flags, flags, j->hook == SL_HOOK_TC_FROM_POD, protocol, tcp_flags, reply);
}

#endif
