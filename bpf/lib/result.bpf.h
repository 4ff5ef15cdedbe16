/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Results of a decision other than SL_DROP_NONE (0) and drop reasons (above 0, bpf/abi/drop_reasons.h): it is not made
 * yet, or the packet needs none. They are used only inside the hooks.
 */
#ifndef SLUICE_RESULT_BPF_H
#define SLUICE_RESULT_BPF_H

enum sl_result {
  SL_RESOLVE_SENDER = -1,      /* not decided yet: look up the sender's process */
  SL_RESOLVE_RECEIVER = -2,    /* not decided yet: look up the receiver's process */
  SL_FLOW_OVER = -3,           /* an end belongs to another workload now: start a new flow */
  SL_FLOW_STALE = -4,          /* the flow must be decided again */
  SL_LINK_CONTROL = -5,        /* passes, counted */
  SL_SYN_AGAINST = -6,         /* call sl_evaluate_syn_against; the sender is the key's `lo` end */
  SL_SYN_AGAINST_FROM_HI = -7, /* the same, its `hi` end */
  SL_NOT_PLAIN = -8,           /* from sl_evaluate_fast: call sl_evaluate */
  SL_NEW_FLOW = -9,            /* call sl_evaluate_new; the sender is the key's `lo` end */
  SL_NEW_FLOW_FROM_HI = -10,   /* the same, its `hi` end; the lowest value */
};

#endif
