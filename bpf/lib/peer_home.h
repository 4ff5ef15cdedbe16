/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where an entry of `peers` is looked for first. Helper-free: the packet path and the agent share it. */
#ifndef SLUICE_PEER_HOME_H
#define SLUICE_PEER_HOME_H

#include "bpf/abi/policy.h"

/* Relative to the slot's part. `seed`: settings.peer_seed, so that nobody can choose identities that meet. */
static inline __u32 sl_peer_home(__u32 seed, __u32 ruleset, __u32 identity, __u32 homes) {
  __u64 mixed = ((__u64)ruleset << 32 | identity) ^ seed * 0x9e3779b97f4a7c15ULL;
  mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93ULL;
  mixed = (mixed ^ mixed >> 32) * 0xd6e8feb86659fd93ULL;
  return (__u32)((mixed >> 32) * homes >> 32);
}

#endif
