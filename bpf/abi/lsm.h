/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * KubeArmor policies: the tables that the programs of bpf/lsm decide by, and the records that they send.
 *
 *   cgroup or network namespace, as for hook policies (bpf/abi/hook.h) -> lsm_subjects[subject] -> lsm_profiles[n] ->
 * its sections -> lsm_rules[rule]
 *
 * A profile is everything that one set of policies says; workloads with the same policies share it. The rules of a
 * section are in the order in which they decide: of those that match, the one with the smallest number. So a table that
 * says which rules are about a path, a socket or a number is enough.
 *
 * Every table has two halves. The agent writes the half that is not in force, moves `lsm_root` on by one, and waits for
 * a grace period before it writes again: all tables change at once. The lowest bit of `lsm_root` selects the half.
 * Numbers are in host byte order, times in ns of CLOCK_BOOTTIME, places in tables are absolute: the half is in them.
 */
#ifndef SLUICE_ABI_LSM_H
#define SLUICE_ABI_LSM_H

#include "process.h"
#include "types.h"

#define SL_HOOK_SUBJECTS 8192 /* the host is 0 */
#define SL_LSM_HALVES 2       /* of each table */
#define SL_LSM_PROFILES 512   /* of a half, as those up to WORDS */
#define SL_LSM_RULES 8192
#define SL_LSM_TARGETS 16384
#define SL_LSM_CELLS 65536
#define SL_LSM_AUTOMATA 1024
#define SL_LSM_NUMBERS 32768
#define SL_LSM_WORDS 131072         /* 8 bytes each */
#define SL_LSM_GROUPS 1024          /* sets of programs of a profile's fromSource; 0: any program */
#define SL_LSM_ARGUMENT_SETS 64     /* of a profile's allowedArgs */
#define SL_LSM_ARGUMENT_MAX 104     /* bytes of an argument that can be allowed */
#define SL_LSM_SYSTEM_CALLS 512     /* numbers of system calls, from 0 */
#define SL_LSM_STATES 4096          /* of an automaton */
#define SL_LSM_PROBES 16            /* cells of a profile that a key may be in, from its own one on */
#define SL_LSM_ARGUMENTS_SENT 1024u /* bytes of a program's arguments in a record */

/* X(NAME, label): what a process does. */
#define SL_LSM_OPERATIONS(X)                               \
  X(EXECUTE, "execute")                                    \
  X(OPEN, "open")                                          \
  X(CREATE, "create") /* a file, by mknod(2) or open(2) */ \
  X(MAKE_DIRECTORY, "mkdir")                               \
  X(REMOVE_DIRECTORY, "rmdir")                             \
  X(UNLINK, "unlink")                                      \
  X(RENAME, "rename") /* both paths are judged */          \
  X(LINK, "link")     /* likewise */                       \
  X(SYMLINK, "symlink")                                    \
  X(TRUNCATE, "truncate")                                  \
  X(CHANGE_MODE, "chmod")                                  \
  X(CHANGE_OWNER, "chown")                                 \
  X(CREATE_SOCKET, "socket")                               \
  X(USE_CAPABILITY, "capability")                          \
  X(SYSTEM_CALL, "syscall")                                \
  X(MAP_CODE, "map_code") /* memory without a file becomes executable */

enum sl_lsm_operation {
#define SL_X(name, label) SL_LSM_##name,
  SL_LSM_OPERATIONS(SL_X)
#undef SL_X
      SL_LSM_OPERATION_COUNT
};

/* Of a policy. */
enum sl_lsm_section {
  SL_LSM_PROCESS,
  SL_LSM_FILE,
  SL_LSM_NETWORK,
  SL_LSM_CAPABILITIES,
  SL_LSM_SYSCALLS,
  SL_LSM_SYSCALL_PATHS, /* the rules of SYSCALLS that are about a path */
  SL_LSM_NO_SECTION,    /* MAP_CODE: only presets are about it */
  SL_LSM_SECTION_COUNT = SL_LSM_NO_SECTION
};

enum sl_lsm_verdict { SL_LSM_PASS, SL_LSM_AUDIT, SL_LSM_BLOCK };

/* Why. */
enum sl_lsm_reason {
  SL_LSM_BY_RULE = 1, /* a preset, too */
  SL_LSM_BY_POSTURE,  /* no rule decides: the section is an allow list because of the rule */
  SL_LSM_UNREADABLE,  /* the path cannot be read whole, and the section has Block rules or blocks by posture */
};

/* X(NAME, label): which tables of a profile a key is for. */
#define SL_LSM_KINDS(X)                                         \
  X(PATH)      /* text: a path, without "/" at the end */       \
  X(DIRECTORY) /* text: a directory, with "/" at the end */     \
  X(RECURSIVE) /* likewise */                                   \
  X(NAME)      /* text: the last part of a path */              \
  X(SOURCE)    /* as PATH, for fromSource: groups, not rules */ \
  X(SOURCE_DIRECTORY)                                           \
  X(SOURCE_RECURSIVE)                                           \
  X(ARGUMENT) /* text: an argument: argument sets, not rules */ \
  X(NUMBER)   /* a protocol, capability or system call */

enum sl_lsm_kind {
#define SL_X(name) SL_LSM_KIND_##name,
  SL_LSM_KINDS(SL_X)
#undef SL_X
      SL_LSM_KIND_COUNT
};

/* X(NAME): the protocols of sockets, as numbers of targets. In the order of policy::lsm::Protocol. */
#define SL_LSM_PROTOCOLS(X) \
  X(TCP) X(UDP) X(ICMP) X(ICMPV6) X(SCTP) X(DCCP) X(RAW) X(PACKET) X(STREAM) X(DGRAM) X(SEQPACKET) X(RDM) X(ALL)

enum sl_lsm_protocol {
#define SL_X(name) SL_LSM_PROTOCOL_##name,
  SL_LSM_PROTOCOLS(SL_X)
#undef SL_X
      SL_LSM_PROTOCOL_COUNT
};

/* `lsm_targets` (ARRAY): what rules are about, and which: numbers in `lsm_numbers`, ascending. */
struct sl_lsm_target {
  __u64 number;      /* of NUMBER */
  __u32 text;        /* first word in lsm_words; zeros fill the last one */
  __u16 text_length; /* in bytes */
  __u8 kind;         /* enum sl_lsm_kind */
  __u8 section;      /* enum sl_lsm_section */
  __u32 decides;     /* first in lsm_numbers: rules with Allow or Block; of sources: groups; of arguments: sets */
  __u32 decides_count;
  __u32 audits; /* first in lsm_numbers */
  __u32 audits_count;
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_target) == 32, "sl_lsm_target");

/* `lsm_cells` (ARRAY): a profile's hash table of targets, with linear probing. */
struct sl_lsm_cell {
  __u64 key;    /* bpf/lib/lsm_key.h */
  __u32 target; /* in lsm_targets, plus 1; 0: the cell is empty */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_cell) == 16, "sl_lsm_cell");

/*
 * `lsm_automata` (ARRAY): a deterministic automaton for the patterns of a section. State 0 matches nothing any more;
 * state 1 is the first one. The tables are in lsm_words: a byte for each byte's class, 16 bits for each state and
 * class, 32 bits for each state's target in lsm_targets, plus 1 (0: the state matches nothing), counted from `targets`.
 */
struct sl_lsm_automaton {
  __u32 classes;     /* first word: 32 words */
  __u32 transitions; /* first word */
  __u32 matches;     /* first word */
  __u32 class_count;
  __u32 state_count;
  __u32 targets; /* in lsm_targets */
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_automaton) == 24, "sl_lsm_automaton");

enum sl_lsm_rule_conditions {
  SL_LSM_OWNER_ONLY = 1 << 0,
  SL_LSM_READ_ONLY = 1 << 1,
  SL_LSM_TERMINAL = 1 << 2,    /* the process has one */
  SL_LSM_NO_TERMINAL = 1 << 3, /* it has none */
  SL_LSM_ARGUMENTS = 1 << 4,   /* all are of the argument set */
};

enum sl_lsm_action { SL_LSM_ACTION_ALLOW, SL_LSM_ACTION_AUDIT, SL_LSM_ACTION_BLOCK };

/* `lsm_rules` (ARRAY). */
struct sl_lsm_rule {
  __u16 group;     /* programs that it is for */
  __u8 action;     /* enum sl_lsm_action */
  __u8 conditions; /* enum sl_lsm_rule_conditions */
  __u32 calls;     /* of SYSCALL_PATHS: first word in lsm_words; a bit for each number of a system call */
  __u8 argument_set;
  __u8 pad[7];
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_rule) == 16, "sl_lsm_rule");

enum sl_lsm_section_flags {
  SL_LSM_HAS_RULES = 1 << 0,
  SL_LSM_POSTURE_BLOCKS = 1 << 1, /* else it audits */
  SL_LSM_HAS_PATHS = 1 << 2,      /* of sl_lsm_kind PATH, and so on */
  SL_LSM_HAS_NAMES = 1 << 3,
  SL_LSM_HAS_DIRECTORIES = 1 << 4,
  SL_LSM_HAS_RECURSIVE = 1 << 5,
};

struct sl_lsm_rules_of {
  __u32 flags;    /* enum sl_lsm_section_flags */
  __u32 automata; /* first in lsm_automata */
  __u32 automata_count;
  __u32 closes; /* first in lsm_numbers: Allow rules, which make it an allow list for the programs of their groups */
  __u32 closes_count;
  __u32 blocks; /* likewise: Block rules, which block what cannot be read */
  __u32 blocks_count;
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_rules_of) == 32, "sl_lsm_rules_of");

/* X(NAME): in the order of policy::lsm::Preset. */
#define SL_LSM_PRESETS(X) X(PROTECT_ENV) X(FILELESS_EXEC) X(EXEC) X(PROTECT_PROC) X(ANON_MAP_EXEC)

enum sl_lsm_preset {
#define SL_X(name) SL_LSM_PRESET_##name,
  SL_LSM_PRESETS(SL_X)
#undef SL_X
      SL_LSM_PRESET_COUNT
};

/* Numbers of rules, plus 1; 0: none. */
struct sl_lsm_preset_rules {
  __u32 block;
  __u32 audit;
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_preset_rules) == 8, "sl_lsm_preset_rules");

/* `lsm_profiles` (ARRAY). */
struct sl_lsm_profile {
  __u64 seed;  /* of the keys of its cells; secret, so that nobody can make paths whose keys collide */
  __u32 cells; /* first in lsm_cells */
  __u32 cell_mask;
  __u32 argument_sets; /* how many there are */
  __u32 source_flags;  /* enum sl_lsm_section_flags: which kinds of sources there are */
  struct sl_lsm_preset_rules presets[SL_LSM_PRESET_COUNT];
  struct sl_lsm_rules_of sections[SL_LSM_SECTION_COUNT];
  __u64 calls[SL_LSM_SYSTEM_CALLS / 64];      /* that a rule of SYSCALLS is about */
  __u64 path_calls[SL_LSM_SYSTEM_CALLS / 64]; /* that a rule of SYSCALL_PATHS is about */
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_profile) == 384, "sl_lsm_profile");

enum sl_lsm_subject_flags {
  /* A container runtime starts its processes, in a mount namespace that is not the host's. Without it, they may be in
   * the host's for good. */
  SL_LSM_SUBJECT_OF_RUNTIME = 1 << 0,
};

/* `lsm_subjects` (ARRAY of SL_HOOK_SUBJECTS). */
struct sl_lsm_subject {
  __u32 profiles[SL_LSM_HALVES]; /* of each half, in lsm_profiles, plus 1; 0: none */
  __u32 flags;                   /* enum sl_lsm_subject_flags */
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_subject) == 12, "sl_lsm_subject");

/* `lsm_root` (ARRAY of 1, memory-mapped): the generation in force. */

/* X(NAME, label): `lsm_counts` (ARRAY, as lsm_rules). */
#define SL_LSM_COUNTS(X) \
  X(AUDITED, "audited")  \
  X(BLOCKED, "blocked")  \
  X(LOST, "lost") /* records: the ring was full, or the workload had used its share of it. The verdict was taken */

enum sl_lsm_count {
#define SL_X(name, label) SL_LSM_COUNT_##name,
  SL_LSM_COUNTS(SL_X)
#undef SL_X
      SL_LSM_COUNT_COUNT
};
struct sl_lsm_counts {
  __u64 counts[SL_LSM_COUNT_COUNT];
};

/* `lsm_progress` (ARRAY of 1), written by programs. */
struct sl_lsm_progress {
  __u64 not_judged; /* operations that no rule was applied to, as all scratch memory of the CPU was in use */
  __u64 unreadable; /* operations whose path could not be read whole */
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_progress) == 16, "sl_lsm_progress");

enum sl_lsm_event_flags {
  SL_LSM_EVENT_WRITES = 1 << 0,              /* the file is opened for writing, or changed */
  SL_LSM_EVENT_HAS_TERMINAL = 1 << 1,        /* the process has one */
  SL_LSM_EVENT_PATH_TRUNCATED = 1 << 2,      /* only the path's end is there */
  SL_LSM_EVENT_PROGRAM_TRUNCATED = 1 << 3,   /* likewise */
  SL_LSM_EVENT_ARGUMENTS_TRUNCATED = 1 << 4, /* their beginning is there, or they could not be read */
  SL_LSM_EVENT_NO_PATH = 1 << 5,             /* the file is on no mounted file system (memfd) */
  SL_LSM_EVENT_KILLED = 1 << 6,              /* EXECUTE: the program had begun, and was killed at once */
  SL_LSM_EVENT_OTHER_PROCESS = 1 << 7,       /* the path is below /proc/PID of another process */
};

/* A record of the ring buffer `lsm_events`: an operation that is reported or blocked. The path, the program and the
 * arguments follow, each with its length; paths have no NUL, each argument ends with a NUL. */
struct sl_lsm_event {
  __u64 time_ns;
  sl_process_id process; /* that does it; 0: it has no entry in `processes` */
  __u64 birth_ns;        /* as in sl_process */
  __u64 cgroup;
  __u64 generation; /* of the tables that decided */
  __u32 pid;        /* in the host's pid namespace: the thread group */
  __u32 tid;
  __u32 parent_pid;
  __u32 uid;     /* as which it uses files */
  __u32 subject; /* 0: the host */
  __u32 rule;    /* of the generation, counted from 0: policy::lsm::Compiled::rules */
  __u32 number;  /* USE_CAPABILITY, SYSTEM_CALL (and operations by such a rule); MAP_CODE: 0 */
  __u32 owner;   /* of the file */
  __u16 family;  /* CREATE_SOCKET: AF_*, SOCK_*, IPPROTO_* */
  __u16 type;
  __u16 protocol;
  __u8 operation; /* enum sl_lsm_operation */
  __u8 verdict;   /* enum sl_lsm_verdict */
  __u8 reason;    /* enum sl_lsm_reason */
  __u8 flags;     /* enum sl_lsm_event_flags */
  __u16 path_length;
  __u16 program_length; /* of the program that does it: of an execution, the one that runs before; of KILLED, 0 */
  __u16 arguments_length;
};
SL_ABI_ASSERT(sizeof(struct sl_lsm_event) == 88, "sl_lsm_event");

#endif
