/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How long a flow may be idle. Helper-free: the packet path and the agent's harvest share it. */
#ifndef SLUICE_FLOW_TIMEOUT_H
#define SLUICE_FLOW_TIMEOUT_H

#include "bpf/abi/conntrack.h"

/* `flags`: SL_CT_*. Nanoseconds. */
static inline __u64 sl_flow_timeout(__u32 flags, __u8 protocol) {
  const __u8 tcp = 6;
  if (flags & SL_CT_CUT) return SL_CT_TIMEOUT_CUT;
  if (protocol == tcp) {
    if ((flags & SL_CT_RESET) || ((flags & SL_CT_FIN_FORWARD) && (flags & SL_CT_FIN_REPLY)))
      return SL_CT_TIMEOUT_TCP_CLOSING;
    return (flags & SL_CT_ESTABLISHED) ? SL_CT_TIMEOUT_TCP_ESTABLISHED : SL_CT_TIMEOUT_TCP_OPENING;
  }
  return (flags & SL_CT_SEEN_REPLY) ? SL_CT_TIMEOUT_REPLIED : SL_CT_TIMEOUT_ONE_WAY;
}

#endif
