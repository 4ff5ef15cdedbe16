/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The map by which the agent and kernel programs cut workloads off. */
#ifndef SLUICE_QUARANTINE_MAPS_BPF_H
#define SLUICE_QUARANTINE_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/policy.h"
#include "bpf/abi/quarantine.h"

/* Writers: agent; kernel programs, which only set (bpf/abi/quarantine.h). By endpoint number. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_MAX_ENDPOINTS);
  __type(key, __u32);
  __type(value, __u32);
} quarantine SEC(".maps");

#endif
