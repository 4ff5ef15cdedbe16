/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Quarantine, checked for every packet: two array look-ups while neither end is in quarantine. */
#ifndef SLUICE_QUARANTINE_BPF_H
#define SLUICE_QUARANTINE_BPF_H

#include "bpf/lib/maps.bpf.h"
#include "bpf/lib/once.h"
#include "bpf/lib/parse.bpf.h"

static __always_inline int sl_in_quarantine(__u32 endpoint) {
  if (!endpoint) return 0;
  const __u32* value = bpf_map_lookup_elem(&quarantine, &endpoint);
  return value && SL_READ_ONCE(*value) != SL_QUARANTINE_NONE;
}

/* Global: rarely called, and from many places. */
__noinline int sl_on_allow_list(const struct sl_addr* peer, __u8 ip_version) {
  if (!peer) return 0;
  struct sl_quarantine_peer key = {.prefixlen = 128, .addr = *peer};
  const __u32* version = bpf_map_lookup_elem(&quarantine_allow, &key);
  return version && *version == ip_version;
}

/* 1 if quarantine drops this packet. The endpoints are the local sender's and the local receiver's; 0: not local. */
static __always_inline int sl_either_quarantined(const struct sl_packet* packet, __u32 from_endpoint,
                                                 __u32 to_endpoint) {
  if (sl_in_quarantine(from_endpoint) && !sl_on_allow_list(&packet->tuple.dst, packet->ip_version)) return 1;
  return sl_in_quarantine(to_endpoint) && !sl_on_allow_list(&packet->tuple.src, packet->ip_version);
}

#endif
