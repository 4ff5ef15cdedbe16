/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The facts of a process that policy can use: its program, the script that the program runs, and the programs and
 * scripts of its ancestors. Processes with the same facts share a class. The sensors set a process's class before its
 * instance runs its first instruction; the packet path reads from the class which patterns it matches.
 *
 * The kernel side assigns the numbers of programs and classes; none is used again before they wrap at 2^32. A mask has
 * a bit for each pattern of one epoch (bpf/abi/policy.h). The sensors fill it in when the program or class is new; the
 * agent does when the patterns of an epoch change, before that epoch is in force.
 */
#ifndef SLUICE_ABI_PROCESS_CLASS_H
#define SLUICE_ABI_PROCESS_CLASS_H

#include "policy.h"

/* Key of `programs` (HASH): absolute, as in the workload's own mount namespace; the rest is NUL. */
struct sl_program_path {
  char text[SL_PROGRAM_PATH_MAX + 1];
};
SL_ABI_ASSERT(sizeof(struct sl_program_path) == 512, "sl_program_path");

struct sl_program {
  __u32 number;
  __u32 share; /* index in `process_shares`, of the first process that ran it */
  __u64 matches[SL_EPOCHS];
};
SL_ABI_ASSERT(sizeof(struct sl_program) == 24, "sl_program");

#define SL_PROGRAM_UNKNOWN 0 /* its path is too long, on no mounted file system, or the table was full */
#define SL_MAX_ANCESTORS 29

enum sl_process_class_flags {
  SL_CLASS_MORE_ANCESTORS = 1 << 0, /* more ancestors than are listed */
};

/* Key of `process_class_numbers` (HASH), value __u32. Programs are given by number. */
struct sl_process_facts {
  __u32 program;                     /* SL_PROGRAM_UNKNOWN: only the ancestors are known */
  __u32 script;                      /* 0: none */
  __u32 flags;                       /* enum sl_process_class_flags */
  __u32 ancestors[SL_MAX_ANCESTORS]; /* each once, in the order in which they appeared, then 0 */
};
SL_ABI_ASSERT(sizeof(struct sl_process_facts) == 128, "sl_process_facts");

typedef __u32 sl_process_class_number; /* 0: not known */

/* Value of `process_classes` (HASH by sl_process_class_number). */
struct sl_process_class {
  struct sl_process_facts facts;
  __u64 binaries[SL_EPOCHS];      /* patterns that the program or the script matches */
  __u64 scripts[SL_EPOCHS];       /* the subset that the script matches */
  __u64 ancestors[SL_EPOCHS];     /* patterns that one of the ancestors matches */
  __u64 used_ns;                  /* CLOCK_MONOTONIC: when this class was last assigned to a process */
  sl_process_class_number forked; /* the class of its forked children; 0: not looked up yet */
  __u32 share;                    /* index in `process_shares`, of the first process that had it */
};
SL_ABI_ASSERT(sizeof(struct sl_process_class) == 192, "sl_process_class");

/*
 * Shares of `programs`, `process_classes` and `processes`. While a table is less than half full, every share may add to
 * it. From then on, only a share with less than its fair part may: half of the table, divided by the number of shares.
 * So one workload can take half of a table, but never another's part.
 *
 * Index of `process_shares` (ARRAY; written by the sensors) and of `process_shares_freed` (ARRAY; written by the
 * agent): the entries of a share are the difference, which may be below 0 for a while. `added` decreases only for
 * `processes`, where the sensors remove processes that exit; all other removals count in `freed`.
 */
#define SL_SHARE_TOTAL 0  /* the totals of the tables */
#define SL_SHARE_OTHERS 1 /* processes in network namespaces that the agent does not know */
#define SL_SHARE_FIRST 2  /* one for each workload's network namespace, and one for the node's */
#define SL_SHARES 4352

enum sl_shared_table { SL_SHARED_PROGRAMS, SL_SHARED_CLASSES, SL_SHARED_PROCESSES, SL_SHARED_TABLE_COUNT };

struct sl_process_share {
  __u32 added[SL_SHARED_TABLE_COUNT];
  __u32 refused[SL_SHARED_TABLE_COUNT]; /* the table or the share's part was full */
};
SL_ABI_ASSERT(sizeof(struct sl_process_share) == 24, "sl_process_share");

struct sl_process_share_freed {
  __u32 freed[SL_SHARED_TABLE_COUNT];
  __u32 parts; /* only in SL_SHARE_TOTAL: the number of shares */
};
SL_ABI_ASSERT(sizeof(struct sl_process_share_freed) == 16, "sl_process_share_freed");

#endif
