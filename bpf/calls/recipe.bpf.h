/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Where a call has what records need: SL_CALLS of bpf/abi/call.h as a table. */
#ifndef SLUICE_CALL_RECIPE_BPF_H
#define SLUICE_CALL_RECIPE_BPF_H

#include "bpf/calls/call_maps.bpf.h"

struct call_recipe {
  __u8 descriptor;
  __u8 text[2];
  __u8 base[2];
  __u8 address;
};

static const volatile struct call_recipe recipes[SL_CALL_KINDS] = {
#define SL_X(name, label, of, first, first_base, second, second_base, at) \
  [SL_CALL_##name] = {of, {first, second}, {first_base, second_base}, at},
    SL_CALLS(SL_X)
#undef SL_X
};

static __always_inline const volatile struct call_recipe* recipe_of(__u32 kind) {
  barrier_var(kind); /* the verifier needs the mask, where the compiler knows the bound already */
  return &recipes[kind & (SL_CALL_KINDS - 1)];
}

static __always_inline __u64 argument_at(const struct sl_call_event* event, __u32 place) {
  __u32 at = place - 1;
  barrier_var(at);
  return at < 6 ? event->arguments[at] : 0;
}

#endif
