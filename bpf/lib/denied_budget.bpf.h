/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How many denied flows get a record. In a flood of more flows than that, each packet would throw out a record that
 * nobody has read yet, and pay more for that than for its verdict.
 *
 * So records have a price, which all CPUs pay from one purse. The agent pays back what it takes away. The purse holds
 * seven eighths of the most records that there may be, and time fills one eighth in SL_CT_TIMEOUT_DENIED, by when idle
 * records are taken away: a flood that goes on is sampled, also while no agent runs.
 */
#ifndef SLUICE_DENIED_BUDGET_BPF_H
#define SLUICE_DENIED_BUDGET_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/conntrack.h"

/* Of one record. Set by the loader, from how many there may be. */
const volatile __u64 denied_price_ns = SL_DENIED_PRICE(32768);
/* The time that is spent already; in the past: the purse is full. */
volatile __u64 denied_paid_until_ns = 0;

static __always_inline int sl_is_denied_budget_spent(__u64 now) {
  return (__s64)(denied_paid_until_ns - now) >= (__s64)SL_DENIED_PURSE;
}

/* CPUs that come at the same moment may overdraw the purse by a record each. */
static __always_inline void sl_pay_denied_record(__u64 now) {
  if ((__s64)(denied_paid_until_ns - now) >= 0)
    __sync_fetch_and_add(&denied_paid_until_ns, denied_price_ns);
  else
    denied_paid_until_ns = now + denied_price_ns;
}

#endif
