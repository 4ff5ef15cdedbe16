/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Registers of the caller of a system call. */
#ifndef SLUICE_CALLER_BPF_H
#define SLUICE_CALLER_BPF_H

#include <linux/ptrace.h>

#include <bpf/bpf_tracing.h>

#include "bpf/hooks/hook_maps.bpf.h"

/* The arguments that the caller of a system call left in its registers. */
#if defined(__TARGET_ARCH_x86)
#define SL_CALLER_REGISTERS(X) X(0, rdi) X(1, rsi) X(2, rdx) X(3, r10) X(4, r8) X(5, r9)
#elif defined(__TARGET_ARCH_arm64)
#define SL_CALLER_REGISTERS(X) X(0, regs[0]) X(1, regs[1]) X(2, regs[2]) X(3, regs[3]) X(4, regs[4]) X(5, regs[5])
#else
#error "which registers have the arguments of a system call?"
#endif

static __always_inline void read_caller(struct hook_scratch* scratch, struct pt_regs* caller) {
#define SL_X(n, member) bpf_probe_read_kernel(&scratch->registers[n], sizeof(__u64), &__PT_REGS_CAST(caller)->member);
  SL_CALLER_REGISTERS(SL_X)
#undef SL_X
}

#endif
