/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Mount namespaces. */
#ifndef SLUICE_LIB_MOUNTS_BPF_H
#define SLUICE_LIB_MOUNTS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lib/kernel_types.bpf.h"

/* The number of a mount namespace, which is not used twice until reboot; 0: a namespace without paths (of a
 * kernel-internal file system, or of mounts that are not attached). Not static, so that the verifier checks it once;
 * such functions cannot take pointers to kernel structures, so addresses are numbers. */
__noinline __u64 mounts_number(__u64 address) {
  struct mnt_namespace* mounts = (void*)address;
  struct mnt_namespace___sequence* sequence = (void*)address;
  struct mnt_namespace___number* number = (void*)address;
  if ((long)address <= 0 && (long)address > -4096) return 0; /* NULL or MNT_NS_INTERNAL, an error pointer */
  if (bpf_core_field_exists(sequence->seq)) return BPF_CORE_READ(sequence, seq); /* 0 for anonymous ones */
  if (bpf_core_enum_value_exists(enum init_ns_ino, MNT_NS_ANON_INO) &&
      BPF_CORE_READ(mounts, ns.inum) == (__u32)bpf_core_enum_value(enum init_ns_ino, MNT_NS_ANON_INO))
    return 0;
  return BPF_CORE_READ(number, ns.ns_id);
}

#endif
