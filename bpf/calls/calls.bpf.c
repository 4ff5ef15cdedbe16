/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * System calls that rules ask about, when they return; and the operations of io_uring that do the same. Raw
 * tracepoints, which every kernel has. A call that nobody asks for costs the look-up of one byte.
 *
 *   call_returned                      every system call's return
 *   ring_submitted, ring_completed     io_uring
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/calls/ring.bpf.h"
#include "bpf/calls/send.bpf.h"

#define SL_X32_BIT 0x40000000ull
#define SL_SOCKETCALL_SEND 9 /* linux/net.h */
#define SL_SOCKETCALL_RECV 10

#if defined(__TARGET_ARCH_x86)
#define SL_CALL_REGISTERS(X) X(0, rdi) X(1, rsi) X(2, rdx) X(3, r10) X(4, r8) X(5, r9)
#define SL_CALL_REGISTERS_32(X) X(0, rbx) X(1, rcx) X(2, rdx) X(3, rsi) X(4, rdi) X(5, rbp)
#elif defined(__TARGET_ARCH_arm64)
#define SL_CALL_REGISTERS(X) X(0, regs[0]) X(1, regs[1]) X(2, regs[2]) X(3, regs[3]) X(4, regs[4]) X(5, regs[5])
#define SL_CALL_REGISTERS_32(X) SL_CALL_REGISTERS(X)
#else
#error "which registers have the arguments of a system call?"
#endif

static __always_inline bool is_32_bit_caller(void) {
#if defined(__TARGET_ARCH_x86)
  return bpf_get_current_task_btf()->thread_info.status & SL_TS_COMPAT;
#else
  return false;
#endif
}

static __always_inline __u64 number_of_call(struct pt_regs* caller) {
#if defined(__TARGET_ARCH_x86)
  return __PT_REGS_CAST(caller)->orig_rax;
#else
  __u32 kept = ~0u; /* pt_regs.syscallno, after user_pt_regs and orig_x0 */
  bpf_probe_read_kernel(&kept, sizeof(kept), (void*)caller + sizeof(struct user_pt_regs) + sizeof(__u64));
  return kept;
#endif
}

static __always_inline void load_arguments(struct sl_call_event* event, struct pt_regs* caller) {
#define SL_X(n, member) event->arguments[n] = (__u32)__PT_REGS_CAST(caller)->member;
  if (event->caller == SL_CALL_32) {
    SL_CALL_REGISTERS_32(SL_X)
    return;
  }
#undef SL_X
#define SL_X(n, member) event->arguments[n] = __PT_REGS_CAST(caller)->member;
  SL_CALL_REGISTERS(SL_X)
#undef SL_X
}

/* The arguments of a call by socketcall(2), which are in the caller's memory. */
static __always_inline void load_socketcall(struct sl_call_event* event) {
  const __u64 call = event->arguments[0];
  const bool is_short = call == SL_SOCKETCALL_SEND || call == SL_SOCKETCALL_RECV; /* no address */
  __u32 words[6] = {};
  bpf_probe_read_user(words, is_short ? 16 : sizeof(words), (void*)event->arguments[1]);
  for (int i = 0; i < 6; i++) event->arguments[i] = words[i];
}

static __always_inline __u32 kind_at(__u32 at) {
  barrier_var(at);
  return at < SL_CALL_KIND_BYTES ? call_kinds[at] : SL_CALL_NONE;
}

/* Builds and sends the record, if it is wanted. Its kind, caller, result and arguments are there. */
static __always_inline void report_call(struct call_scratch* scratch, __u32 index, __u64 file,
                                        const struct sl_call_filter* filter, __u32 half) {
  struct sl_call_event* event = &scratch->event;
  scratch->reads = filter->reads;
  if (file) describe_file(index, file);
  if (event->kind == SL_CALL_BIND && event->result >= 0) { /* the local end is all that it has */
    if (event->file.descriptor == SL_CALL_OF_IPV4) event->file.descriptor = SL_CALL_OF_IPV4_LISTENER;
    if (event->file.descriptor == SL_CALL_OF_IPV6) event->file.descriptor = SL_CALL_OF_IPV6_LISTENER;
  }
  const __u32 set = class_filter(filter, event);
  if (set == SL_CALL_DROPPED) return;
  if (file) append_name(index, file);
  if (set >= SL_CALL_FIRST_SET && file) {
    if (!meets_set(index, half, set)) return;
    event->set = set;
  }
  if (file) describe_inode(index, file);
  describe_process(scratch, index);
  const bool executed = event->result >= 0 && (event->kind == SL_CALL_EXECVE || event->kind == SL_CALL_EXECVEAT);
  const bool opened = file && event->result >= 0 && event->kind >= SL_CALL_OPEN && event->kind <= SL_CALL_CREAT;
  if (event->caller == SL_CALL_RING)
    append_ring_texts(index);
  else if (!executed && (!opened || scratch->reads & SL_CALL_READ_TEXTS))
    append_texts(index);
  if (scratch->reads & SL_CALL_READ_WORKING) append_working_directory(index, SL_CALL_TEXT_WORKING);
  if (event->caller != SL_CALL_RING) append_addresses(index);
  if (executed && scratch->reads & SL_CALL_READ_ENVIRONMENT) append_environment(index);
  send_call(index);
}

SEC("tp_btf/sys_exit")
int BPF_PROG(call_returned, struct pt_regs* caller, long value) {
  const __u64 raw = number_of_call(caller);
  const bool is_32_bit = is_32_bit_caller();
  const __u32 number = (__u32)(raw & ~SL_X32_BIT);
  if (number >= SL_CALL_NUMBERS) return 0;
  __u32 kind = kind_at(is_32_bit ? SL_CALL_COMPAT + number : number);
  if (kind == SL_CALL_NONE) return 0;
  const bool by_socketcall = kind == SL_CALL_SOCKETCALL;
#if defined(__TARGET_ARCH_x86)
  if (by_socketcall) {
    const __u32 call = (__u32)__PT_REGS_CAST(caller)->rbx;
    kind = call < SL_CALL_SOCKETCALL_COUNT ? kind_at(SL_CALL_SOCKETCALLS + call) : SL_CALL_NONE;
  }
#endif
  if (kind == SL_CALL_NONE || kind >= SL_CALL_KIND_COUNT) return 0;
  __s64 result = is_32_bit ? (__s64)(__s32)value : value;
  if (result <= -SL_ERESTART_FIRST && result >= -SL_ERESTART_LAST) result = -SL_EINTR;
  const __u32 half = call_state.half & 1;
  const struct sl_call_filter* filter = filter_of(half, kind);
  if (!filter || !filter->outcomes[outcome_of(result)]) return 0;
  const __u32 index = bpf_get_smp_processor_id();
  struct call_scratch* scratch = take_call_scratch(index);
  if (!scratch) {
    count_lost_call(0, kind);
    return 0;
  }
  struct sl_call_event* event = &scratch->event;
  event->kind = kind;
  event->caller = is_32_bit ? SL_CALL_32 : raw & SL_X32_BIT ? SL_CALL_X32 : SL_CALL_64;
  event->result = result;
  if (place_wants(index, kind)) {
    load_arguments(event, caller);
    if (by_socketcall) load_socketcall(event);
    if (kind == SL_CALL_OPENAT2) bpf_probe_read_user(event->extra, sizeof(event->extra), (void*)event->arguments[2]);
    const __u32 place = recipe_of(kind)->descriptor;
    __s32 number_of_file = -1;
    if (place == SL_CALL_AT_RESULT)
      number_of_file = result >= 0 ? result : -1;
    else if (place != SL_CALL_NO)
      number_of_file = (__s32)argument_at(event, place);
    report_call(scratch, index, (__u64)file_of(number_of_file), filter, half);
  }
  release_call_scratch(scratch);
  return 0;
}

/* A request in scratch->ring. */
static __always_inline void report_request(struct call_scratch* scratch, __u32 index, __u32 kind, __s64 result,
                                           __u64 request, bool complete) {
  struct sl_call_event* event = &scratch->event;
  const __u32 half = call_state.half & 1;
  const struct sl_call_filter* filter = filter_of(half, kind);
  if (!filter || !filter->outcomes[outcome_of(result)]) return;
  event->kind = kind;
  event->caller = SL_CALL_RING;
  event->result = result;
  if (!place_wants(index, kind)) return;
  for (int i = 0; i < 6; i++) event->arguments[i] = scratch->ring.arguments[i];
  for (int i = 0; i < 3; i++) event->extra[i] = scratch->ring.extra[i];
  const struct io_kiocb* whole = (const void*)request;
  struct file* file = NULL;
  if (!makes_descriptor(kind))
    file = BPF_CORE_READ(whole, file);
  else if (complete && result >= 0 && !scratch->ring.direct)
    file = file_of(result);
  if (recipe_of(kind)->descriptor == SL_CALL_NO) file = NULL;
  report_call(scratch, index, (__u64)file, filter, half);
}

static __always_inline __u32 kind_of_request(__u64 request) {
  const struct io_kiocb* whole = (const void*)request;
  const __u32 kind = request ? ring_kinds[BPF_CORE_READ(whole, opcode)] : SL_CALL_NONE;
  return kind < SL_CALL_KIND_COUNT ? kind : SL_CALL_NONE;
}

/* The same address as a number: functions that the verifier checks once take no pointers of the kernel. */
static __always_inline __u64 forget_request(struct call_scratch* scratch, __u64 request) {
  *(volatile __u64*)&scratch->request = request;
  return *(volatile __u64*)&scratch->request;
}

static __always_inline int on_submitted(__u64 request) {
  const struct io_kiocb* whole = (const void*)request;
  const __u32 kind = kind_of_request(request), index = bpf_get_smp_processor_id();
  if (kind == SL_CALL_NONE) return 0;
  struct call_scratch* scratch = take_call_scratch(index);
  if (!scratch) {
    count_lost_call(0, kind);
    return 0;
  }
  request = forget_request(scratch, request);
  note_request(index, request, kind);
  bpf_map_update_elem(&call_rings, &request, &scratch->ring, BPF_ANY);
  if (BPF_CORE_READ(whole, flags) & SL_REQ_F_CQE_SKIP) report_request(scratch, index, kind, 0, request, false);
  release_call_scratch(scratch);
  return 0;
}

static __always_inline int on_completed(__u64 request, __s32 result) {
  const __u32 kind = kind_of_request(request), index = bpf_get_smp_processor_id();
  if (kind == SL_CALL_NONE) return 0;
  struct call_scratch* scratch = take_call_scratch(index);
  if (!scratch) {
    count_lost_call(0, kind);
    return 0;
  }
  request = forget_request(scratch, request);
  const struct call_ring* ring = bpf_map_lookup_elem(&call_rings, &request);
  if (ring)
    bpf_probe_read_kernel(&scratch->ring, sizeof(scratch->ring), ring);
  else
    __builtin_memset(&scratch->ring, 0, offsetof(struct call_ring, texts) + 1);
  bpf_map_delete_elem(&call_rings, &request);
  report_request(scratch, index, kind, result, request, true);
  release_call_scratch(scratch);
  return 0;
}

/* Its first argument is the request in all kernels. */
SEC("tp_btf/io_uring_submit_req")
int BPF_PROG(ring_submitted, struct io_kiocb* request) { return on_submitted((__u64)(void*)request); }

SEC("tp_btf/io_uring_submit_sqe") /* before 6.3 */
int BPF_PROG(ring_submitted_before, struct io_kiocb* request) { return on_submitted((__u64)(void*)request); }

SEC("tp_btf/io_uring_complete")
int BPF_PROG(ring_completed, void* ring, void* request, struct io_uring_cqe* entry) {
  return on_completed((__u64)request, BPF_CORE_READ(entry, res));
}

SEC("tp_btf/io_uring_complete") /* where the entry's members are arguments */
int BPF_PROG(ring_completed_before, void* ring, void* request, __u64 data, int result) {
  return on_completed((__u64)request, result);
}

/* No map or function uses this type: this puts it into the BTF that tests compare with C++. */
const struct sl_call_event* event_for_btf __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
