/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A token bucket for denied-flow entries. Without it, in a flood of denied flows each packet would evict an entry that
 * the agent has not read yet, which costs more than the verdict.
 *
 * All CPUs share the bucket. It holds seven eighths of --max-denied-flows tokens; an entry costs one. The agent refunds
 * a token for each entry that it removes, and one eighth of the tokens refills every SL_CT_TIMEOUT_DENIED, the time
 * after which idle entries are removed. So a flood is sampled, also while no agent runs.
 */
#ifndef SLUICE_DENIED_BUDGET_BPF_H
#define SLUICE_DENIED_BUDGET_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/conntrack.h"

/* The cost of one entry, in ns of refill. Set by the loader from --max-denied-flows. */
const volatile __u64 denied_cost_ns = SL_DENIED_COST(32768);
/* The refill is spent up to this time. In the past: the bucket is full. */
volatile __u64 denied_paid_until_ns = 0;

static __always_inline int sl_is_denied_budget_spent(__u64 now) {
  return (__s64)(denied_paid_until_ns - now) >= (__s64)SL_DENIED_BUDGET;
}

/* CPUs that take a token at the same moment may each overshoot by one. */
static __always_inline void sl_take_denied_token(__u64 now) {
  if ((__s64)(denied_paid_until_ns - now) >= 0)
    __sync_fetch_and_add(&denied_paid_until_ns, denied_cost_ns);
  else
    denied_paid_until_ns = now + denied_cost_ns;
}

#endif
