/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Matches a path against all patterns of both epochs in one walk, with one step for each byte, star or retry. If a byte
 * does not match, the last `*` takes one more byte, else the last `**`; earlier stars need no retry, because the later
 * one can take those bytes too. A pattern for a directory that is a link on a merged /usr is also tried on the part of
 * the path below /usr. policy/network/glob.cc is the specification; tests compare the two.
 */
#ifndef SLUICE_GLOB_BPF_H
#define SLUICE_GLOB_BPF_H

#include "bpf/sensors/process_maps.bpf.h"

#define SL_GLOB_STEPS_MAX (1 << 17)
#define SL_PATTERN_COUNT (SL_EPOCHS * SL_MAX_PROGRAM_PATTERNS)
#define SL_NO_STAR (~0u)
#define SL_USR_LENGTH 4 /* length of "/usr" */

struct glob_walk {
  __u64 matches[SL_EPOCHS];
  __u32 scratch; /* index in process_scratch, whose `program` is the path */
  __u32 length;  /* of the path */
  __u32 pattern; /* index in program_patterns */
  __u32 in_pattern, in_path;
  __u32 star,
      star_taken;       /* positions after the last `*`: in the pattern, and in the path after the bytes that it took */
  __u32 any, any_taken; /* the same for `**` */
  __u32 is_below_usr;   /* the path is below /usr */
  __u32 tries_below_usr; /* this is the pattern's second try */
};

static __always_inline void begin_pattern(struct glob_walk* walk, __u32 in_path) {
  walk->in_pattern = 0;
  walk->in_path = in_path;
  walk->star = walk->any = SL_NO_STAR;
}

static __always_inline void next_pattern(struct glob_walk* walk) {
  walk->pattern++;
  walk->tries_below_usr = 0;
  begin_pattern(walk, 0);
}

/* Whether it begins with /bin/, /sbin/, /lib/, /lib32/ or /lib64/. */
static __always_inline bool is_merged(const char* text) {
  if (text[1] == 'b') return text[2] == 'i' && text[3] == 'n' && text[4] == '/';
  if (text[1] == 's') return text[2] == 'b' && text[3] == 'i' && text[4] == 'n' && text[5] == '/';
  if (text[1] != 'l' || text[2] != 'i' || text[3] != 'b') return false;
  if (text[4] == '3') return text[5] == '2' && text[6] == '/';
  if (text[4] == '6') return text[5] == '4' && text[6] == '/';
  return text[4] == '/';
}

static __always_inline void give_up(struct glob_walk* walk, const struct sl_program_pattern* pattern) {
  if (!walk->is_below_usr || walk->tries_below_usr || pattern->text[0] != '/' || !is_merged(pattern->text))
    return next_pattern(walk);
  walk->tries_below_usr = 1;
  begin_pattern(walk, SL_USR_LENGTH);
}

static long glob_step(__u32 step, void* context) {
  struct glob_walk* walk = context;
  const __u32 number = walk->pattern;
  if (number >= SL_PATTERN_COUNT) return 1;
  const struct sl_program_pattern* pattern = bpf_map_lookup_elem(&program_patterns, &number);
  const struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &walk->scratch);
  if (!pattern || !scratch) return 1;
  const __u32 p = walk->in_pattern, s = walk->in_path, length = pattern->length;
  const char wanted = p < length ? pattern->text[p & SL_PROGRAM_PATH_MAX] : 0;
  if (length == 0) {
    next_pattern(walk);
  } else if (wanted == '*' && p + 1 < length && pattern->text[(p + 1) & SL_PROGRAM_PATH_MAX] == '*') {
    walk->in_pattern = walk->any = p + 2;
    walk->any_taken = s;
    walk->star = SL_NO_STAR;
  } else if (wanted == '*') {
    walk->in_pattern = walk->star = p + 1;
    walk->star_taken = s;
  } else if (s == walk->length) {
    if (p != length) {
      give_up(walk, pattern);
      return 0;
    }
    walk->matches[(number / SL_MAX_PROGRAM_PATTERNS) & 1] |= 1ULL << (number % SL_MAX_PROGRAM_PATTERNS);
    next_pattern(walk);
  } else if (p < length && (wanted == scratch->program.text[s & SL_PROGRAM_PATH_MAX] ||
                            (wanted == '?' && scratch->program.text[s & SL_PROGRAM_PATH_MAX] != '/'))) {
    walk->in_pattern = p + 1;
    walk->in_path = s + 1;
  } else if (walk->star != SL_NO_STAR && scratch->program.text[walk->star_taken & SL_PROGRAM_PATH_MAX] != '/') {
    walk->in_pattern = walk->star;
    walk->in_path = ++walk->star_taken;
  } else if (walk->any != SL_NO_STAR) {
    walk->in_pattern = walk->any;
    walk->in_path = ++walk->any_taken;
    walk->star = SL_NO_STAR;
  } else {
    give_up(walk, pattern);
  }
  return 0;
}

/* The patterns that the path in the scratch's `program` matches. False: it took more than SL_GLOB_STEPS_MAX steps. */
static __always_inline bool match_patterns(__u32 scratch, __u32 length, __u64* matches) {
  const __u32 zero = unknown_zero;
  const struct sl_scratch* of = bpf_map_lookup_elem(&process_scratch, &scratch);
  if (!of) return false;
  const char* text = of->program.text;
  const bool is_below_usr = text[1] == 'u' && text[2] == 's' && text[3] == 'r' && text[4] == '/';
  struct glob_walk walk = {.scratch = scratch,
                           .length = length,
                           .pattern = zero,
                           .in_pattern = zero,
                           .in_path = zero,
                           .star = SL_NO_STAR - zero,
                           .star_taken = zero,
                           .any = SL_NO_STAR - zero,
                           .any_taken = zero,
                           .is_below_usr = is_below_usr,
                           .tries_below_usr = zero};
  bpf_loop(SL_GLOB_STEPS_MAX, glob_step, &walk, 0);
  for (int epoch = 0; epoch < SL_EPOCHS; epoch++) matches[epoch] = walk.matches[epoch];
  return walk.pattern >= SL_PATTERN_COUNT;
}

#endif
