/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The programs of hook policies. One program serves all points of its kind and all policies: the loader gives each
 * attachment the point's number as its cookie, or finds system calls by their numbers.
 *
 *   hook_enter, hook_return                          a function of the kernel by kprobe, of a program by uprobe
 *   system_call_enter, system_call_return            a system call's function, whose argument is the caller's registers
 *   traced_call_enter, traced_call_return            all system calls, by tracepoint, where the kernel has no kprobes
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/hooks/run.bpf.h"

/* The arguments that the caller of a system call left in its registers. */
static __always_inline void read_caller(struct hook_scratch* scratch, struct pt_regs* caller) {
#define SL_CALLER(n, member) \
  bpf_probe_read_kernel(&scratch->registers[n], sizeof(__u64), &__PT_REGS_CAST(caller)->member)
#if defined(__TARGET_ARCH_x86)
  SL_CALLER(0, rdi);
  SL_CALLER(1, rsi);
  SL_CALLER(2, rdx);
  SL_CALLER(3, r10);
  SL_CALLER(4, r8);
  SL_CALLER(5, r9);
#elif defined(__TARGET_ARCH_arm64)
  for (int i = 0; i < SL_REGISTERS; i++) SL_CALLER(i, regs[i]);
#else
#error "which registers have the arguments of a system call?"
#endif
}

static __always_inline void read_registers(struct hook_scratch* scratch, struct pt_regs* ctx) {
  scratch->registers[0] = PT_REGS_PARM1(ctx);
  scratch->registers[1] = PT_REGS_PARM2(ctx);
  scratch->registers[2] = PT_REGS_PARM3(ctx);
  scratch->registers[3] = PT_REGS_PARM4(ctx);
  scratch->registers[4] = PT_REGS_PARM5(ctx);
#if defined(__TARGET_ARCH_x86)
  scratch->registers[5] = __PT_REGS_CAST(ctx)->r9;
#else
  scratch->registers[5] = __PT_REGS_CAST(ctx)->regs[5];
#endif
}

SEC("kprobe")
int hook_enter(struct pt_regs* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(bpf_get_attach_cookie(ctx), &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_registers(scratch, ctx);
  take_stacks(scratch, &point, ctx);
  run_point(scratch, index, &point, false);
  return 0;
}

SEC("kprobe")
int system_call_enter(struct pt_regs* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(bpf_get_attach_cookie(ctx), &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_caller(scratch, (struct pt_regs*)PT_REGS_PARM1(ctx));
  take_stacks(scratch, &point, ctx);
  run_point(scratch, index, &point, false);
  return 0;
}

static __always_inline int on_return(void* ctx, __u32 point_number, __u64 value) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(point_number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  scratch->return_value = value;
  take_stacks(scratch, &point, ctx);
  run_point(scratch, index, &point, true);
  return 0;
}

SEC("kretprobe")
int hook_return(struct pt_regs* ctx) { return on_return(ctx, bpf_get_attach_cookie(ctx), PT_REGS_RC(ctx)); }

SEC("kretprobe")
int system_call_return(struct pt_regs* ctx) { return on_return(ctx, bpf_get_attach_cookie(ctx), PT_REGS_RC(ctx)); }

/* Whether the caller is a 32-bit program on x86, whose calls have other numbers. */
static __always_inline bool is_compat_task(void) {
#if defined(__TARGET_ARCH_x86)
  struct task_struct* task = bpf_get_current_task_btf();
  return BPF_CORE_READ(task, thread_info.status) & SL_TS_COMPAT;
#else
  return false;
#endif
}

static __always_inline const struct sl_hook_syscall* traced_call(__u32 number) {
  if (number >= SL_HOOK_SYSCALLS || is_compat_task()) return NULL;
  return bpf_map_lookup_elem(&hook_syscalls, &number);
}

SEC("tp_btf/sys_enter")
int BPF_PROG(traced_call_enter, struct pt_regs* caller, long number) {
  struct sl_hook_point point;
  __u32 index = 0;
  const struct sl_hook_syscall* call = traced_call(number);
  if (!call || !call->enter || !has_hooks(call->enter, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_caller(scratch, caller);
  take_stacks(scratch, &point, ctx);
  run_point(scratch, index, &point, false);
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(traced_call_return, struct pt_regs* caller, long value) {
  __u64 number = ~0ull;
#if defined(__TARGET_ARCH_x86)
  bpf_probe_read_kernel(&number, sizeof(number), &__PT_REGS_CAST(caller)->orig_rax);
#else
  __u32 kept = ~0u; /* pt_regs.syscallno, after user_pt_regs and orig_x0 */
  bpf_probe_read_kernel(&kept, sizeof(kept), (void*)caller + sizeof(struct user_pt_regs) + sizeof(__u64));
  number = kept;
#endif
  const struct sl_hook_syscall* call = traced_call(number);
  return call && call->exit ? on_return(ctx, call->exit, value) : 0;
}

/* No map or function uses these types: this puts them into the BTF that tests compare with C++. */
const struct sl_hook_socket* socket_for_btf __attribute__((unused));
const struct sl_hook_cred* cred_for_btf __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
