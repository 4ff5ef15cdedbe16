/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The verdict about the operation in a scratch. policy/lsm/evaluate.cc is the specification. */
#ifndef SLUICE_LSM_JUDGE_BPF_H
#define SLUICE_LSM_JUDGE_BPF_H

#include "bpf/lsm/find.bpf.h"

/* The groups of the program in the scratch's text LSM_PROGRAM. */
__noinline int find_groups(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  if (!profile) return 0;
  for (int i = 0; i < SL_GROUP_WORDS; i++) scratch->groups[i] = i == 0; /* group 0: any program */
  if (scratch->program_unreadable) return 0;
  walk_path(index, LSM_PROGRAM, SL_LSM_NO_SECTION, profile->source_flags, SL_LSM_KIND_SOURCE);
  return 0;
}

/* The first rule of a list of a section whose group the program is in; SL_NO_RULE: none. */
static long walk_members(__u32 ignored, void* context) {
  struct list_walk* walk = context;
  const __u32 at = walk->at;
  if (at >= walk->end) return 1;
  walk->at = at + 1;
  struct lsm_scratch* scratch = scratch_at(walk->scratch);
  const __u32* number = bpf_map_lookup_elem(&lsm_numbers, &at);
  const struct sl_lsm_rule* rule = number ? bpf_map_lookup_elem(&lsm_rules, number) : NULL;
  if (!scratch || !rule) return 1;
  if (!in_group(scratch, rule->group) && !scratch->program_unreadable) return 0;
  walk->best = *number;
  return 1;
}

static __always_inline __u32 first_member(__u32 index, __u32 first, __u32 count) {
  const __u32 zero = unknown_zero;
  if (!count) return SL_NO_RULE;
  struct list_walk walk = {.scratch = index, .at = first + zero, .end = first + count, .best = SL_NO_RULE - zero};
  bpf_loop(SL_LIST_MAX, walk_members, &walk, 0);
  return walk.best;
}

static __always_inline void decide(struct lsm_scratch* scratch, __u32 verdict, __u32 reason, __u32 rule) {
  scratch->verdict = verdict;
  scratch->reason = reason;
  scratch->rule = rule;
}

/* Presets that the operation is about. Returns the rule that blocks; SL_NO_RULE: none. */
static __always_inline __u32 apply_presets(struct lsm_scratch* scratch, const struct sl_lsm_profile* profile) {
  __u32 blocks = SL_NO_RULE, audits = scratch->audits;
  for (int preset = 0; preset < SL_LSM_PRESET_COUNT; preset++) {
    if (!(scratch->presets >> preset & 1)) continue;
    const __u32 block = profile->presets[preset].block - 1, audit = profile->presets[preset].audit - 1;
    if (block < blocks) blocks = block; /* no rule: 0 - 1 is SL_NO_RULE */
    if (audit < audits) audits = audit;
  }
  scratch->audits = audits;
  return blocks;
}

/* What the scratch's `decides` and `audits` come to. */
__noinline int conclude(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  if (!profile) return 0;
  decide(scratch, SL_LSM_PASS, 0, SL_NO_RULE);
  const __u32 preset = apply_presets(scratch, profile);
  if (preset != SL_NO_RULE) {
    decide(scratch, SL_LSM_BLOCK, SL_LSM_BY_RULE, preset);
    return 0;
  }
  const __u32 section = scratch->section, decides = scratch->decides;
  __u32 closes = SL_NO_RULE;
  bool posture_blocks = false;
  if (section < SL_LSM_SECTION_COUNT) {
    const struct sl_lsm_rules_of* of = &profile->sections[section];
    posture_blocks = of->flags & SL_LSM_POSTURE_BLOCKS;
    if (decides == SL_NO_RULE) closes = first_member(index, of->closes, of->closes_count);
    if (scratch->unreadable) {
      const __u32 blocks = first_member(index, of->blocks, of->blocks_count);
      if (blocks != SL_NO_RULE) {
        decide(scratch, SL_LSM_BLOCK, SL_LSM_UNREADABLE, blocks);
        return 0;
      }
    }
  }
  const struct sl_lsm_rule* rule = bpf_map_lookup_elem(&lsm_rules, &decides);
  if (decides != SL_NO_RULE && rule && rule->action == SL_LSM_ACTION_BLOCK)
    decide(scratch, SL_LSM_BLOCK, SL_LSM_BY_RULE, decides);
  else if (closes != SL_NO_RULE && posture_blocks)
    decide(scratch, SL_LSM_BLOCK, SL_LSM_BY_POSTURE, closes);
  else if (scratch->audits != SL_NO_RULE)
    decide(scratch, SL_LSM_AUDIT, SL_LSM_BY_RULE, scratch->audits);
  else if (closes != SL_NO_RULE)
    decide(scratch, SL_LSM_AUDIT, SL_LSM_BY_POSTURE, closes);
  return 0;
}

/* An operation that is about the path in the scratch. */
__noinline int judge_path(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  const __u32 section = scratch->section;
  scratch->decides = scratch->audits = SL_NO_RULE;
  if (!profile || section >= SL_LSM_SECTION_COUNT) return 0;
  const struct sl_lsm_rules_of of = profile->sections[section];
  if (!scratch->unreadable && !scratch->no_path) {
    walk_path(index, LSM_PATH, section, of.flags, SL_LSM_KIND_PATH);
    if (of.flags & SL_LSM_HAS_NAMES) look_up_name(index);
    run_automata(index, of.automata, of.automata_count);
  }
  return conclude(index);
}

static __always_inline void judge_number(__u32 index, struct lsm_scratch* scratch, __u64 number) {
  const struct lsm_query query = {.hash = number, .section = scratch->section, .kind = SL_LSM_KIND_NUMBER};
  visit(index, scratch->profile, &query);
}

struct number_walk {
  __u32 scratch;
  __u32 numbers; /* a bit each */
  __u32 at;
};

static long walk_number(__u32 ignored, void* context) {
  struct number_walk* walk = context;
  const __u32 at = walk->at;
  struct lsm_scratch* scratch = scratch_at(walk->scratch);
  if (!scratch || at >= 32) return 1;
  walk->at = at + 1;
  if (walk->numbers >> at & 1) judge_number(walk->scratch, scratch, at);
  return 0;
}

/* An operation that is about each of the numbers, which are bits. About none: no rule is about it. */
__noinline int judge_numbers(__u32 index, __u32 numbers) {
  struct lsm_scratch* scratch = scratch_at(index);
  const __u32 zero = unknown_zero;
  if (!scratch) return 0;
  decide(scratch, SL_LSM_PASS, 0, SL_NO_RULE);
  if (!numbers) return 0;
  scratch->decides = scratch->audits = SL_NO_RULE;
  struct number_walk walk = {.scratch = index, .numbers = numbers, .at = zero};
  bpf_loop(32, walk_number, &walk, 0);
  return conclude(index);
}

/* An operation that is about one number. */
__noinline int judge_one_number(__u32 index, __u32 number) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  scratch->decides = scratch->audits = SL_NO_RULE;
  judge_number(index, scratch, number);
  return conclude(index);
}

/* An operation that only presets are about. */
__noinline int judge_presets(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  scratch->decides = scratch->audits = SL_NO_RULE;
  return conclude(index);
}

#endif
