/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The base of the contract between the BPF programs and user space: fixed-width types, and asserts that mean the same
 * in BPF C and in C++20. Nothing in bpf/abi has logic, implicit padding, bitfields or bools.
 */
#ifndef SLUICE_ABI_TYPES_H
#define SLUICE_ABI_TYPES_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define SL_ABI_ASSERT(cond, msg) static_assert(cond, msg)
#else
#define SL_ABI_ASSERT(cond, msg) _Static_assert(cond, msg)
#endif

/* Bumped with every change of a struct or of a number in bpf/abi; part of the pin root's path. */
#define SL_ABI_VERSION 11

/* An IP address, network byte order. IPv4 is stored v4-mapped: ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). Aligned, so that
 * clang copies it by words; copies by bytes would be a fifth of a packet's cost. */
struct sl_addr {
  __u8 bytes[16];
} __attribute__((aligned(4)));
SL_ABI_ASSERT(sizeof(struct sl_addr) == 16, "sl_addr");

#endif
