/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps of KubeArmor policies (bpf/abi/lsm.h), the memory of a run, and the loader's settings. */
#ifndef SLUICE_LSM_MAPS_BPF_H
#define SLUICE_LSM_MAPS_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/lsm.h"
#include "bpf/lib/path.bpf.h"
#include "bpf/lib/process_maps.bpf.h"
#include "bpf/lib/subject.bpf.h"

/* Writer of these: agent, of the half that is not in force. */
#define SL_LSM_TABLE(map_name, value_type, size) \
  struct {                                       \
    __uint(type, BPF_MAP_TYPE_ARRAY);            \
    __uint(map_flags, BPF_F_MMAPABLE);           \
    __uint(max_entries, SL_LSM_HALVES*(size));   \
    __type(key, __u32);                          \
    __type(value, value_type);                   \
  } map_name SEC(".maps")

SL_LSM_TABLE(lsm_profiles, struct sl_lsm_profile, SL_LSM_PROFILES);
SL_LSM_TABLE(lsm_rules, struct sl_lsm_rule, SL_LSM_RULES);
SL_LSM_TABLE(lsm_targets, struct sl_lsm_target, SL_LSM_TARGETS);
SL_LSM_TABLE(lsm_cells, struct sl_lsm_cell, SL_LSM_CELLS);
SL_LSM_TABLE(lsm_automata, struct sl_lsm_automaton, SL_LSM_AUTOMATA);
SL_LSM_TABLE(lsm_numbers, __u32, SL_LSM_NUMBERS);
SL_LSM_TABLE(lsm_words, __u64, SL_LSM_WORDS);

/* Writer: programs add to them; the agent clears those of the half that it fills. */
SL_LSM_TABLE(lsm_counts, struct sl_lsm_counts, SL_LSM_RULES);

/* Writer: agent. */
SL_HOOK_ARRAY(lsm_subjects, struct sl_lsm_subject, SL_HOOK_SUBJECTS);

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u64);
} lsm_root SEC(".maps");

/* Writer: programs. */
SL_HOOK_ARRAY(lsm_progress, struct sl_lsm_progress, 1);

#define SL_GROUP_WORDS (SL_LSM_GROUPS / 64)

/* The groups of the program that a thread runs, and the tables that they are of. */
struct lsm_task {
  __u64 generation;
  __u32 profile; /* in lsm_profiles, plus 1 */
  __u32 execs;   /* the kernel's count: another one, and it runs another program */
  __u32 unreadable;
  __u32 pending; /* 1: an execution whose arguments were not known is judged again when it is in place */
  __u64 groups[SL_GROUP_WORDS];
};

/* Writer: programs. No memory: groups are found anew each time. */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct lsm_task);
} lsm_tasks SEC(".maps");

/* Writer: programs, each subject within its share. Full: the record is lost and counted; the verdict is taken. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20);
} lsm_events SEC(".maps");

const volatile __u64 ring_half = 2 << 20;  /* bytes in the ring from which on shares apply */
const volatile __u64 wake_bytes = 1 << 20; /* bytes in the ring that wake the reader, which otherwise polls */

#define SL_NO_RULE (~0u)
#define SL_LSM_TEXT_MAX 4096u
#define SL_LSM_DATA (2 * SL_LSM_TEXT_MAX + 2 * SL_LSM_ARGUMENTS_SENT)

/* The two texts of a run. */
enum lsm_text_number { LSM_PATH, LSM_PROGRAM, LSM_TEXTS };

struct lsm_text {
  __u32 begin; /* in the path buffer */
  __u32 length;
};

/* What is judged, and the verdict. */
struct lsm_scratch {
  __u64 busy;
  struct sl_path_scratch buffers[LSM_TEXTS];
  struct lsm_text texts[LSM_TEXTS];
  __u64 generation;
  __u32 profile; /* in lsm_profiles */
  __u32 subject;
  __u32 section;
  __u32 operation;
  __u32 uid;
  __u32 owner;
  __u32 writes;
  __u32 terminal;
  __u32 presets;    /* a bit for each that the operation is about */
  __u32 unreadable; /* the path cannot be read whole */
  __u32 no_path;    /* it has none */
  __u32 program_unreadable;
  __u32 other_process;
  __u32 call; /* of a section with SYSCALL_PATHS: the system call */
  __u32 number;
  __u64 groups[SL_GROUP_WORDS];
  __u64 argument_sets; /* that have all arguments */
  __u32 arguments_length;
  __u32 arguments_truncated;
  __u32 decides, audits; /* the first rule that applies, or SL_NO_RULE */
  __u32 verdict, reason, rule;
  __u32 killed;
  __u8 arguments[2 * SL_LSM_ARGUMENTS_SENT];
  struct sl_lsm_event event;
  __u8 data[SL_LSM_DATA];
};

#define SL_LSM_LEVELS 4 /* runs that interrupt each other on one CPU */

/* SL_LSM_LEVELS for each CPU. */
SL_HOOK_ARRAY(lsm_scratches, struct lsm_scratch, SL_LSM_LEVELS);

static __always_inline struct lsm_scratch* scratch_at(__u32 index) {
  return bpf_map_lookup_elem(&lsm_scratches, &index);
}

/* The number of a scratch's text for path_scratch. */
static __always_inline __u32 text_number(__u32 scratch, __u32 text) { return scratch * LSM_TEXTS + text; }

static __always_inline struct sl_path_scratch* path_scratch(const __u32* number) {
  struct lsm_scratch* scratch = scratch_at(*number / LSM_TEXTS);
  if (!scratch) return NULL;
  return *number % LSM_TEXTS ? &scratch->buffers[LSM_PROGRAM] : &scratch->buffers[LSM_PATH];
}

#endif
