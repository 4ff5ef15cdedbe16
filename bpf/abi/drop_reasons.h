/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Every reason for which a packet is dropped, once: the C enum, the C++ names, the Prometheus label values
 * and the API's strings all come from this list. Append only; a number never changes its meaning.
 */
#ifndef SLUICE_ABI_DROP_REASONS_H
#define SLUICE_ABI_DROP_REASONS_H

/* X(NAME, description) */
#define SL_DROP_REASONS(X)                                                             \
  X(NONE, "not dropped")                                                               \
  X(POLICY_DENIED, "denied by policy: a deny rule, or no rule allows it")              \
  X(SPOOFED_SOURCE, "a source address, MAC address or ARP/ND target of another owner") \
  X(UNKNOWN_ENDPOINT, "the interface belongs to no known workload yet")                \
  X(MALFORMED_ETHERNET, "frame too short for its Ethernet or VLAN headers")            \
  X(MALFORMED_IPV4, "truncated or inconsistent IPv4 header")                           \
  X(MALFORMED_IPV6, "truncated or inconsistent IPv6 header")                           \
  X(MALFORMED_L4, "truncated or inconsistent transport header")                        \
  X(TOO_MANY_HEADERS, "more VLAN tags or IPv6 extension headers than are examined")    \
  X(UNSUPPORTED_L3, "network protocol that is neither IPv4, IPv6 nor ARP")             \
  X(FRAGMENT_NOT_FOUND, "a later fragment whose first fragment was not seen")          \
  X(CONNTRACK_FULL, "allowed, but the flow could not be tracked: the table is full")   \
  X(RULESET_MISSING, "the workload's ruleset is not in the map: denied to be safe")    \
  X(QUARANTINED, "the workload is in quarantine")                                      \
  X(LINK_CONTROL, "link control that a workload may not send, or too much of it")      \
  X(WRONG_RECEIVER, "addressed to a workload other than the interface's")              \
  X(SERVICE_NO_BACKEND, "the Service has no backend that can be used")

enum sl_drop_reason {
#define SL_X(name, description) SL_DROP_##name,
  SL_DROP_REASONS(SL_X)
#undef SL_X
      SL_DROP_REASON_COUNT
};

#endif
