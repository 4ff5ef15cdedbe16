/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Hook policies: what the programs of bpf/hooks look for, and the records that they send.
 *
 *   hook_points[point] -> hook_list[...] -> hooks[n] -> its tests -> hook_selectors[n]: what to do
 *
 * A point is a place in the kernel that a program is attached to; several policies may have a hook there. A hook's
 * tests are those of its selectors one after the other, and a selector's are those of its filters. A filter has one
 * test for each value. The first selector whose filters all hold decides.
 *
 * The agent writes everything but counts, rates, calls and events. It fills unused places of the arrays first, and puts
 * them in force by one store to `hook_points`; it uses a place again only after a grace period. Numbers are in host
 * byte order unless said, times in ns of CLOCK_BOOTTIME.
 */
#ifndef SLUICE_ABI_HOOK_H
#define SLUICE_ABI_HOOK_H

#include "process.h"
#include "types.h"

#define SL_HOOK_POINTS 1024       /* 0 is unused */
#define SL_HOOK_LIST 8192         /* hooks of all points */
#define SL_HOOKS 4096             /* of all policies */
#define SL_HOOK_SELECTORS 8192    /* of all hooks */
#define SL_HOOK_TESTS 65536       /* of all selectors */
#define SL_HOOK_WORDS 131072      /* 8 bytes each: texts of tests, ways through structures */
#define SL_HOOK_SET_ENTRIES 65536 /* numbers of all lists of numbers */
#define SL_HOOK_SYSCALLS 512      /* numbers of system calls, from 0 */
#define SL_HOOK_POLICIES 1024     /* 0 is unused */
#define SL_HOOK_SCOPES 1024       /* sets of subjects, of policies and of selectors */
#define SL_HOOK_SUBJECTS 8192     /* the host is 0 */

#define SL_HOOK_ARGUMENTS 5    /* of a hook */
#define SL_HOOK_TEXT_MAX 4096u /* bytes of one argument in a record */

/* `hook_points` (ARRAY, memory-mapped): the hooks of a point are hook_list[first, first + count), and its index, see
 * hook_index.h, is hook_columns[columns, columns + column_count). One 8-byte store. */
struct sl_hook_point {
  __u16 first;
  __u16 count;
  __u16 columns;
  __u8 column_count; /* 0: every hook may want a call */
  __u8 stacks;       /* enum sl_hook_stack: those that a selector of the hooks wants */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_point) == 8, "sl_hook_point");

/* `hook_syscalls` (ARRAY of SL_HOOK_SYSCALLS), where system calls are seen by raw tracepoints: the point of the call's
 * entry and of its return; 0: none. */
struct sl_hook_syscall {
  __u32 enter;
  __u32 exit;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_syscall) == 8, "sl_hook_syscall");

/* X(NAME): how an argument is read. What it becomes: a number; a text (bytes, or a path); or a socket's addresses. */
#define SL_HOOK_READS(X)                                                                        \
  X(NOTHING)                                                                                    \
  X(NUMBER)         /* sl_hook_argument.size bytes, with or without a sign */                   \
  X(STRING)         /* pointer -> text up to its NUL */                                         \
  X(BYTES)          /* pointer, and the size in the argument sl_hook_argument.size_index */     \
  X(IOVEC)          /* pointer to struct iovec, their number likewise -> text: the first one */ \
  X(FD)             /* number of an open file of this process -> path */                        \
  X(FILE)           /* struct file -> path; number: its mode */                                 \
  X(PATH)           /* struct path -> path; number: its mode */                                 \
  X(DENTRY)         /* struct dentry -> path in its file system */                              \
  X(BINPRM)         /* struct linux_binprm -> path of its file; number: its mode */             \
  X(FILENAME)       /* struct filename -> text */                                               \
  X(SOCK)           /* struct sock -> socket */                                                 \
  X(SOCKET)         /* struct socket -> socket */                                               \
  X(SKB)            /* struct sk_buff -> socket */                                              \
  X(SOCKADDR)       /* struct sockaddr -> socket: its source address and port */                \
  X(SOCKADDR_UNIX)  /* struct sockaddr_un -> text: its path */                                  \
  X(NET_DEVICE)     /* struct net_device -> text: its name */                                   \
  X(CAPABILITIES)   /* kernel_cap_t -> number */                                                \
  X(CRED)           /* struct cred -> text: struct sl_hook_cred */                              \
  X(USER_NAMESPACE) /* struct user_namespace -> number: its inode */                            \
  X(MODULE)         /* struct module -> text: its name */                                       \
  X(LOAD_INFO)      /* struct load_info -> text: its name */                                    \
  X(BPF_PROGRAM)    /* union bpf_attr -> text: prog_name; number: prog_type */                  \
  X(BPF_MAP)        /* struct bpf_map -> text: its name; number: its type */                    \
  X(PERF_EVENT)     /* struct perf_event -> number: its type */                                 \
  X(DATA_LOC)       /* __data_loc of a tracepoint's record -> text */                           \
  X(KIOCB)          /* struct kiocb -> path of its file; number: its mode */                    \
  X(IOV_ITER)       /* struct iov_iter -> text: what is left of the first buffer */             \
  X(BPF_OBJECT)     /* struct bpf_prog -> text: its name; number: its type */

enum sl_hook_read {
#define SL_X(name) SL_HOOK_READ_##name,
  SL_HOOK_READS(SL_X)
#undef SL_X
      SL_HOOK_READ_COUNT
};

enum sl_hook_argument_flags {
  SL_HOOK_ARGUMENT_USER = 1 << 0,      /* the pointer is the caller's, into its own memory */
  SL_HOOK_ARGUMENT_SIGNED = 1 << 1,    /* a number is sign-extended */
  SL_HOOK_ARGUMENT_AT_RETURN = 1 << 2, /* read when the function returns */
  SL_HOOK_ARGUMENT_OF_TASK = 1 << 3,   /* begins at the current task, not at an argument */
  SL_HOOK_ARGUMENT_OF_RECORD = 1 << 4, /* begins at the tracepoint's record */
  SL_HOOK_ARGUMENT_OF_STEPS = 1 << 5,  /* begins at 0: the steps say it all */
  SL_HOOK_ARGUMENT_SIZE_READ = 1 << 6, /* size_index is the number of an argument of the hook that is read before */
};

#define SL_HOOK_INDEX_RETURN 0xffff /* sl_hook_argument.index: the return value */

/* Two hooks with equal bytes here read the same. */
struct sl_hook_argument {
  __u16 index;     /* of the function's or tracepoint's arguments, from 0 */
  __u8 read;       /* enum sl_hook_read */
  __u8 flags;      /* enum sl_hook_argument_flags */
  __u8 size;       /* of a number: 1, 2, 4 or 8 */
  __u8 size_index; /* BYTES, IOVEC: index of the argument with the size; 0xff: none, bytes_max */
  __u8 pad;
  __u8 step_count; /* of `steps` */
  __u32 steps;     /* in hook_words: the way through structures to the value, see SL_HOOK_STEP */
  __u32 bytes_max; /* BYTES, IOVEC, STRING: at most this many */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_argument) == 16, "sl_hook_argument");

/* A step: adds `offset`, a signed number of 32 bits, and perhaps a register to the address; then, with `load`, reads
 * the pointer there. */
#define SL_HOOK_STEP(offset, load) \
  ((__u64)(__u32)(offset) | ((load) ? SL_HOOK_STEP_BYTES(8) | SL_HOOK_STEP_LOAD : (__u64)0))
#define SL_HOOK_STEP_BYTES(bytes) ((__u64)(bytes) << 32) /* 1, 2, 4 or 8: as many are read or, without load, kept */
#define SL_HOOK_STEP_LOAD ((__u64)1 << 36)
#define SL_HOOK_STEP_USER ((__u64)1 << 37)   /* from the caller's memory */
#define SL_HOOK_STEP_SIGNED ((__u64)1 << 38) /* what is read or kept is sign-extended */
/* Adds the word `number` of the caller's struct pt_regs (arm64: user_pt_regs), shifted to the left by up to 3 bits. */
#define SL_HOOK_STEP_REGISTER(number, shift) ((__u64)((number) + 1) << 48 | (__u64)(shift) << 56)
#define SL_HOOK_CALLER_WORDS 34

enum sl_hook_flags {
  SL_HOOK_RETURNS = 1 << 0,      /* there is a second event, or the only one, at the return of the function */
  SL_HOOK_HOLDS = 1 << 1,        /* the event waits for the return, whose tests decide; with RETURNS */
  SL_HOOK_NEEDS_BINARY = 1 << 2, /* a test looks at the path of the process's program */
  SL_HOOK_NEEDS_EXECS = 1 << 3,  /* a test looks at what the process was after its last exec */
};

/* `hooks` (ARRAY). */
struct sl_hook {
  __u32 policy;       /* in hook_policies */
  __u32 scope;        /* bit of sl_hook_subject.scopes that must be set */
  __u32 life;         /* of the policy: goes into events, as numbers of hooks are used again */
  __u32 selectors;    /* first in hook_selectors; selector n of the hook is n places later */
  __u32 tests;        /* first in hook_tests */
  __u16 test_count;   /* at least 1 */
  __u16 return_tests; /* of them, those at the end, for the return */
  __u8 flags;         /* enum sl_hook_flags */
  __u8 argument_count;
  __u8 pad[6];
  struct sl_hook_argument arguments[SL_HOOK_ARGUMENTS];
  struct sl_hook_argument return_value; /* NOTHING: it is not shown */
};
SL_ABI_ASSERT(sizeof(struct sl_hook) == 128, "sl_hook");

/* X(NAME): what a test compares. */
#define SL_HOOK_TESTS_OF(X)                                                                               \
  X(ALWAYS)             /* holds */                                                                       \
  X(RANGE)              /* number, unsigned: first <= number <= last */                                   \
  X(SIGNED_RANGE)       /* number, signed */                                                              \
  X(MASK)               /* number & first */                                                              \
  X(IN_SET)             /* the number is in set `first` of hook_sets */                                   \
  X(EQUAL)              /* text; `first`: first word of the value, `last`: its length in bytes */         \
  X(PREFIX)             /* likewise */                                                                    \
  X(POSTFIX)            /* likewise */                                                                    \
  X(CONTAINS)           /* likewise */                                                                    \
  X(CONTAINS_ANY_CASE)  /* likewise; the value is in lower case. ASCII letters only */                    \
  X(ADDRESS)            /* the first `detail` bits are those of first and last, in network byte order */  \
  X(GAINED)             /* number & ~(number of the argument `detail`) */                                 \
  X(SCOPE)              /* the subject is in scope `first` */                                             \
  X(FORKED_FROM)        /* this process or a living ancestor has pid `first`; of the field's namespace */ \
  X(CHANGED_NAMESPACE)  /* the namespace `detail` differs from that of the process's last exec */         \
  X(CHANGED_CAPABILITY) /* a capability of mask `first` differs from those of the last exec */            \
  X(MARKED)             /* MARK `first` was put on the process, or on one that it was forked from */

enum sl_hook_test_kind {
#define SL_X(name) SL_HOOK_TEST_##name,
  SL_HOOK_TESTS_OF(SL_X)
#undef SL_X
      SL_HOOK_TEST_KINDS
};

/* X(NAME): which number, text or address of an argument or of the process a test looks at. */
#define SL_HOOK_FIELDS(X)                                                                \
  X(VALUE)       /* of the argument: its number, or its text */                          \
  X(SOURCE)      /* of a socket: address */                                              \
  X(DESTINATION) /* address */                                                           \
  X(SOURCE_PORT) /* a number, as the others up to PROCESS_BINARY */                      \
  X(DESTINATION_PORT)                                                                    \
  X(PROTOCOL)                                                                            \
  X(FAMILY)                                                                              \
  X(STATE)                                                                               \
  X(FILE_TYPE)      /* of FILE and PATH: the bits S_IFMT of the mode */                  \
  X(PID)            /* of the process; the argument does not matter */                   \
  X(NAMESPACED_PID) /* in its own pid namespace */                                       \
  X(NAMESPACE_UTS)  /* inode, as in /proc/PID/ns */                                      \
  X(NAMESPACE_IPC)                                                                       \
  X(NAMESPACE_MNT)                                                                       \
  X(NAMESPACE_PID)                                                                       \
  X(NAMESPACE_PID_FOR_CHILDREN)                                                          \
  X(NAMESPACE_NET)                                                                       \
  X(NAMESPACE_TIME)                                                                      \
  X(NAMESPACE_TIME_FOR_CHILDREN)                                                         \
  X(NAMESPACE_CGROUP)                                                                    \
  X(NAMESPACE_USER)                                                                      \
  X(CAPABILITIES_EFFECTIVE) /* a bit each */                                             \
  X(CAPABILITIES_INHERITABLE)                                                            \
  X(CAPABILITIES_PERMITTED)                                                              \
  X(PROCESS_BINARY) /* a text: path of the process's program, as its own root sees it */ \
  X(PARENT_BINARY)  /* likewise, of its parent */                                        \
  X(ERROR)          /* of the return value: as a signed number */

enum sl_hook_field {
#define SL_X(name) SL_HOOK_FIELD_##name,
  SL_HOOK_FIELDS(SL_X)
#undef SL_X
      SL_HOOK_FIELD_COUNT
};

enum sl_hook_test_flags {
  SL_HOOK_TEST_NEGATED = 1 << 0, /* of the whole filter: holds if no test of it does */
};

/* `hook_tests` (ARRAY). A text, number or address that cannot be read is in no set and in no range: a negated filter
 * holds. */
struct sl_hook_test {
  __u8 kind;     /* enum sl_hook_test_kind */
  __u8 flags;    /* enum sl_hook_test_flags */
  __u8 argument; /* of the hook's; SL_HOOK_ARGUMENTS: the return value */
  __u8 field;    /* enum sl_hook_field */
  __u8 detail;
  __u8 selector;       /* of the hook's, from 0 */
  __u16 filter_last;   /* the last test of its filter, counted from the hook's first test */
  __u16 selector_last; /* likewise, of its selector */
  __u8 pad[6];
  __u64 first;
  __u64 last;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_test) == 32, "sl_hook_test");

/* Key of `hook_sets` (HASH, value __u8). */
struct sl_hook_set_key {
  __u64 number;
  __u32 set;
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_set_key) == 16, "sl_hook_set_key");

/* X(NAME, label): what a selector does, and what was done, as bits. */
#define SL_HOOK_ACTIONS(X)                                                                      \
  X(POST, "post")                                                                               \
  X(SIGNAL, "signal")                                                                           \
  X(OVERRIDE, "override")                                                                       \
  X(QUARANTINE, "quarantine")                                                                   \
  X(TRACK_SOCKET, "track_socket")                                                               \
  X(UNTRACK_SOCKET, "untrack_socket")                                                           \
  X(NOTIFY_ENFORCER, "notify_enforcer")                                                         \
  X(CLEAR_ENFORCER, "clear_enforcer")                                                           \
  X(ENFORCE, "enforce") /* does what NOTIFY_ENFORCER of the same policy left for this thread */ \
  X(MARK, "mark")       /* marks the process and all that it forks from now on */

enum sl_hook_action_number {
#define SL_X(name, label) SL_HOOK_ACTION_NUMBER_##name,
  SL_HOOK_ACTIONS(SL_X)
#undef SL_X
      SL_HOOK_ACTION_COUNT
};
enum sl_hook_action {
#define SL_X(name, label) SL_HOOK_ACTION_##name = 1 << SL_HOOK_ACTION_NUMBER_##name,
  SL_HOOK_ACTIONS(SL_X)
#undef SL_X
};

enum sl_hook_rate_scope { SL_HOOK_RATE_THREAD, SL_HOOK_RATE_PROCESS, SL_HOOK_RATE_GLOBAL };

enum sl_hook_stack { SL_HOOK_STACK_KERNEL = 1 << 0, SL_HOOK_STACK_USER = 1 << 1 };
#define SL_HOOK_STACK_DEPTH 127 /* return addresses of an entry of `hook_stacks`, innermost first, then 0 */

/* `hook_selectors` (ARRAY). */
struct sl_hook_selector {
  __u64 rate_ns;        /* POST: at most one event in this time with the same arguments; 0: no limit */
  __u32 actions;        /* enum sl_hook_action */
  __u32 return_actions; /* taken at the return */
  __s32 error;          /* OVERRIDE: what the function returns. MARK: the mark's number, which is never used again */
  __s32 enforcer_error; /* NOTIFY_ENFORCER */
  __u8 signal;          /* SIGNAL */
  __u8 enforcer_signal; /* NOTIFY_ENFORCER; 0: none */
  __u8 rate_scope;      /* enum sl_hook_rate_scope */
  __u8 stacks;          /* enum sl_hook_stack */
  __u8 socket;          /* TRACK_SOCKET, UNTRACK_SOCKET: of the hook's arguments */
  __u8 return_signal;   /* SIGNAL among return_actions */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_hook_selector) == 32, "sl_hook_selector");

/* X(NAME, label): `hook_counts` (ARRAY of sl_hook_counts, as hook_selectors). */
#define SL_HOOK_COUNTS(X)                                                           \
  X(MATCHED, "matched")                                                             \
  X(POSTED, "posted")                                                               \
  X(RATE_LIMITED, "rate_limited")                                                   \
  X(LOST, "lost") /* the ring was full, or the workload had used its share of it */ \
  X(SIGNALLED, "signalled")                                                         \
  X(OVERRIDDEN, "overridden")                                                       \
  X(QUARANTINED, "quarantined")                                                     \
  X(WOULD_ENFORCE, "would_enforce") /* the policy is in monitor mode */             \
  X(FAILED, "failed")               /* an action could not be taken */

enum sl_hook_count {
#define SL_X(name, label) SL_HOOK_COUNT_##name,
  SL_HOOK_COUNTS(SL_X)
#undef SL_X
      SL_HOOK_COUNT_COUNT
};
struct sl_hook_counts {
  __u64 counts[SL_HOOK_COUNT_COUNT];
};

/* `hook_policies` (ARRAY). */
enum sl_hook_policy_flags {
  SL_HOOK_POLICY_ENABLED = 1 << 0,
  SL_HOOK_POLICY_MONITOR = 1 << 1, /* events and counts, but no signal, override or quarantine */
};
struct sl_hook_policy {
  __u32 flags; /* enum sl_hook_policy_flags */
  __u32 life;  /* of the policy that has this place now, as in its hooks */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_policy) == 8, "sl_hook_policy");

/*
 * A subject is what a scope selects: a container, a workload, or the host. The task's subject is that of its cgroup or
 * of the nearest cgroup above that has one (`hook_cgroups`, HASH: cgroup id -> __u32); else that of its network
 * namespace (`hook_netns`, HASH: inode -> __u32); else the host.
 */
struct sl_hook_subject {
  __u64 scopes[SL_HOOK_SCOPES / 64]; /* bit n % 64 of word n / 64: the subject is in scope n */
  __u32 endpoint;                    /* for QUARANTINE: index of `quarantine`; 0: none */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_subject) == SL_HOOK_SCOPES / 8 + 8, "sl_hook_subject");

/* Key of `hook_calls` and `hook_held_events` (HASH): a call that a selector wanted and that has not returned. */
struct sl_hook_call_key {
  __u64 thread; /* pid in the upper half, tid in the lower */
  __u32 hook;   /* SL_HOOKS + point: some hook of the point waits, which saves all others a look-up; life is 0 */
  __u32 life;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_call_key) == 16, "sl_hook_call_key");

#define SL_HOOK_NAMESPACES (SL_HOOK_FIELD_NAMESPACE_USER - SL_HOOK_FIELD_NAMESPACE_UTS + 1)
#define SL_HOOK_MARKS 16 /* of a process */

/*
 * `hook_exec_facts` (TASK_STORAGE; that of the thread that leads a process counts): what the process was after its last
 * exec, in the order of the fields; or, if it ran already, when the programs began to look. Marks stay at an exec.
 * Forks have the same.
 */
struct sl_hook_exec_facts {
  __u32 namespaces[SL_HOOK_NAMESPACES];
  __u64 capabilities[3];
  __u32 marks[SL_HOOK_MARKS]; /* 0: none */
  __u32 next_mark;            /* the place of the next one, modulo SL_HOOK_MARKS: the oldest one is forgotten */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_exec_facts) == 136, "sl_hook_exec_facts");

/* `hook_settings` (ARRAY of 1), written by the agent. */
struct sl_hook_settings {
  __u32 subjects_epoch; /* moved on when cgroups or subjects change: programs look them up anew */
  __u32 event_parts;    /* shares of the ring: subjects in use */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_settings) == 8, "sl_hook_settings");

/* `hook_progress` (ARRAY of 1), written by programs. */
struct sl_hook_progress {
  __u64 last_call;   /* sl_hook_event.call */
  __u64 runs_missed; /* functions that were not looked at, as all scratch memory of the CPU was in use */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_progress) == 16, "sl_hook_progress");

enum sl_hook_event_kind {
  SL_HOOK_EVENT_ENTER = 1,  /* the function begins, or a tracepoint */
  SL_HOOK_EVENT_RETURN = 2, /* the function returns; the ENTER event with the same `call` has its arguments */
  SL_HOOK_EVENT_WHOLE = 3,  /* both: the event waited for the return */
};

enum sl_hook_value_flags {
  SL_HOOK_VALUE_READ = 1 << 0,      /* 0: it could not be read */
  SL_HOOK_VALUE_TRUNCATED = 1 << 1, /* a text: it is longer; of a path the end is kept, of others the beginning */
  SL_HOOK_VALUE_DETACHED = 1 << 2,  /* a path: on no mounted file system */
};

/* An argument in a record. */
struct sl_hook_value {
  __u64 number;
  __u32 offset; /* of its text or struct sl_hook_socket in the data after sl_hook_event; a multiple of 8 */
  __u16 length; /* in bytes, without a final NUL; 0: none */
  __u8 read;    /* enum sl_hook_read */
  __u8 flags;   /* enum sl_hook_value_flags */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_value) == 16, "sl_hook_value");

/* The data of SOCK, SOCKET, SKB and SOCKADDR. */
struct sl_hook_socket {
  struct sl_addr source; /* IPv4 as v4-mapped; all 0: none */
  struct sl_addr destination;
  __u16 source_port; /* host byte order */
  __u16 destination_port;
  __u16 family;   /* AF_* */
  __u16 protocol; /* IPPROTO_* */
  __u32 mark;
  __u32 priority;
  __u16 type; /* SOCK_* */
  __u8 state; /* TCP_* */
  __u8 pad;
  __u32 length; /* SKB: of the packet */
  __u64 cookie; /* as from SO_COOKIE; 0: none yet */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_socket) == 64, "sl_hook_socket");

struct sl_hook_cred {
  __u32 uid, gid, euid, egid, suid, sgid, fsuid, fsgid;
  __u32 secure_bits;
  __u32 user_namespace; /* inode */
  __u64 effective, inheritable, permitted;
};
SL_ABI_ASSERT(sizeof(struct sl_hook_cred) == 64, "sl_hook_cred");

/* A record of the ring buffer `hook_events`. The data of its arguments follows. */
struct sl_hook_event {
  __u64 time_ns;
  sl_process_id process; /* 0: it has no entry in `processes` */
  __u64 birth_ns;        /* as in sl_process */
  __u64 cgroup;
  __u64 call; /* ties an ENTER to its RETURN; 0: there is no RETURN */
  __s64 return_value;
  __u32 pid;
  __u32 tid;
  __u32 hook; /* in hooks */
  __u32 life;
  __u32 subject;
  __u32 actions;      /* enum sl_hook_action: those that were taken, or in monitor mode would have been */
  __s32 kernel_stack; /* in hook_stacks; below 0: none */
  __s32 user_stack;
  __u32 length;  /* of the data */
  __u8 kind;     /* enum sl_hook_event_kind */
  __u8 selector; /* of the hook's */
  __u8 argument_count;
  __u8 monitor; /* 1: the policy was in monitor mode */
  struct sl_hook_value arguments[SL_HOOK_ARGUMENTS];
};
SL_ABI_ASSERT(sizeof(struct sl_hook_event) == 168, "sl_hook_event");

#endif
