/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What policy can tell of a process: its program, the script that the program runs, and the programs and scripts that
 * led to it. Processes that are alike in this are of one class. The sensors give a process its class before the first
 * instruction of its instance; the packet path asks the class what patterns it matches.
 *
 * Numbers of programs and classes are given by the kernel side and not used again before they wrap at 2^32. Masks are
 * of the patterns of one epoch (bpf/abi/policy.h): by the sensors when the program or class is new, by the agent when
 * the patterns of an epoch change, before that epoch comes in force.
 */
#ifndef SLUICE_ABI_PROCESS_CLASS_H
#define SLUICE_ABI_PROCESS_CLASS_H

#include "policy.h"

/* Key of `programs` (HASH): absolute, as the workload's own file system names it; the rest is NUL. */
struct sl_program_path {
  char text[SL_PROGRAM_PATH_MAX + 1];
};
SL_ABI_ASSERT(sizeof(struct sl_program_path) == 512, "sl_program_path");

struct sl_program {
  __u32 number;
  __u32 share; /* index in `process_shares` of who ran it first */
  __u64 matches[SL_EPOCHS];
};
SL_ABI_ASSERT(sizeof(struct sl_program) == 24, "sl_program");

#define SL_PROGRAM_UNKNOWN 0 /* its path is too long, on no mounted file system, or the table was full */
#define SL_MAX_ANCESTORS 29

enum sl_process_class_flags {
  SL_CLASS_MORE_ANCESTORS = 1 << 0, /* than are listed */
};

/* Key of `process_class_numbers` (HASH), value __u32. Of programs only their numbers. */
struct sl_process_facts {
  __u32 program;                     /* SL_PROGRAM_UNKNOWN: nothing but the ancestors is known */
  __u32 script;                      /* 0: none */
  __u32 flags;                       /* enum sl_process_class_flags */
  __u32 ancestors[SL_MAX_ANCESTORS]; /* each once, in the order of their appearance, then 0 */
};
SL_ABI_ASSERT(sizeof(struct sl_process_facts) == 128, "sl_process_facts");

typedef __u32 sl_process_class_number; /* 0: not known */

/* Value of `process_classes` (HASH by sl_process_class_number). */
struct sl_process_class {
  struct sl_process_facts facts;
  __u64 binaries[SL_EPOCHS];      /* patterns that the program or the script matches */
  __u64 scripts[SL_EPOCHS];       /* those of them that the script matches */
  __u64 ancestors[SL_EPOCHS];     /* patterns that one of the ancestors matches */
  __u64 used_ns;                  /* CLOCK_MONOTONIC: when a process was last given this class */
  sl_process_class_number forked; /* the class of its forked children; 0: not looked up yet */
  __u32 share;                    /* index in `process_shares` of who had it first */
};
SL_ABI_ASSERT(sizeof(struct sl_process_class) == 192, "sl_process_class");

/*
 * Shares of `programs`, `process_classes` and `processes`. While a table is not half full, anybody may add to it. From
 * then on only who has less than a fair part: half of the table, divided by the number of shares. So one workload can
 * take half of a table, and never another's part.
 *
 * Index of `process_shares` (ARRAY; written by the sensors) and of `process_shares_freed` (ARRAY; written by the
 * agent): what a share has is the difference, for a while perhaps below 0. `added` goes down only for `processes`,
 * whose sensors remove what ends; what else goes is `freed`.
 */
#define SL_SHARE_TOTAL 0  /* of the whole tables */
#define SL_SHARE_OTHERS 1 /* whoever runs in no network namespace that the agent knows */
#define SL_SHARE_FIRST 2  /* one for each workload's network namespace, and one for the node's */
#define SL_SHARES 4352

enum sl_shared_table { SL_SHARED_PROGRAMS, SL_SHARED_CLASSES, SL_SHARED_PROCESSES, SL_SHARED_TABLE_COUNT };

struct sl_process_share {
  __u32 added[SL_SHARED_TABLE_COUNT];
  __u32 refused[SL_SHARED_TABLE_COUNT]; /* for want of room, or of a share's part */
};
SL_ABI_ASSERT(sizeof(struct sl_process_share) == 24, "sl_process_share");

struct sl_process_share_freed {
  __u32 freed[SL_SHARED_TABLE_COUNT];
  __u32 parts; /* of SL_SHARE_TOTAL: how many shares there are */
};
SL_ABI_ASSERT(sizeof(struct sl_process_share_freed) == 16, "sl_process_share_freed");

#endif
