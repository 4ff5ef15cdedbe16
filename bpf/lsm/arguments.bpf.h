/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The arguments of a program that is executed: which lists of allowedArgs have them all, and their text for the record.
 * They are in the memory of the process, so another thread may change them until the program begins. */
#ifndef SLUICE_LSM_ARGUMENTS_BPF_H
#define SLUICE_LSM_ARGUMENTS_BPF_H

#include "bpf/lsm/find.bpf.h"

#define SL_ARGUMENTS_READ 8192 /* more are in no list */

struct set_walk {
  __u32 at; /* in lsm_numbers */
  __u32 end;
  __u64 sets;
};

static long walk_sets(__u32 ignored, void* context) {
  struct set_walk* walk = context;
  const __u32 at = walk->at;
  if (at >= walk->end) return 1;
  walk->at = at + 1;
  const __u32* set = bpf_map_lookup_elem(&lsm_numbers, &at);
  if (!set) return 1;
  walk->sets |= 1ull << (*set & 63);
  return 0;
}

/* The argument sets that have the argument, which is at the beginning of the buffer LSM_PROGRAM. */
__noinline __u64 sets_with(__u32 index, __u32 length) {
  const __u32 found = find_part(index, LSM_PROGRAM, 0, length, SL_LSM_NO_SECTION << 8 | SL_LSM_KIND_ARGUMENT);
  const __u32 number = found - 1, zero = unknown_zero;
  const struct sl_lsm_target* target = found ? bpf_map_lookup_elem(&lsm_targets, &number) : NULL;
  if (!target) return 0;
  struct set_walk walk = {.at = target->decides + zero, .end = target->decides + target->decides_count, .sets = zero};
  bpf_loop(SL_LSM_ARGUMENT_SETS, walk_sets, &walk, 0);
  return walk.sets;
}

struct argument_walk {
  __u32 scratch;
  __u32 count; /* arguments so far */
  __u64 at;    /* of the next argument, or of the pointer to it */
  __u32 left;  /* arguments; 0 with pointers: up to NULL */
  __u32 pointers;
  __u32 failed;
  __u32 ended;
  __u64 sets;
};

/* One argument. It is read to the end of what the record has so far, or over its last one when there is no room. */
static long read_argument(__u32 ignored, void* context) {
  struct argument_walk* walk = context;
  struct lsm_scratch* scratch = scratch_at(walk->scratch);
  __u64 address = walk->at;
  if (!scratch) return 1;
  if (walk->pointers) {
    if (bpf_probe_read_user(&address, sizeof(address), (void*)walk->at)) {
      walk->failed = 1;
      return 1;
    }
    walk->at += sizeof(address);
  }
  if (walk->pointers ? !address : !walk->left) {
    walk->ended = 1;
    return 1;
  }
  walk->left--;
  __u32 room = scratch->arguments_length;
  barrier_var(room);
  if (room > SL_LSM_ARGUMENTS_SENT) room = SL_LSM_ARGUMENTS_SENT;
  const long size = bpf_probe_read_user_str(&scratch->arguments[room], SL_LSM_ARGUMENTS_SENT, (void*)address);
  if (size <= 0 || size > SL_LSM_ARGUMENTS_SENT) {
    walk->failed = 1;
    return 1;
  }
  const bool is_whole = size < SL_LSM_ARGUMENTS_SENT;
  if (!is_whole) scratch->arguments_truncated = 1;
  if (room + size <= SL_LSM_ARGUMENTS_SENT)
    scratch->arguments_length = room + size;
  else
    scratch->arguments_truncated = 1;
  if (!walk->pointers) walk->at += size;
  walk->count++;
  if (walk->count == 1) return 0; /* the program's name */
  if (size - 1 > SL_LSM_ARGUMENT_MAX) {
    walk->sets = 0;
    return is_whole || walk->pointers ? 0 : 1; /* where the next one begins is not known */
  }
  if (!walk->sets) return 0;
  bpf_probe_read_kernel(scratch->buffers[LSM_PROGRAM].path, SL_LSM_ARGUMENT_MAX + 8, &scratch->arguments[room]);
  walk->sets &= sets_with(walk->scratch, size - 1);
  return 0;
}

/* Reads `count` arguments that follow each other at `address`, or, with `pointers`, those that the pointers there are
 * to, up to NULL. False: they cannot be read, and the argument sets are not known. */
__noinline int read_arguments(__u32 index, __u64 address, __u32 count, bool pointers) {
  struct lsm_scratch* scratch = scratch_at(index);
  const __u32 zero = unknown_zero;
  if (!scratch) return 0;
  scratch->arguments_length = scratch->arguments_truncated = 0;
  struct argument_walk walk = {.scratch = index,
                               .count = zero,
                               .at = address,
                               .left = count,
                               .pointers = pointers,
                               .failed = zero,
                               .ended = zero,
                               .sets = ~0ull - zero};
  bpf_loop(SL_ARGUMENTS_READ, read_argument, &walk, 0);
  if (walk.failed) {
    scratch->arguments_truncated = 1;
    return 0;
  }
  /* Too many to read, or one whose end is not known: in no list. */
  scratch->argument_sets = walk.ended && walk.count > 1 ? walk.sets : 0;
  return 1;
}

#endif
