/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Lets tests ask the code of bpf/lsm for verdicts about operations that nobody does, on every kernel. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>

#include "bpf/lsm/arguments.bpf.h"
#include "bpf/lsm/judge.bpf.h"
#include "tests/lsm/judge.h"

SL_HOOK_ARRAY(judge_cases, struct sl_judge_case, 1);

static __always_inline void take_text(struct lsm_scratch* scratch, __u32 text, const __u8* from, __u32 length) {
  if (length > SL_PATH_END) length = SL_PATH_END;
  scratch->texts[text].begin = SL_PATH_END - length;
  scratch->texts[text].length = length;
  __u32 at = SL_PATH_END - length;
  barrier_var(at);
  at &= SL_PATH_END;
  barrier_var(length);
  bpf_probe_read_kernel(&scratch->buffers[text].path[at], length & SL_PATH_END, from);
}

struct argument_case {
  __u32 at;
  __u64 sets;
};

static long judge_argument(__u32 i, void* context) {
  struct argument_case* all = context;
  const __u32 zero = 0;
  struct sl_judge_case* one = bpf_map_lookup_elem(&judge_cases, &zero);
  struct lsm_scratch* scratch = scratch_at(0);
  __u32 at = all->at;
  if (!one || !scratch || at >= one->argument_count || at >= SL_JUDGE_ARGUMENTS) return 1;
  all->at = at + 1;
  const long size = bpf_probe_read_kernel_str(scratch->buffers[LSM_PROGRAM].path, 16, one->arguments[at & 3]);
  if (size > 0) all->sets &= sets_with(0, size - 1);
  return 0;
}

SEC("raw_tp")
int judge(void* ctx) {
  const __u32 zero = 0;
  struct sl_judge_case* one = bpf_map_lookup_elem(&judge_cases, &zero);
  struct lsm_scratch* scratch = scratch_at(0);
  if (!one || !scratch) return 0;
  scratch->profile = one->profile;
  scratch->section = one->section;
  scratch->uid = one->uid;
  scratch->owner = one->owner;
  scratch->writes = one->writes;
  scratch->terminal = one->terminal;
  scratch->presets = one->presets;
  scratch->call = one->call;
  scratch->unreadable = scratch->no_path = scratch->program_unreadable = 0;
  take_text(scratch, LSM_PATH, one->path, one->path_length);
  take_text(scratch, LSM_PROGRAM, one->program, one->program_length);
  find_groups(0);
  const __u32 start = unknown_zero;
  struct argument_case arguments = {.at = start, .sets = one->argument_count ? ~0ull - start : start};
  bpf_loop(SL_JUDGE_ARGUMENTS, judge_argument, &arguments, 0);
  scratch->argument_sets = arguments.sets;
  switch (one->how) {
    case SL_JUDGE_PATH:
      judge_path(0);
      break;
    case SL_JUDGE_NUMBERS:
      judge_numbers(0, one->numbers);
      break;
    case SL_JUDGE_NUMBER:
      judge_one_number(0, one->numbers);
      break;
    default:
      judge_presets(0);
  }
  one->verdict = scratch->verdict;
  one->reason = scratch->reason;
  one->rule = scratch->rule;
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
