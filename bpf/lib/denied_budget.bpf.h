/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * How many denied flows get a record. In a flood of more flows than the table has places, each packet would throw out a
 * record that nobody has read yet, and pay more for that than for its verdict.
 *
 * A record has a price in time, and all CPUs pay from one purse, which time fills and which holds half of the table. So in
 * any SL_CT_TIMEOUT_DENIED, after which the harvest takes an idle record away, there are no more new ones than places.
 */
#ifndef SLUICE_DENIED_BUDGET_BPF_H
#define SLUICE_DENIED_BUDGET_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/conntrack.h"

/* Of one record. Set by the loader, from the size of `ct_denied`. */
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
