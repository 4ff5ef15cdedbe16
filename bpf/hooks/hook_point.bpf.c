/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The programs of hook policies that know their point from when they were loaded: the kernel ties them to one function,
 * or gives them no cookie. The loader loads this object for each such point, with the maps of hooks.bpf.c.
 *
 *   lsm_hook                 an LSM hook; can deny
 *   security_function        a function whose name begins with security_, by fmod_ret; can deny
 *   system_call              a system call's function, by fmod_ret; can deny
 *   function_enter           any function, by fentry
 *   function_return          the same at its return, by fexit
 *   raw_tracepoint_hit       a tracepoint, with the arguments that the kernel passes it
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/hooks/caller.bpf.h"
#include "bpf/hooks/run.bpf.h"

#define SL_ERROR_MAX 4095

/* Set by the loader. */
const volatile __u32 point_number = 0;
const volatile __u32 argument_count = 0; /* of the function; the verifier lets a program read no more */

static __always_inline __s32 enter(unsigned long long* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(point_number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
#define SL_READ_CONTEXT(n) scratch->registers[n] = argument_count > n ? ctx[n] : 0
  SL_READ_CONTEXT(0);
  SL_READ_CONTEXT(1);
  SL_READ_CONTEXT(2);
  SL_READ_CONTEXT(3);
  SL_READ_CONTEXT(4);
  SL_READ_CONTEXT(5);
  const __s32 error = enter_point(scratch, index, point_number, &point, ctx);
  return error < 0 && error >= -SL_ERROR_MAX ? error : 0;
}

SEC("lsm")
int lsm_hook(unsigned long long* ctx) { return enter(ctx); }

SEC("fmod_ret")
int security_function(unsigned long long* ctx) { return enter(ctx); }

/* A system call's function has one argument: the caller's registers. */
SEC("fmod_ret")
int system_call(unsigned long long* ctx) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(point_number, &point)) return 0;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return 0;
  read_caller(scratch, (struct pt_regs*)ctx[0]);
  const __s32 error = enter_point(scratch, index, point_number, &point, ctx);
  return error < 0 && error >= -SL_ERROR_MAX ? error : 0;
}

SEC("fentry")
int function_enter(unsigned long long* ctx) {
  enter(ctx);
  return 0;
}

SEC("fexit")
int function_return(unsigned long long* ctx) {
  __u64 value = 0;
  if (bpf_get_func_ret(ctx, &value)) value = 0;
  return_from_point(point_number, value, ctx);
  return 0;
}

SEC("raw_tp")
int raw_tracepoint_hit(unsigned long long* ctx) {
  enter(ctx);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
