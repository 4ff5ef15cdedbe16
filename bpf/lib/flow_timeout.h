/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How long a flow may be idle. Helper-free: the packet path and the agent's sweep share it. */
#ifndef SLUICE_FLOW_TIMEOUT_H
#define SLUICE_FLOW_TIMEOUT_H

#include "bpf/lib/flow_state.h"

static inline __u64 sl_tcp_timeout(__u32 flags) {
  if (flags & SL_CT_RESET) return flags & SL_CT_ESTABLISHED ? SL_CT_TIMEOUT_TCP_TRANSITORY : SL_CT_TIMEOUT_TCP_CLOSED;
  if (sl_is_closed(flags)) return SL_CT_TIMEOUT_TCP_CLOSED;
  if (sl_has_both_fins(flags) || !(flags & SL_CT_ESTABLISHED)) return SL_CT_TIMEOUT_TCP_TRANSITORY;
  return SL_CT_TIMEOUT_TCP_ESTABLISHED;
}

/* `flags`: SL_CT_*. Nanoseconds. */
static inline __u64 sl_flow_timeout(__u32 flags, __u8 protocol) {
  if (flags & SL_CT_REVOKED) return SL_CT_TIMEOUT_CUT;
  if (protocol == SL_IPPROTO_TCP) return sl_tcp_timeout(flags);
  return flags & SL_CT_ESTABLISHED ? SL_CT_TIMEOUT_TALKING : SL_CT_TIMEOUT_SINGLE;
}

#endif
