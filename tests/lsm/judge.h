/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the test's program (judge.bpf.c) is asked, and answers. */
#ifndef SLUICE_TESTS_LSM_JUDGE_H
#define SLUICE_TESTS_LSM_JUDGE_H

#include "bpf/abi/lsm.h"

enum sl_judge_how { SL_JUDGE_PATH, SL_JUDGE_NUMBERS, SL_JUDGE_NUMBER, SL_JUDGE_PRESETS };

#define SL_JUDGE_ARGUMENTS 4

struct sl_judge_case {
  __u32 profile; /* in lsm_profiles */
  __u32 how;     /* enum sl_judge_how */
  __u32 section;
  __u32 uid;
  __u32 owner;
  __u32 writes;
  __u32 terminal;
  __u32 presets;
  __u32 call;
  __u32 numbers;
  __u32 argument_count;
  __u32 path_length;
  __u32 program_length;
  /* The answer. */
  __u32 verdict;
  __u32 reason;
  __u32 rule;
  __u8 arguments[SL_JUDGE_ARGUMENTS][16]; /* with a NUL */
  __u8 path[4096];
  __u8 program[4096];
};

#endif
