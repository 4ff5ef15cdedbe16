/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Runs the tests of a hook's selectors. policy/tracing/evaluate.h has the same in C++, which tests hold against this.
 */
#ifndef SLUICE_MATCH_BPF_H
#define SLUICE_MATCH_BPF_H

#include "bpf/hooks/argument.bpf.h"

#define SL_TESTS_OF_HOOK_MAX 65536 /* sl_hook.test_count */
#define SL_TEXT_WORDS_MAX (SL_HOOK_TEXT_MAX / SL_WORD + 1)
#define SL_BYTES(byte) ((byte)*0x0101010101010101ull)

/* ASCII letters of a word in lower case. */
static __always_inline __u64 lower_case(__u64 word) {
  const __u64 low = word & SL_BYTES(0x7full);
  const __u64 from_a = low + SL_BYTES(0x80ull - 'A'), past_z = low + SL_BYTES(0x7full - 'Z');
  return word | ((from_a ^ past_z) & ~word & SL_BYTES(0x80ull)) >> 2;
}

/* The first `bytes` bytes of a word, of which there are at least one. */
static __always_inline __u64 first_bytes(__u64 word, __u32 bytes) {
  return bytes >= SL_WORD ? word : word & (~0ull >> (64 - 8 * bytes));
}

struct text_search {
  __u32 scratch;
  __u32 text;  /* offset in the scratch's data */
  __u32 value; /* in hook_words */
  __u32 left;  /* bytes to compare */
  __u32 differs;
  __u32 any_case;
};

/* Whether the text at `at` in the data begins with another word than the one at `value` in hook_words. */
static __always_inline bool begins_otherwise(struct hook_scratch* scratch, __u32 at, __u32 value, __u32 left,
                                             bool any_case) {
  const __u64* word = hook_words_at(value);
  barrier_var(at);
  if (!word || at > sizeof(scratch->data) - SL_WORD) return true;
  __u64 text = *(__u64*)&scratch->data[at];
  if (any_case) text = lower_case(text);
  return first_bytes(text, left) != *word;
}

static __always_inline bool word_differs(const struct text_search* search, struct hook_scratch* scratch) {
  return begins_otherwise(scratch, search->text, search->value, search->left, search->any_case);
}

static long compare_word(__u32 ignored, void* context) {
  struct text_search* search = context;
  struct hook_scratch* scratch = scratch_at(search->scratch);
  if (!scratch || word_differs(search, scratch)) {
    search->differs = 1;
    return 1;
  }
  if (search->left <= SL_WORD) return 1;
  search->left -= SL_WORD;
  search->text += SL_WORD;
  search->value++;
  return 0;
}

struct part_search {
  struct text_search at; /* the place that is compared */
  __u32 found;
};

static long compare_part(__u32 ignored, void* context) {
  struct part_search* search = context;
  struct hook_scratch* scratch = scratch_at(search->at.scratch);
  if (!scratch) return 1;
  if (!word_differs(&search->at, scratch)) {
    struct text_search rest = search->at;
    rest.differs = unknown_zero;
    bpf_loop(SL_TEXT_WORDS_MAX, compare_word, &rest, 0);
    if (!rest.differs) {
      search->found = 1;
      return 1;
    }
  }
  search->at.text++;
  return 0;
}

static __always_inline struct hook_text text_of(struct hook_scratch* scratch, const struct sl_hook_test* test) {
  struct hook_text none = {};
  if (test->field == SL_HOOK_FIELD_PROCESS_BINARY) return scratch->binary;
  if (test->field == SL_HOOK_FIELD_PARENT_BINARY) return scratch->parent_binary;
  const struct sl_hook_value* value = value_at(scratch, test->argument);
  if (!value || !(value->flags & SL_HOOK_VALUE_READ)) return none;
  return (struct hook_text){.offset = value->offset, .length = value->length};
}

/* Whether the text and the value of the test are equal, or one begins or ends with or contains the other. */
__noinline int text_holds(__u32 index, const struct sl_hook_test* test) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !test) return 0;
  const struct hook_text text = text_of(scratch, test);
  const __u32 length = test->last, kind = test->kind;
  const bool anywhere = kind == SL_HOOK_TEST_CONTAINS || kind == SL_HOOK_TEST_CONTAINS_ANY_CASE;
  if (!text.length || !length || length > text.length) return !text.length && !length;
  if (kind == SL_HOOK_TEST_EQUAL && length != text.length) return 0;
  const __u32 from = text.offset + (kind == SL_HOOK_TEST_POSTFIX ? text.length - length : 0);
  if (!anywhere && begins_otherwise(scratch, from, test->first, length, false)) return 0; /* as most texts do */
  struct part_search search = {
      .at = {.scratch = index, .text = from, .value = test->first, .left = length, .differs = unknown_zero},
      .found = unknown_zero};
  if (anywhere) {
    search.at.any_case = kind == SL_HOOK_TEST_CONTAINS_ANY_CASE;
    bpf_loop(text.length - length + 1, compare_part, &search, 0);
    return search.found;
  }
  bpf_loop(SL_TEXT_WORDS_MAX, compare_word, &search.at, 0);
  return !search.at.differs;
}

static __always_inline const struct sl_hook_socket* socket_of(struct hook_scratch* scratch,
                                                              const struct sl_hook_value* value) {
  __u32 at = value->offset;
  barrier_var(at);
  if (!(value->flags & SL_HOOK_VALUE_READ) || value->length != sizeof(struct sl_hook_socket) || at > SL_HOOK_DATA_MAX)
    return NULL;
  return (const struct sl_hook_socket*)&scratch->data[at];
}

/* The number that a test looks at. Returns whether there is one. */
static __always_inline bool number_for(struct hook_scratch* scratch, const struct sl_hook_test* test, __u64* number) {
  if (test->field >= SL_HOOK_FIELD_PID && test->field <= SL_HOOK_FIELD_CAPABILITIES_PERMITTED) {
    *number = task_number(test->field);
    return in_task();
  }
  if (test->argument == SL_HOOK_ARGUMENTS) {
    *number = scratch->event.return_value;
    return scratch->at_return;
  }
  const struct sl_hook_value* value = value_at(scratch, test->argument);
  if (!value || !(value->flags & SL_HOOK_VALUE_READ)) return false;
  *number = value->number;
  if (test->field == SL_HOOK_FIELD_VALUE) return true;
  if (test->field == SL_HOOK_FIELD_FILE_TYPE) {
    *number &= 0170000;
    return true;
  }
  const struct sl_hook_socket* socket = socket_of(scratch, value);
  if (!socket) {
    *number &= 0xffff;
    return test->field == SL_HOOK_FIELD_FAMILY; /* of a Unix address */
  }
  switch (test->field) {
    case SL_HOOK_FIELD_SOURCE_PORT:
      *number = socket->source_port;
      return true;
    case SL_HOOK_FIELD_DESTINATION_PORT:
      *number = socket->destination_port;
      return true;
    case SL_HOOK_FIELD_PROTOCOL:
      *number = socket->protocol;
      return true;
    case SL_HOOK_FIELD_FAMILY:
      *number = socket->family;
      return true;
    case SL_HOOK_FIELD_STATE:
      *number = socket->state;
      return true;
  }
  return false;
}

static __always_inline bool address_holds(struct hook_scratch* scratch, const struct sl_hook_test* test) {
  const struct sl_hook_value* value = value_at(scratch, test->argument);
  const struct sl_hook_socket* socket = value ? socket_of(scratch, value) : NULL;
  if (!socket || (socket->family != SL_AF_INET && socket->family != SL_AF_INET6)) return false;
  const __u64* words =
      (const __u64*)(test->field == SL_HOOK_FIELD_DESTINATION ? &socket->destination : &socket->source);
  const __u32 bits = test->detail;
  const __u64 high = bpf_be64_to_cpu(words[0] ^ test->first), low = bpf_be64_to_cpu(words[1] ^ test->last);
  if (bits == 0) return true;
  if (bits <= 64) return high >> (64 - bits) == 0;
  return high == 0 && (bits >= 128 ? low : low >> (128 - bits)) == 0;
}

#define SL_SCOPE_OF_ALL 0 /* every subject is in it: kEverything of kernel/hooks/subjects.h */

/* Whether the current task's subject is in the scope. */
static __always_inline bool in_scope(struct hook_scratch* scratch, __u32 index, __u32 scope) {
  find_subject(index);
  const __u32 number = scratch->subject;
  const struct sl_hook_subject* subject = hook_subjects_at(number);
  return subject && subject->scopes[scope / 64 % (SL_HOOK_SCOPES / 64)] >> (scope % 64) & 1;
}

/* Tests on numbers, addresses and the process. */
__noinline int number_holds(__u32 index, const struct sl_hook_test* test) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !test) return 0;
  if (test->kind == SL_HOOK_TEST_ADDRESS) return address_holds(scratch, test);
  if (test->kind == SL_HOOK_TEST_SCOPE) return in_scope(scratch, index, test->first);
  if (test->kind == SL_HOOK_TEST_FORKED_FROM)
    return in_task() && forked_from(test->first, test->field == SL_HOOK_FIELD_NAMESPACED_PID);
  if (test->kind == SL_HOOK_TEST_MARKED) return in_task() && is_marked(test->first);
  if (test->kind == SL_HOOK_TEST_CHANGED_NAMESPACE) return in_task() && has_changed(test->field, ~0ull);
  if (test->kind == SL_HOOK_TEST_CHANGED_CAPABILITY) return in_task() && has_changed(test->field, test->first);
  __u64 number = 0;
  if (!number_for(scratch, test, &number)) return 0;
  switch (test->kind) {
    case SL_HOOK_TEST_RANGE:
      return test->first <= number && number <= test->last;
    case SL_HOOK_TEST_SIGNED_RANGE:
      return (__s64)test->first <= (__s64)number && (__s64)number <= (__s64)test->last;
    case SL_HOOK_TEST_MASK:
      return (number & test->first) != 0;
    case SL_HOOK_TEST_IN_SET: {
      const struct sl_hook_set_key key = {.number = number, .set = test->first};
      void* const sets = hook_sets_if_made();
      return sets && bpf_map_lookup_elem(sets, &key) != NULL;
    }
    case SL_HOOK_TEST_GAINED: {
      const struct sl_hook_value* other = value_at(scratch, test->detail);
      return other && other->flags & SL_HOOK_VALUE_READ && (number & ~other->number) != 0;
    }
  }
  return 0;
}

static __always_inline bool test_holds(__u32 index, const struct sl_hook_test* test) {
  const __u8 kind = test->kind;
  if (kind == SL_HOOK_TEST_ALWAYS) return true;
  return kind >= SL_HOOK_TEST_EQUAL && kind <= SL_HOOK_TEST_CONTAINS_ANY_CASE ? text_holds(index, test)
                                                                              : number_holds(index, test);
}

struct hook_match {
  __u32 scratch;
  __u32 tests; /* of the hook, in hook_tests */
  __u32 position;
  __u32 end;
  __u32 selector; /* the number of the one that matches, plus 1 */
  __u32 only;     /* likewise: no other one is of interest; 0: all are */
};

static long run_test(__u32 ignored, void* context) {
  struct hook_match* match = context;
  const __u32 position = match->position, at = match->tests + position;
  const struct sl_hook_test* test = hook_tests_at(at);
  if (!test || position >= match->end) return 1;
  const __u32 next_selector = test->selector_last + 1, next_filter = test->filter_last + 1;
  const bool negated = test->flags & SL_HOOK_TEST_NEGATED;
  if (match->only && test->selector + 1 != match->only) {
    match->position = next_selector;
    return 0;
  }
  const bool hit = test_holds(match->scratch, test);
  if (hit == negated && (hit || position == test->filter_last)) { /* the filter does not hold */
    match->position = next_selector;
    return 0;
  }
  if (!hit && position != test->filter_last) { /* perhaps the filter's next value */
    match->position = position + 1;
    return 0;
  }
  match->position = next_filter; /* the filter holds */
  if (next_filter != next_selector) return 0;
  match->selector = test->selector + 1;
  return 1;
}

/* The hook's first selector whose tests in [begin, end) hold, plus 1; 0: none. `only`: see hook_match. */
static __always_inline __u32 find_selector(__u32 index, const struct sl_hook* hook, __u32 begin, __u32 end,
                                           __u32 only) {
  const __u32 zero = unknown_zero;
  if (begin + 1 == end && !only) { /* as in most hooks */
    const __u32 at = hook->tests + begin;
    const struct sl_hook_test* test = hook_tests_at(at);
    if (!test) return 0;
    const bool negated = test->flags & SL_HOOK_TEST_NEGATED;
    return test_holds(index, test) != negated ? test->selector + 1 : 0;
  }
  struct hook_match match = {
      .scratch = index, .tests = hook->tests, .position = begin + zero, .end = end, .selector = zero, .only = only};
  bpf_loop(SL_TESTS_OF_HOOK_MAX, run_test, &match, 0);
  return match.selector;
}

#endif
