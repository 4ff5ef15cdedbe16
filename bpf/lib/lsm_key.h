/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The keys of sl_lsm_cell. Helper-free: the programs and the agent share it.
 *
 * A text's hash grows byte by byte, so that one walk over a path has the hash of each directory on the way. The folded
 * product keeps it from being a polynomial, for which texts that collide under any seed are known. Keys are only a way
 * to find a target: its text is compared, too. */
#ifndef SLUICE_LSM_KEY_H
#define SLUICE_LSM_KEY_H

#include "bpf/abi/lsm.h"

#define SL_LSM_FACTOR 0x9e3779b97f4a7c15ull

static inline __u64 sl_lsm_hash_byte(__u64 hash, __u8 byte) {
  hash = (hash ^ byte) * SL_LSM_FACTOR;
  return hash ^ hash >> 29;
}

/* `hash`: of a text, beginning with the profile's seed; or seed ^ number. */
static inline __u64 sl_lsm_key(__u64 hash, __u32 section, __u32 kind) {
  hash = (hash ^ (section << 8 | kind)) * SL_LSM_FACTOR;
  return hash ^ hash >> 32;
}

#endif
