/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides whether a packet sends a flow event, and what is counted about its sender. Events are sent only while a
 * client follows them: a new flow at once, a known one at most once per SL_FLOW_EVENT_INTERVAL.
 */
#ifndef SLUICE_VERDICT_EVENT_BPF_H
#define SLUICE_VERDICT_EVENT_BPF_H

#include "bpf/lib/evaluation.bpf.h"

static __always_inline int sl_is_followed(const struct sl_evaluation* j) {
  return j->setting_flags & SL_SETTING_EVENTS;
}

static __always_inline int sl_is_event_due(const struct sl_evaluation* j, const struct sl_flow_entry* entry) {
  const __u32 last = SL_READ_ONCE(entry->last_event);
  return sl_is_followed(j) && (!last || sl_ticks(j->now) - last >= SL_FLOW_EVENT_INTERVAL);
}

static __always_inline void sl_report(const struct sl_evaluation* j, struct sl_flow_entry* entry, int reply) {
  const int begins = j->sender.begins && sl_is_followed(j);
  if (!begins && !sl_is_event_due(j, entry)) return;
  SL_WRITE_ONCE(entry->last_event, sl_ticks(j->now));
  sl_send_event(&j->key, entry, sl_share_of(entry), j->ifindex,
                (begins ? SL_FLOW_NEW : SL_FLOW_UPDATE) | (reply ? SL_EVENT_OF_REPLY : 0));
}

/* Only at these hooks can the packet have its sender's socket. */
static __always_inline void sl_count_sender_here(const struct sl_evaluation* j) {
  if (j->hook == SL_HOOK_TC_FROM_POD || j->from_node) sl_count_sender(&j->sender);
}

#endif
