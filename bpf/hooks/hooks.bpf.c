/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The programs of hook policies. One program serves all points of its kind and all policies: the loader gives each
 * attachment the point's number as its cookie, or finds system calls by their numbers.
 *
 *   hook_enter, hook_return                          a function of the kernel by kprobe, of a program by uprobe
 *   static_probe_hit                                 a static probe (SDT) of a program, by uprobe
 *   tracepoint_hit                                   a tracepoint, whose arguments are in a record
 *   system_call_enter, system_call_return            a system call's function, whose argument is the caller's registers
 *   note_exec, note_fork, note_running               what processes were after their last exec
 *   traced_call_enter, traced_call_return            all system calls, by tracepoint, where the kernel has no kprobes
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/hooks/caller.bpf.h"
#include "bpf/hooks/run.bpf.h"

/* The same where the verifier knows what `caller` is. */
static __always_inline void load_caller(struct hook_scratch* scratch, struct pt_regs* caller) {
#define SL_X(n, member) scratch->registers[n] = __PT_REGS_CAST(caller)->member;
  SL_CALLER_REGISTERS(SL_X)
#undef SL_X
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
  const __u32 number = bpf_get_attach_cookie(ctx);
  if (!has_hooks(number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_registers(scratch, ctx);
  enter_point(scratch, index, number, &point, ctx);
  return 0;
}

SEC("kprobe")
int static_probe_hit(struct pt_regs* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  const __u32 number = bpf_get_attach_cookie(ctx);
  if (!has_hooks(number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  bpf_probe_read_kernel(scratch->caller, sizeof(__PT_REGS_CAST(ctx)[0]), ctx);
  enter_point(scratch, index, number, &point, ctx);
  return 0;
}

SEC("tracepoint")
int tracepoint_hit(void* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  const __u32 number = bpf_get_attach_cookie(ctx);
  if (!has_hooks(number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  scratch->record = (__u64)ctx;
  enter_point(scratch, index, number, &point, ctx);
  return 0;
}

SEC("kprobe")
int system_call_enter(struct pt_regs* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  const __u32 number = bpf_get_attach_cookie(ctx);
  if (!has_hooks(number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_caller(scratch, (struct pt_regs*)PT_REGS_PARM1(ctx));
  enter_point(scratch, index, number, &point, ctx);
  return 0;
}

SEC("kretprobe")
int hook_return(struct pt_regs* ctx) {
  return_from_point(bpf_get_attach_cookie(ctx), PT_REGS_RC(ctx), ctx);
  return 0;
}

SEC("kretprobe")
int system_call_return(struct pt_regs* ctx) {
  return_from_point(bpf_get_attach_cookie(ctx), PT_REGS_RC(ctx), ctx);
  return 0;
}

/* Whether the caller is a 32-bit program on x86, whose calls have other numbers. */
static __always_inline bool is_compat_task(void) {
#if defined(__TARGET_ARCH_x86)
  struct task_struct* task = bpf_get_current_task_btf();
  return task->thread_info.status & SL_TS_COMPAT;
#else
  return false;
#endif
}

/* The point of a system call's entry, or of its return; 0: none, as for most calls. */
static __always_inline __u32 traced_point(__u32 number, bool at_return) {
  const struct sl_hook_syscall* call = bpf_map_lookup_elem(&hook_syscalls, &number);
  const __u32 point = !call ? 0 : at_return ? call->exit : call->enter;
  return point && !is_compat_task() ? point : 0;
}

/* What processes are after an exec, for tests of what has changed since. */
SEC("tp_btf/sched_process_exec")
int BPF_PROG(note_exec) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct sl_hook_exec_facts* facts = bpf_task_storage_get(&hook_exec_facts, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (facts) read_exec_facts(task, facts);
  return 0;
}

/* Threads, too: one that executes a program becomes the process's leader, with what is stored for it. */
SEC("tp_btf/sched_process_fork")
int BPF_PROG(note_fork, struct task_struct* parent, struct task_struct* child) {
  struct task_struct* leader = parent->group_leader;
  if (!leader) return 0;
  struct sl_hook_exec_facts* facts = bpf_task_storage_get(&hook_exec_facts, leader, 0, 0);
  if (facts) bpf_task_storage_get(&hook_exec_facts, child, facts, BPF_LOCAL_STORAGE_GET_F_CREATE);
  return 0;
}

SEC("iter/task")
int note_running(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  if (!task || task->pid != task->tgid || bpf_task_storage_get(&hook_exec_facts, task, 0, 0)) return 0;
  struct sl_hook_exec_facts facts = {};
  read_exec_facts(task, &facts);
  bpf_task_storage_get(&hook_exec_facts, task, &facts, BPF_LOCAL_STORAGE_GET_F_CREATE);
  return 0;
}

SEC("tp_btf/sys_enter")
int BPF_PROG(traced_call_enter, struct pt_regs* caller, long number) {
  struct sl_hook_point point;
  __u32 index = 0;
  const __u32 number_of_point = traced_point(number, false);
  if (!number_of_point || !has_hooks(number_of_point, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  load_caller(scratch, caller);
  enter_point(scratch, index, number_of_point, &point, ctx);
  return 0;
}

SEC("tp_btf/sys_exit")
int BPF_PROG(traced_call_return, struct pt_regs* caller, long value) {
  __u64 number = ~0ull;
#if defined(__TARGET_ARCH_x86)
  number = __PT_REGS_CAST(caller)->orig_rax;
#else
  __u32 kept = ~0u; /* pt_regs.syscallno, after user_pt_regs and orig_x0 */
  bpf_probe_read_kernel(&kept, sizeof(kept), (void*)caller + sizeof(struct user_pt_regs) + sizeof(__u64));
  number = kept;
#endif
  const __u32 number_of_point = traced_point(number, true);
  if (number_of_point) return_from_point(number_of_point, value, ctx);
  return 0;
}

_Static_assert(sizeof(__PT_REGS_CAST((struct pt_regs*)0)[0]) <= sizeof(((struct hook_scratch*)0)->caller), "pt_regs");

/* No map or function uses these types: this puts them into the BTF that tests compare with C++. */
const struct sl_hook_socket* socket_for_btf __attribute__((unused));
const struct sl_hook_cred* cred_for_btf __attribute__((unused));
/* The values of maps of maps, whose BTF has only their sizes. */
const struct sl_hook* hook_for_btf __attribute__((unused));
const struct sl_hook_test* test_for_btf __attribute__((unused));
const struct sl_hook_selector* selector_for_btf __attribute__((unused));
const struct sl_hook_counts* counts_for_btf __attribute__((unused));
const struct sl_hook_subject* subject_for_btf __attribute__((unused));
const struct sl_hook_set_key* set_key_for_btf __attribute__((unused));
const struct sl_hook_slot* slot_for_btf __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
