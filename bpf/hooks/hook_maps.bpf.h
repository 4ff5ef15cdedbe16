/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps of hook policies (bpf/abi/hook.h), and the loader's settings. Not shared with another agent's programs. */
#ifndef SLUICE_HOOK_MAPS_BPF_H
#define SLUICE_HOOK_MAPS_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/hook.h"
#include "bpf/abi/hook_index.h"
#include "bpf/lib/path.bpf.h"
#include "bpf/lib/process_maps.bpf.h"
#include "bpf/lib/quarantine_maps.bpf.h"
#include "bpf/lib/subject.bpf.h"

/*
 * An array whose memory comes in pages of 1 << bits elements, which the agent makes when it needs them
 * (kernel/bpf/map_pages.h): most nodes have few policies. `map_name`_at is NULL where there is no page.
 */
#define SL_HOOK_PAGES(map_name, value_type, size, bits)               \
  struct map_name##_page {                                            \
    __uint(type, BPF_MAP_TYPE_ARRAY);                                 \
    __uint(max_entries, 1 << (bits));                                 \
    __uint(key_size, sizeof(__u32));                                  \
    __uint(value_size, sizeof(value_type));                           \
  };                                                                  \
  struct {                                                            \
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                         \
    __uint(max_entries, (size) >> (bits));                            \
    __type(key, __u32);                                               \
    __array(values, struct map_name##_page);                          \
  } map_name SEC(".maps");                                            \
  static __always_inline value_type* map_name##_at(__u32 at) {        \
    const __u32 page = at >> (bits), row = at & ((1u << (bits)) - 1); \
    void* rows = bpf_map_lookup_elem(&map_name, &page);               \
    return rows ? bpf_map_lookup_elem(rows, &row) : NULL;             \
  }

/* A map that the agent makes when the first policy needs it; `map_name`_if_made is NULL until then. */
#define SL_HOOK_LATER(map_name, map_type, flags, size, key_type, value_type) \
  struct map_name##_page {                                                   \
    __uint(type, map_type);                                                  \
    __uint(map_flags, flags);                                                \
    __uint(max_entries, size);                                               \
    __uint(key_size, sizeof(key_type));                                      \
    __uint(value_size, sizeof(value_type));                                  \
  };                                                                         \
  struct {                                                                   \
    __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);                                \
    __uint(max_entries, 1);                                                  \
    __type(key, __u32);                                                      \
    __array(values, struct map_name##_page);                                 \
  } map_name SEC(".maps");                                                   \
  static __always_inline void* map_name##_if_made(void) {                    \
    const __u32 zero = 0;                                                    \
    return bpf_map_lookup_elem(&map_name, &zero);                            \
  }

/* Writer of these: agent. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, SL_HOOK_POINTS);
  __type(key, __u32);
  __type(value, struct sl_hook_point);
} hook_points SEC(".maps");

SL_HOOK_ARRAY(hook_list, __u32, SL_HOOK_LIST);
SL_HOOK_ARRAY(hook_columns, struct sl_hook_column, SL_HOOK_COLUMNS);
SL_HOOK_PAGES(hook_slots, struct sl_hook_slot, SL_HOOK_SLOTS, 10)
SL_HOOK_ARRAY(hook_syscalls, struct sl_hook_syscall, SL_HOOK_SYSCALLS);
SL_HOOK_PAGES(hooks, struct sl_hook, SL_HOOKS, 6)
SL_HOOK_PAGES(hook_tests, struct sl_hook_test, SL_HOOK_TESTS, 10)
SL_HOOK_PAGES(hook_words, __u64, SL_HOOK_WORDS, 11)
SL_HOOK_PAGES(hook_selectors, struct sl_hook_selector, SL_HOOK_SELECTORS, 7)
SL_HOOK_ARRAY(hook_policies, struct sl_hook_policy, SL_HOOK_POLICIES);
SL_HOOK_PAGES(hook_subjects, struct sl_hook_subject, SL_HOOK_SUBJECTS, 7)

/* Of policies with long lists of numbers. */
SL_HOOK_LATER(hook_sets, BPF_MAP_TYPE_HASH, BPF_F_NO_PREALLOC, SL_HOOK_SET_ENTRIES, struct sl_hook_set_key, __u8)

/* Writer: programs add to the counts; the agent clears those of a place that it uses again. */
SL_HOOK_PAGES(hook_counts, struct sl_hook_counts, SL_HOOK_SELECTORS, 7)

#define SL_HOOK_HELD_MAX 4096

/* A call that a selector wanted, until it returns. */
struct hook_call {
  __u64 call;
  __u64 registers[6];
  __u32 selector;
  __u32 posts; /* 1: an event was sent or is held */
};

/* Writer: programs, of policies that want returns. Full: the least recently used call has no return event; counted by
 * the agent, which joins them. */
SL_HOOK_LATER(hook_calls, BPF_MAP_TYPE_LRU_HASH, 0, 8192, struct sl_hook_call_key, struct hook_call)

/* The event of a call whose return decides. */
struct hook_held {
  struct sl_hook_event event;
  __u8 data[SL_HOOK_HELD_MAX];
};

/* Writer: programs. Full: the call's event is lost, and counted. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 4096);
  __type(key, struct sl_hook_call_key);
  __type(value, struct hook_held);
} hook_held_events SEC(".maps");

/* What NOTIFY_ENFORCER of a policy left for a thread, until ENFORCE takes it. */
struct hook_notice {
  __u32 life; /* of the policy; 0: the place is free */
  __u32 policy;
  __s32 error;
  __u32 signal;
};

#define SL_HOOK_NOTICES 8 /* policies that may have left something for a thread at a time */

struct hook_thread_notices {
  struct hook_notice of[SL_HOOK_NOTICES];
};

/* Writer: programs, each for its own thread, so that no thread can take another one's place. Full, or no memory: the
 * thread gets the signal at once. */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct hook_thread_notices);
} hook_notices SEC(".maps");

/* Writer: programs, while a hook needs it; marks of processes that run already, the agent. */
struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sl_hook_exec_facts);
} hook_exec_facts SEC(".maps");

struct hook_rate_key {
  __u64 arguments; /* hash */
  __u32 selector;
  __u32 life;
  __u32 task; /* thread, process, or 0 */
  __u32 pad;
};

/* Writer: programs, of policies with rate limits. When the last event was sent. Full: a forgotten one is sent again. */
SL_HOOK_LATER(hook_rates, BPF_MAP_TYPE_LRU_HASH, 0, 8192, struct hook_rate_key, __u64)

/* Writer: programs, each subject within its share. Full: the event is lost and counted; the actions are taken. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 4 << 20);
} hook_events SEC(".maps");

struct hook_stack {
  __u64 addresses[SL_HOOK_STACK_DEPTH];
};

/* Writer: programs, of policies that want stacks. Another stack may take an entry before the agent has read it. */
SL_HOOK_LATER(hook_stacks, BPF_MAP_TYPE_STACK_TRACE, 0, 1024, __u32, struct hook_stack)

/* Who used a socket, for events in which the current process is another one. */
struct hook_socket_owner {
  sl_process_id process;
  __u64 birth_ns;
  __u64 cgroup;
  __u64 identity; /* of the socket, as another one may have its address later: see socket_owner.bpf.h */
  __u32 pid;
  __u32 tid;
  __u32 subject;
  __u32 pad;
};

/* Writer: programs, by TrackSock and UntrackSock. Key: the socket's address. Full: the least recently used is
 * forgotten, which costs only its name in events. */
SL_HOOK_LATER(hook_socket_owners, BPF_MAP_TYPE_LRU_HASH, 0, 16384, __u64, struct hook_socket_owner)

#define SL_HOOK_DATA_MAX 24576u /* what is appended begins at most here */
#define SL_HOOK_TEXT_ROOM (SL_HOOK_TEXT_MAX + 64u)
#define SL_HOOK_BINARY_AT (SL_HOOK_DATA_MAX + SL_HOOK_TEXT_ROOM)
#define SL_HOOK_PARENT_AT (SL_HOOK_BINARY_AT + SL_HOOK_TEXT_ROOM)

struct hook_text {
  __u32 offset; /* in the scratch's data */
  __u32 length;
};

struct hook_scratch {
  __u64 busy;
  __u64 registers[6];                 /* the arguments of the function */
  __u64 caller[SL_HOOK_CALLER_WORDS]; /* of a static probe: struct pt_regs */
  __u64 record;                       /* address of the tracepoint's record */
  __u64 return_value;
  __u32 point;
  __u32 hook;     /* the one that runs now */
  __u32 subject;  /* of the current task, after find_subject */
  __u32 endpoint; /* of the subject */
  __u32 at_return;
  __u32 described; /* the event has the facts of the process */
  __u32 length;    /* of the data */
  __u32 monitor;
  __s32 kernel_stack, user_stack; /* of this run, in hook_stacks; below 0: none */
  __s32 error;                    /* what the function shall return instead of running; 0: it runs */
  __u32 read_count;               /* of the arguments that were read last: how, and where their data begins */
  struct sl_hook_argument read_as[SL_HOOK_ARGUMENTS];
  __u32 begins[SL_HOOK_ARGUMENTS];
  struct hook_text binary, parent_binary;
  struct sl_hook_event event;
  __u8 data[SL_HOOK_PARENT_AT + SL_HOOK_TEXT_ROOM];
  struct sl_path_scratch text; /* last, as most calls do not need it */
};

#define SL_HOOK_LEVELS 3 /* programs that interrupt each other on one CPU */

/* SL_HOOK_LEVELS for each CPU. */
SL_HOOK_ARRAY(hook_scratches, struct hook_scratch, SL_HOOK_LEVELS);

static __always_inline struct hook_scratch* scratch_at(__u32 index) {
  return bpf_map_lookup_elem(&hook_scratches, &index);
}

static __always_inline struct sl_path_scratch* path_scratch(const __u32* index) {
  struct hook_scratch* scratch = bpf_map_lookup_elem(&hook_scratches, index);
  return scratch ? &scratch->text : NULL;
}

const volatile __u64 ring_half = 2 << 20;  /* bytes in the ring from which on shares apply */
const volatile __u64 wake_bytes = 1 << 20; /* bytes in the ring that wake the reader, which otherwise polls */

/* A map, as a variable would be another one in each object that is loaded. */
SL_HOOK_ARRAY(hook_progress, struct sl_hook_progress, 1);

static __always_inline struct sl_hook_progress* progress(void) {
  const __u32 zero = 0;
  return bpf_map_lookup_elem(&hook_progress, &zero);
}

#endif
