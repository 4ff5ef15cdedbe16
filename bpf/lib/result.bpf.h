/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What a decision may return instead of SL_DROP_NONE (0) or a drop reason (above 0, bpf/abi/drop_reasons.h): it is not
 * made yet, or the packet needs none. None of these leaves the hooks.
 */
#ifndef SLUICE_RESULT_BPF_H
#define SLUICE_RESULT_BPF_H

enum sl_result {
  SL_ASK_SENDER = -1,          /* not decided yet: ask for the sender's process */
  SL_ASK_RECEIVER = -2,        /* not decided yet: ask for the receiver's process */
  SL_FLOW_OVER = -3,           /* an end belongs to somebody else now, start clean */
  SL_FLOW_STALE = -4,          /* the flow has to be decided anew */
  SL_LINK_CONTROL = -5,        /* passes, counted */
  SL_SYN_AGAINST = -6,         /* ask sl_evaluate_syn_against; the sender is the key's `lo` end */
  SL_SYN_AGAINST_FROM_HI = -7, /* likewise, its `hi` end */
  SL_NOT_PLAIN = -8,           /* of sl_evaluate_fast: ask sl_evaluate */
  SL_NEW_FLOW = -9,            /* ask sl_evaluate_new; the sender is the key's `lo` end */
  SL_NEW_FLOW_FROM_HI = -10,   /* likewise, its `hi` end; nothing is below */
};

#endif
