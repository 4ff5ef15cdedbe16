/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Quarantine: a workload is cut off in both directions, except from the peers on one allow list.
 *
 * `quarantine` (ARRAY of SL_MAX_ENDPOINTS, __u32) by sl_address_value.endpoint: SL_QUARANTINE_NONE, or anything else
 * for "cut off". The agent writes SL_QUARANTINE_AGENT on request, and SL_QUARANTINE_NONE for a release and when an
 * endpoint number gets a new owner. Kernel programs may store any other value at any time, to cut a workload off at
 * once; they never clear one. The packet path only reads.
 */
#ifndef SLUICE_ABI_QUARANTINE_H
#define SLUICE_ABI_QUARANTINE_H

#include "types.h"

enum sl_quarantine {
  SL_QUARANTINE_NONE = 0,
  SL_QUARANTINE_AGENT = 1,
  SL_QUARANTINE_HOOK = 2, /* an action of a hook policy (bpf/abi/hook.h) */
};

/* Key of `quarantine_allow` (LPM_TRIE): peers that may still talk to a workload in quarantine, if policy allows it. The
 * value is the IP version of the prefix, because in the trie a short IPv6 prefix contains every v4-mapped address. */
struct sl_quarantine_peer {
  __u32 prefixlen; /* of the v4-mapped form: IPv4's length + 96 */
  struct sl_addr addr;
};
SL_ABI_ASSERT(sizeof(struct sl_quarantine_peer) == 20, "sl_quarantine_peer");

#define SL_MAX_QUARANTINE_PEERS 1024

#endif
