/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Finds the targets of a profile that are about a text or a number, and the rules of them that apply.
 * policy/lsm/evaluate_tables.cc has the same in C++. */
#ifndef SLUICE_LSM_FIND_BPF_H
#define SLUICE_LSM_FIND_BPF_H

#include "bpf/lib/lsm_key.h"
#include "bpf/lsm/lsm_maps.bpf.h"

#define SL_WORD 8u
#define SL_TEXT_WORDS_MAX (SL_LSM_TEXT_MAX / SL_WORD + 1)
#define SL_LIST_MAX (SL_LSM_NUMBERS)

/* The first `bytes` bytes of a word, of which there are at least one. */
static __always_inline __u64 first_bytes(__u64 word, __u32 bytes) {
  return bytes >= SL_WORD ? word : word & (~0ull >> (64 - 8 * bytes));
}

struct text_compare {
  __u32 text; /* text_number */
  __u32 at;   /* in its buffer */
  __u32 word; /* in lsm_words */
  __u32 left; /* bytes */
  __u32 differs;
};

static long compare_word(__u32 ignored, void* context) {
  struct text_compare* compare = context;
  struct sl_path_scratch* buffer = path_scratch(&compare->text);
  const __u32 word = compare->word;
  const __u64* wanted = bpf_map_lookup_elem(&lsm_words, &word);
  __u32 at = compare->at;
  barrier_var(at);
  if (!buffer || !wanted || at > sizeof(buffer->path) - SL_WORD ||
      first_bytes(*(__u64*)&buffer->path[at], compare->left) != *wanted) {
    compare->differs = 1;
    return 1;
  }
  if (compare->left <= SL_WORD) return 1;
  compare->left -= SL_WORD;
  compare->at += SL_WORD;
  compare->word++;
  return 0;
}

static __always_inline bool has_text(const struct sl_lsm_target* target, __u32 text, __u32 at, __u32 length) {
  const __u32 zero = unknown_zero;
  if (target->text_length != length) return false;
  if (!length) return true;
  struct text_compare compare = {.text = text, .at = at, .word = target->text, .left = length, .differs = zero};
  bpf_loop(SL_TEXT_WORDS_MAX, compare_word, &compare, 0);
  return !compare.differs;
}

/* A text of a scratch, and its hash. Of NUMBER: `hash` is the number. */
struct lsm_query {
  __u64 hash;
  __u32 text; /* text_number */
  __u32 at;   /* in its buffer */
  __u32 length;
  __u32 section;
  __u32 kind;
};

/* The target that is about the text or the number: its place in lsm_targets, plus 1; 0: none. */
__noinline __u32 find_target(__u32 profile_number, const struct lsm_query* query) {
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &profile_number);
  if (!profile || !query) return 0;
  const __u32 kind = query->kind, section = query->section;
  const bool is_number = kind == SL_LSM_KIND_NUMBER;
  const __u64 key = sl_lsm_key(is_number ? profile->seed ^ query->hash : query->hash, section, kind);
  for (__u32 probe = 0; probe < SL_LSM_PROBES; probe++) {
    const __u32 at = profile->cells + (((__u32)key + probe) & profile->cell_mask);
    const struct sl_lsm_cell* cell = bpf_map_lookup_elem(&lsm_cells, &at);
    if (!cell || !cell->target) return 0;
    if (cell->key != key) continue;
    const __u32 found = cell->target, number = found - 1;
    const struct sl_lsm_target* target = bpf_map_lookup_elem(&lsm_targets, &number);
    if (!target || target->section != section || target->kind != kind) continue;
    if (is_number ? target->number == query->hash : has_text(target, query->text, query->at, query->length))
      return found;
  }
  return 0;
}

static __always_inline bool in_group(const struct lsm_scratch* scratch, __u32 group) {
  return scratch->groups[group / 64 % SL_GROUP_WORDS] >> (group % 64) & 1;
}

static __always_inline bool keeps_conditions(const struct lsm_scratch* scratch, const struct sl_lsm_rule* rule) {
  const __u8 conditions = rule->conditions;
  if (conditions & SL_LSM_OWNER_ONLY && scratch->owner != scratch->uid) return false;
  if (conditions & SL_LSM_READ_ONLY && scratch->writes) return false;
  if (conditions & SL_LSM_TERMINAL && !scratch->terminal) return false;
  if (conditions & SL_LSM_NO_TERMINAL && scratch->terminal) return false;
  if (conditions & SL_LSM_ARGUMENTS && !(scratch->argument_sets >> (rule->argument_set & 63) & 1)) return false;
  return true;
}

static __always_inline bool is_for_call(const struct sl_lsm_rule* rule, __u32 call) {
  const __u32 at = rule->calls + call / 64;
  const __u64* calls = bpf_map_lookup_elem(&lsm_words, &at);
  return calls && *calls >> (call % 64) & 1;
}

/* Whether a rule that is about the operation says something about it. */
static __always_inline bool applies(const struct lsm_scratch* scratch, const struct sl_lsm_rule* rule) {
  const bool blocks = rule->action == SL_LSM_ACTION_BLOCK;
  /* A program that cannot be named could be any that a Block rule is for, and is none that an Allow rule is for. */
  if (!in_group(scratch, rule->group) && !(scratch->program_unreadable && blocks)) return false;
  if (scratch->section == SL_LSM_SYSCALL_PATHS && !is_for_call(rule, scratch->call)) return false;
  const bool kept = keeps_conditions(scratch, rule);
  return blocks ? !kept || !rule->conditions : kept;
}

struct list_walk {
  __u32 scratch;
  __u32 at; /* in lsm_numbers */
  __u32 end;
  __u32 best; /* the first rule that applies */
};

static long walk_rules(__u32 ignored, void* context) {
  struct list_walk* walk = context;
  const __u32 at = walk->at;
  if (at >= walk->end) return 1;
  walk->at = at + 1;
  struct lsm_scratch* scratch = scratch_at(walk->scratch);
  const __u32* number = bpf_map_lookup_elem(&lsm_numbers, &at);
  if (!scratch || !number || *number >= walk->best) return 1;
  const struct sl_lsm_rule* rule = bpf_map_lookup_elem(&lsm_rules, number);
  if (!rule) return 1;
  if (!applies(scratch, rule)) return 0;
  walk->best = *number;
  return 1;
}

static __always_inline __u32 first_that_applies(__u32 index, __u32 first, __u32 count, __u32 best) {
  const __u32 zero = unknown_zero;
  if (!count) return best;
  struct list_walk walk = {.scratch = index, .at = first + zero, .end = first + count, .best = best};
  bpf_loop(SL_LIST_MAX, walk_rules, &walk, 0);
  return walk.best;
}

static long walk_groups(__u32 ignored, void* context) {
  struct list_walk* walk = context;
  const __u32 at = walk->at;
  if (at >= walk->end) return 1;
  walk->at = at + 1;
  struct lsm_scratch* scratch = scratch_at(walk->scratch);
  const __u32* group = bpf_map_lookup_elem(&lsm_numbers, &at);
  if (!scratch || !group) return 1;
  scratch->groups[*group / 64 % SL_GROUP_WORDS] |= 1ull << (*group % 64);
  return 0;
}

/* Notes what a target says: rules that apply, or the groups of a program. */
__noinline int take_target(__u32 index, __u32 number) {
  struct lsm_scratch* scratch = scratch_at(index);
  const struct sl_lsm_target* target = bpf_map_lookup_elem(&lsm_targets, &number);
  if (!scratch || !target) return 0;
  if (target->section == SL_LSM_NO_SECTION) {
    const __u32 zero = unknown_zero;
    struct list_walk walk = {
        .scratch = index, .at = target->decides + zero, .end = target->decides + target->decides_count};
    bpf_loop(SL_LSM_GROUPS, walk_groups, &walk, 0);
    return 0;
  }
  scratch->decides = first_that_applies(index, target->decides, target->decides_count, scratch->decides);
  scratch->audits = first_that_applies(index, target->audits, target->audits_count, scratch->audits);
  return 0;
}

static __always_inline void visit(__u32 index, __u32 profile, const struct lsm_query* query) {
  const __u32 found = find_target(profile, query);
  if (found) take_target(index, found - 1);
}

struct text_walk {
  struct lsm_query query;
  __u32 scratch;
  __u32 profile;
  __u32 flags;
  __u32 kinds;  /* PATH or SOURCE: those for directories follow */
  __u32 length; /* of the text */
  __u32 bare;   /* without the "/" at the end of a directory */
  __u32 parent; /* length of the last directory before the end of `bare` */
  __u64 parent_hash;
};

/* One byte of a path. Paths and directories that it completes are looked up. */
static long walk_byte(__u32 ignored, void* context) {
  struct text_walk* walk = context;
  struct sl_path_scratch* buffer = path_scratch(&walk->query.text);
  const __u32 at = walk->query.length;
  if (!buffer || at >= walk->length) return 1;
  const __u8 byte = buffer->path[(walk->query.at + at) & SL_PATH_END];
  walk->query.hash = sl_lsm_hash_byte(walk->query.hash, byte);
  walk->query.length = at + 1;
  if (at + 1 == walk->bare && walk->flags & SL_LSM_HAS_PATHS) {
    walk->query.kind = walk->kinds;
    visit(walk->scratch, walk->profile, &walk->query);
  }
  if (byte != '/') return 0;
  if (walk->flags & SL_LSM_HAS_RECURSIVE) {
    walk->query.kind = walk->kinds + (SL_LSM_KIND_RECURSIVE - SL_LSM_KIND_PATH);
    visit(walk->scratch, walk->profile, &walk->query);
  }
  if (at < walk->bare) {
    walk->parent = at + 1;
    walk->parent_hash = walk->query.hash;
  }
  return 0;
}

/* What is about a path of the scratch: `kinds` is PATH, or SOURCE for the program. */
__noinline int walk_path(__u32 index, __u32 text, __u32 section, __u32 flags, __u32 kinds) {
  struct lsm_scratch* scratch = scratch_at(index);
  const __u32 zero = unknown_zero;
  if (!scratch || text >= LSM_TEXTS || !(flags & ~(SL_LSM_HAS_RULES | SL_LSM_POSTURE_BLOCKS))) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  const struct lsm_text of = scratch->texts[text & 1];
  if (!profile || !of.length) return 0;
  const char last = scratch->buffers[text & 1].path[(of.begin + of.length - 1) & SL_PATH_END];
  struct text_walk walk = {
      .query = {.hash = profile->seed,
                .text = text_number(index, text),
                .at = of.begin,
                .length = zero,
                .section = section,
                .kind = zero},
      .scratch = index,
      .profile = scratch->profile,
      .flags = flags,
      .kinds = kinds,
      .length = of.length,
      .bare = of.length > 1 && last == '/' ? of.length - 1 : of.length,
      .parent = zero,
      .parent_hash = zero,
  };
  bpf_loop(SL_LSM_TEXT_MAX, walk_byte, &walk, 0);
  if (!(flags & SL_LSM_HAS_DIRECTORIES)) return 0;
  walk.query.kind = kinds + (SL_LSM_KIND_DIRECTORY - SL_LSM_KIND_PATH);
  if (walk.bare != walk.length) visit(index, walk.profile, &walk.query); /* the directory itself */
  walk.query.hash = walk.parent_hash;
  walk.query.length = walk.parent;
  visit(index, walk.profile, &walk.query);
  return 0;
}

static long hash_byte(__u32 ignored, void* context) {
  struct text_walk* walk = context;
  struct sl_path_scratch* buffer = path_scratch(&walk->query.text);
  const __u32 at = walk->query.length;
  if (!buffer || at >= walk->length) return 1;
  walk->query.hash = sl_lsm_hash_byte(walk->query.hash, buffer->path[(walk->query.at + at) & SL_PATH_END]);
  walk->query.length = at + 1;
  return 0;
}

/* The target of a part of a text. */
__noinline __u32 find_part(__u32 index, __u32 text, __u32 at, __u32 length, __u32 section_and_kind) {
  struct lsm_scratch* scratch = scratch_at(index);
  const __u32 zero = unknown_zero;
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  if (!profile) return 0;
  struct text_walk walk = {
      .query = {.hash = profile->seed,
                .text = text_number(index, text),
                .at = at,
                .length = zero,
                .section = section_and_kind >> 8,
                .kind = section_and_kind & 0xff},
      .length = length,
  };
  bpf_loop(SL_LSM_TEXT_MAX, hash_byte, &walk, 0);
  return find_target(scratch->profile, &walk.query);
}

struct name_search {
  __u32 text;
  __u32 begin;
  __u32 at; /* just after the byte that is looked at next */
};

static long find_slash(__u32 ignored, void* context) {
  struct name_search* search = context;
  struct sl_path_scratch* buffer = path_scratch(&search->text);
  if (!buffer || search->at <= search->begin) return 1;
  if (buffer->path[(search->at - 1) & SL_PATH_END] == '/') return 1;
  search->at--;
  return 0;
}

/* Rules with execname. */
__noinline int look_up_name(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  const __u32 zero = unknown_zero;
  if (!scratch) return 0;
  const struct lsm_text of = scratch->texts[LSM_PATH];
  const __u32 end = of.begin + of.length;
  struct name_search search = {.text = text_number(index, LSM_PATH), .begin = of.begin, .at = end + zero};
  bpf_loop(SL_NAME_MAX + 1, find_slash, &search, 0);
  const __u32 found = find_part(index, LSM_PATH, search.at, end - search.at, scratch->section << 8 | SL_LSM_KIND_NAME);
  if (found) take_target(index, found - 1);
  return 0;
}

struct automaton_walk {
  __u32 text;
  __u32 at; /* in the text's buffer */
  __u32 end;
  __u32 classes; /* as in sl_lsm_automaton */
  __u32 transitions;
  __u32 class_count;
  __u32 state;
};

static long walk_automaton(__u32 ignored, void* context) {
  struct automaton_walk* walk = context;
  struct sl_path_scratch* buffer = path_scratch(&walk->text);
  if (!buffer || walk->at >= walk->end) return 1;
  const __u8 byte = buffer->path[walk->at & SL_PATH_END];
  walk->at++;
  const __u32 class_at = walk->classes + byte / 8;
  const __u64* classes = bpf_map_lookup_elem(&lsm_words, &class_at);
  if (!classes) return 1;
  const __u32 step = walk->state * walk->class_count + (*classes >> (byte % 8 * 8) & 0xff);
  const __u32 step_at = walk->transitions + step / 4;
  const __u64* steps = bpf_map_lookup_elem(&lsm_words, &step_at);
  if (!steps) return 1;
  walk->state = *steps >> (step % 4 * 16) & 0xffff;
  return walk->state == 0;
}

/* The target in lsm_targets of the state that the path leads to, plus 1; 0: no pattern matches. */
__noinline __u32 run_automaton(__u32 index, __u32 number) {
  struct lsm_scratch* scratch = scratch_at(index);
  const struct sl_lsm_automaton* automaton = bpf_map_lookup_elem(&lsm_automata, &number);
  const __u32 zero = unknown_zero;
  if (!scratch || !automaton) return 0;
  const struct lsm_text of = scratch->texts[LSM_PATH];
  struct automaton_walk walk = {.text = text_number(index, LSM_PATH),
                                .at = of.begin + zero,
                                .end = of.begin + of.length,
                                .classes = automaton->classes,
                                .transitions = automaton->transitions,
                                .class_count = automaton->class_count,
                                .state = 1 + zero};
  bpf_loop(SL_LSM_TEXT_MAX, walk_automaton, &walk, 0);
  if (!walk.state) return 0;
  const __u32 at = automaton->matches + walk.state / 2;
  const __u64* matches = bpf_map_lookup_elem(&lsm_words, &at);
  const __u32 match = matches ? (__u32)(*matches >> (walk.state % 2 * 32)) : 0;
  return match ? automaton->targets + match : 0;
}

struct automata_run {
  __u32 scratch;
  __u32 at; /* in lsm_automata */
  __u32 end;
};

static long run_one_automaton(__u32 ignored, void* context) {
  struct automata_run* run = context;
  const __u32 at = run->at;
  if (at >= run->end) return 1;
  run->at = at + 1;
  const __u32 found = run_automaton(run->scratch, at);
  if (found) take_target(run->scratch, found - 1);
  return 0;
}

static __always_inline void run_automata(__u32 index, __u32 first, __u32 count) {
  const __u32 zero = unknown_zero;
  if (!count) return;
  struct automata_run run = {.scratch = index, .at = first + zero, .end = first + count};
  bpf_loop(SL_LSM_AUTOMATA, run_one_automaton, &run, 0);
}

#endif
