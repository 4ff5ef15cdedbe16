/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides whether quarantine stops a packet, for the ends that its evaluation has found, and records that in its flow.
 */
#ifndef SLUICE_VERDICT_QUARANTINE_BPF_H
#define SLUICE_VERDICT_QUARANTINE_BPF_H

#include "bpf/lib/evaluation.bpf.h"
#include "bpf/lib/quarantine.bpf.h"

static __always_inline int sl_is_quarantined(const struct sl_evaluation* j) {
  return sl_either_quarantined(&j->packet, j->from_endpoint, j->to_endpoint);
}

/* A change makes the flow's next event due at once. */
static __always_inline void sl_note_quarantine(struct sl_flow_entry* entry, int quarantined) {
  if (quarantined == !!(SL_READ_ONCE(entry->flags) & SL_CT_QUARANTINED)) return;
  if (quarantined)
    __sync_fetch_and_or(&entry->flags, SL_CT_QUARANTINED);
  else
    __sync_fetch_and_and(&entry->flags, ~(__u32)SL_CT_QUARANTINED);
  SL_WRITE_ONCE(entry->last_event, 0);
}

#endif
