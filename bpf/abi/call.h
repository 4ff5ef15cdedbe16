/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * System calls that rules ask about: which ones the programs of bpf/calls look at, and the records that they send.
 *
 *   call_kinds[number of the call] -> kind -> call_filters[half in force, kind]: is the event wanted? -> record
 *
 * A call is looked at when it returns. What a number of a descriptor means is read from the kernel's own structure, so
 * no table of descriptors is kept. Numbers are in host byte order unless said, times in ns of CLOCK_BOOTTIME.
 */
#ifndef SLUICE_ABI_CALL_H
#define SLUICE_ABI_CALL_H

#include "process.h"
#include "types.h"

/* Where the number of a descriptor, or a directory that a path begins at, is found. */
#define SL_CALL_NO 0         /* there is none */
#define SL_CALL_AT_RESULT 7  /* what the call returned */
#define SL_CALL_AT_WORKING 8 /* the working directory */
/* 1 to 6: that argument of the call. */

/*
 * X(NAME, "name of the call", descriptor, text 1, its directory, text 2, its directory, address): the calls, and what a
 * record has of each: the descriptor that it is about; up to two texts of the caller's memory; the directories that
 * they are relative to; and the socket address. Each is the place of the argument (above), from 1. The third text of
 * mount, the data of send and receive, and messages are read by bpf/calls/detail.bpf.h.
 */
#define SL_CALLS(X)                                                           \
  X(OPEN, "open", SL_CALL_AT_RESULT, 1, SL_CALL_AT_WORKING, 0, 0, 0)          \
  X(OPENAT, "openat", SL_CALL_AT_RESULT, 2, 1, 0, 0, 0)                       \
  X(OPENAT2, "openat2", SL_CALL_AT_RESULT, 2, 1, 0, 0, 0)                     \
  X(CREAT, "creat", SL_CALL_AT_RESULT, 1, SL_CALL_AT_WORKING, 0, 0, 0)        \
  X(OPEN_BY_HANDLE_AT, "open_by_handle_at", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0) \
  X(CONNECT, "connect", 1, 0, 0, 0, 0, 2)                                     \
  X(ACCEPT, "accept", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                       \
  X(ACCEPT4, "accept4", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                     \
  X(LISTEN, "listen", 1, 0, 0, 0, 0, 0)                                       \
  X(SOCKET, "socket", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                       \
  X(BIND, "bind", 1, 0, 0, 0, 0, 2)                                           \
  X(DUP, "dup", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                             \
  X(DUP2, "dup2", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                           \
  X(DUP3, "dup3", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                           \
  X(LINK, "link", 0, 1, SL_CALL_AT_WORKING, 2, SL_CALL_AT_WORKING, 0)         \
  X(LINKAT, "linkat", 0, 2, 1, 4, 3, 0)                                       \
  X(SYMLINK, "symlink", 0, 1, 0, 2, SL_CALL_AT_WORKING, 0)                    \
  X(SYMLINKAT, "symlinkat", 0, 1, 0, 3, 2, 0)                                 \
  X(RENAME, "rename", 0, 1, SL_CALL_AT_WORKING, 2, SL_CALL_AT_WORKING, 0)     \
  X(RENAMEAT, "renameat", 0, 2, 1, 4, 3, 0)                                   \
  X(RENAMEAT2, "renameat2", 0, 2, 1, 4, 3, 0)                                 \
  X(UNLINK, "unlink", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                      \
  X(UNLINKAT, "unlinkat", 0, 2, 1, 0, 0, 0)                                   \
  X(RMDIR, "rmdir", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                        \
  X(MKDIR, "mkdir", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                        \
  X(MKDIRAT, "mkdirat", 0, 2, 1, 0, 0, 0)                                     \
  X(CHMOD, "chmod", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                        \
  X(FCHMOD, "fchmod", 1, 0, 0, 0, 0, 0)                                       \
  X(FCHMODAT, "fchmodat", 0, 2, 1, 0, 0, 0)                                   \
  X(CHOWN, "chown", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                        \
  X(LCHOWN, "lchown", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                      \
  X(FCHOWN, "fchown", 1, 0, 0, 0, 0, 0)                                       \
  X(FCHOWNAT, "fchownat", 0, 2, 1, 0, 0, 0)                                   \
  X(SETUID, "setuid", 0, 0, 0, 0, 0, 0)                                       \
  X(SETNS, "setns", 1, 0, 0, 0, 0, 0)                                         \
  X(UNSHARE, "unshare", 0, 0, 0, 0, 0, 0)                                     \
  X(PTRACE, "ptrace", 0, 0, 0, 0, 0, 0)                                       \
  X(MOUNT, "mount", 0, 1, 0, 2, SL_CALL_AT_WORKING, 0)                        \
  X(INIT_MODULE, "init_module", 0, 3, 0, 0, 0, 0)                             \
  X(FINIT_MODULE, "finit_module", 1, 2, 0, 0, 0, 0)                           \
  X(BPF, "bpf", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)                             \
  X(EXECVE, "execve", 0, 1, SL_CALL_AT_WORKING, 0, 0, 0)                      \
  X(EXECVEAT, "execveat", 0, 2, 1, 0, 0, 0)                                   \
  X(SENDTO, "sendto", 1, 0, 0, 0, 0, 5)                                       \
  X(SENDMSG, "sendmsg", 1, 0, 0, 0, 0, 0)                                     \
  X(RECVFROM, "recvfrom", 1, 0, 0, 0, 0, 5)                                   \
  X(RECVMSG, "recvmsg", 1, 0, 0, 0, 0, 0)                                     \
  X(USERFAULTFD, "userfaultfd", SL_CALL_AT_RESULT, 0, 0, 0, 0, 0)             \
  X(MEMFD_CREATE, "memfd_create", SL_CALL_AT_RESULT, 1, 0, 0, 0, 0)           \
  X(KILL, "kill", 0, 0, 0, 0, 0, 0)

enum sl_call_kind {
  SL_CALL_NONE, /* nobody asks for it */
#define SL_X(name, ...) SL_CALL_##name,
  SL_CALLS(SL_X)
#undef SL_X
      SL_CALL_KIND_COUNT
};
#define SL_CALL_KINDS 64 /* a bit of a word for each */
SL_ABI_ASSERT(SL_CALL_KIND_COUNT <= SL_CALL_KINDS, "sl_call_kind");

/* `call_kinds` (a variable): the kind of each call by its number, of 64-bit callers (x32's without its bit), then of
 * 32-bit callers from SL_CALL_COMPAT on. */
#define SL_CALL_NUMBERS 576
#define SL_CALL_COMPAT SL_CALL_NUMBERS
#define SL_CALL_SOCKETCALL 0xff /* 32-bit callers' socketcall(2), whose first argument says which call it is */
/* The kinds of its calls, in call_kinds from here on. */
#define SL_CALL_SOCKETCALLS (2 * SL_CALL_NUMBERS)
#define SL_CALL_SOCKETCALL_COUNT 32
#define SL_CALL_KIND_BYTES (SL_CALL_SOCKETCALLS + SL_CALL_SOCKETCALL_COUNT)

/* X(NAME): operations of io_uring that are events too, with the number of the operation (linux/io_uring.h) and the call
 * whose event it is. */
#define SL_CALL_RINGS(X)      \
  X(9, SENDMSG)               \
  X(10, RECVMSG)              \
  X(13, ACCEPT4)              \
  X(16, CONNECT)              \
  X(18, OPENAT)               \
  X(26, SENDTO)               \
  X(27, RECVFROM)             \
  X(28, OPENAT2)              \
  X(35, RENAMEAT2)            \
  X(36, UNLINKAT)             \
  X(37, MKDIRAT)              \
  X(38, SYMLINKAT)            \
  X(39, LINKAT)               \
  X(45, SOCKET)               \
  X(47, SENDTO) /* send_zc */ \
  X(56, BIND)                 \
  X(57, LISTEN)

/* How the call came. */
enum sl_call_caller {
  SL_CALL_64,
  SL_CALL_32,  /* a 32-bit program's number and structures */
  SL_CALL_X32, /* 32-bit pointers, 64-bit numbers */
  SL_CALL_RING /* an operation of io_uring */
};

/*
 * Which events are wanted: by what the kernel knows of them at once. An event of a class whose `filter` is
 * SL_CALL_DROPPED can meet no rule.
 */
enum sl_call_outcome {
  SL_CALL_SUCCEEDED,
  SL_CALL_IN_PROGRESS, /* EINPROGRESS of connect */
  SL_CALL_FAILED,
  SL_CALL_OUTCOMES
};

/* The type of the descriptor that the call is about. */
enum sl_call_descriptor {
  SL_CALL_OF_NOTHING, /* it is about none, or there is none */
  SL_CALL_OF_FILE,    /* devices too, and memfds */
  SL_CALL_OF_DIRECTORY,
  SL_CALL_OF_IPV4,
  SL_CALL_OF_IPV6,
  SL_CALL_OF_IPV4_LISTENER,
  SL_CALL_OF_IPV6_LISTENER,
  SL_CALL_OF_UNIX,
  SL_CALL_OF_PIPE,
  SL_CALL_OF_NETLINK,
  SL_CALL_OF_OTHER, /* eventfd, epoll, ..., and sockets of other families */
  SL_CALL_DESCRIPTORS
};

enum sl_call_open {
  SL_CALL_READS = 1 << 0,
  SL_CALL_WRITES = 1 << 1,
  SL_CALL_CREATES = 1 << 2, /* the call made the file */
  SL_CALL_RUNS = 1 << 3     /* the call made the file, with permission to run it */
};

#define SL_CALL_CLASS(outcome, descriptor, open) (((outcome) << 4 | (descriptor)) << 4 | (open))
#define SL_CALL_CLASSES 1024

/* sl_call_filter.classes: what is done with events of the class. Above: the number of a set of tests on the name. */
#define SL_CALL_DROPPED 0
#define SL_CALL_WANTED 1
#define SL_CALL_FIRST_SET 2

/* `call_filters` (ARRAY of 2 * SL_CALL_KINDS): of each half, by kind. */
struct sl_call_filter {
  __u8 outcomes[4]; /* enum sl_call_outcome: 0: no class of it is wanted */
  __u32 reads;      /* enum sl_call_reads */
  __u8 classes[SL_CALL_CLASSES];
};
SL_ABI_ASSERT(sizeof(struct sl_call_filter) == 1032, "sl_call_filter");

/* What rules ask of an event that is not free. */
enum sl_call_reads {
  SL_CALL_READ_WORKING = 1 << 0,     /* the working directory even if no path is relative to it: proc.cwd */
  SL_CALL_READ_ENVIRONMENT = 1 << 1, /* of a program that was executed: proc.env */
  SL_CALL_READ_DATA = 1 << 2,        /* what was sent or received: evt.buffer */
  SL_CALL_READ_TEXTS = 1 << 3,       /* the caller's texts even of a file that was opened: fd.nameraw, evt.arg */
};

/* `call_state` (a variable). */
struct sl_call_state {
  __u32 half;  /* of call_filters, in force: 0 or 1 */
  __u32 epoch; /* entries of call_places with another one count no more */
  __u32 parts; /* shares of the ring, at least 1 */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_call_state) == 16, "sl_call_state");

/* `call_places` (LRU_HASH): what the agent knows of the container or workload that a process is in. Absent, or of
 * another epoch: not known yet, so that every event is wanted, and of share 0. */
struct sl_call_place_key {
  __u64 cgroup; /* id in the default hierarchy */
  __u64 mounts; /* number of the mount namespace, which is not used twice: bpf/lib/mounts.bpf.h */
  __u32 netns;  /* inode */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_call_place_key) == 24, "sl_call_place_key");

struct sl_call_place {
  __u64 kinds; /* bit N: an event of kind N may meet a rule there */
  __u32 epoch;
  __u32 share;
};
SL_ABI_ASSERT(sizeof(struct sl_call_place) == 16, "sl_call_place");

#define SL_CALL_SHARES 1024 /* 0: the host, and all that is not known or has no place */

/* `call_names` (LPM_TRIE): tests on the name of what was opened. The name meets a set if an entry is a prefix of it, or
 * of its end read backwards. The text of a whole name ends with a NUL. */
#define SL_CALL_NAME_MAX 56
struct sl_call_name_key {
  __u32 bits; /* of what follows */
  __u8 half;
  __u8 set;
  __u8 backwards;
  __u8 pad;
  __u8 text[SL_CALL_NAME_MAX];
};
SL_ABI_ASSERT(sizeof(struct sl_call_name_key) == 64, "sl_call_name_key");

enum sl_call_tests {
  SL_CALL_TESTS_BEGIN = 1 << 0,     /* call_names has entries of the set */
  SL_CALL_TESTS_END = 1 << 1,       /* and backward ones */
  SL_CALL_TESTS_PARTS = 1 << 2,     /* of the name */
  SL_CALL_TESTS_RAW_PARTS = 1 << 3, /* of the caller's text */
  SL_CALL_TESTS_PORTS = 1 << 4      /* of a socket: one of its ends has one of the ports */
};

/* Up to 8 bytes that a text has at any place: (8 bytes of the text & mask) == value, in memory order. */
struct sl_call_part {
  __u64 value;
  __u64 mask; /* 0: unused; such a part is in no text */
};
SL_ABI_ASSERT(sizeof(struct sl_call_part) == 16, "sl_call_part");

/* `call_sets` (ARRAY of 2 * SL_CALL_SETS): of each half. An event meets a set if one of its tests holds. */
#define SL_CALL_SETS 256
#define SL_CALL_PARTS 4
#define SL_CALL_PORTS 16
#define SL_CALL_PART_TEXT 256u /* bytes of a text that are searched; a longer one has every part */
struct sl_call_set {
  __u64 tests; /* enum sl_call_tests */
  struct sl_call_part parts[SL_CALL_PARTS];
  struct sl_call_part raw_parts[SL_CALL_PARTS];
  __u16 ports[SL_CALL_PORTS]; /* 0: unused */
};
SL_ABI_ASSERT(sizeof(struct sl_call_set) == 168, "sl_call_set");

/* X(NAME): texts of a record, in their order after the fixed part. */
#define SL_CALL_TEXTS(X)                                                                   \
  X(NAME)  /* path of the descriptor, from the caller's root; or of a Unix socket */       \
  X(FIRST) /* the caller's texts, as they were when the call returned */                   \
  X(SECOND)                                                                                \
  X(THIRD)                                                                                 \
  X(FIRST_BASE) /* paths of directories that the texts are relative to; empty: absolute */ \
  X(SECOND_BASE)                                                                           \
  X(WORKING)     /* path of the working directory */                                       \
  X(ADDRESS)     /* struct sockaddr, as the caller has it */                               \
  X(DATA)        /* what was sent or received, its beginning */                            \
  X(ENVIRONMENT) /* each variable ends with a NUL */

enum sl_call_text {
#define SL_X(name) SL_CALL_TEXT_##name,
  SL_CALL_TEXTS(SL_X)
#undef SL_X
      SL_CALL_TEXT_COUNT
};

#define SL_CALL_DATA_MAX 256    /* bytes of DATA */
#define SL_CALL_ADDRESS_MAX 128 /* of ADDRESS */
#define SL_CALL_ENVIRONMENT_MAX 4096
#define SL_CALL_PATH_MAX 4096 /* of any other */

enum sl_call_file_flags {
  SL_CALL_FILE_KNOWN = 1 << 0,
  SL_CALL_FILE_UPPER = 1 << 1,     /* of an overlay: it is in the upper layer */
  SL_CALL_FILE_LOWER = 1 << 2,     /* in a lower one */
  SL_CALL_FILE_DETACHED = 1 << 3,  /* on no mounted file system: memfd, pipe, ... */
  SL_CALL_FILE_CONNECTED = 1 << 4, /* a socket */
  SL_CALL_FILE_SERVER = 1 << 5,    /* a socket of IP: the local end is the server's */
  SL_CALL_FILE_TRUNCATED = 1 << 6, /* only the end of the path is there */
};

/* What a descriptor means. All 0: there is none. */
struct sl_call_file {
  __u64 inode;
  __u32 device;     /* as in stat(2)'s st_dev of the kernel: major << 20 | minor */
  __u32 magic;      /* of the file system: linux/magic.h */
  __u32 mode;       /* S_IFMT and permissions */
  __u32 open_flags; /* of open(2) */
  __u32 open_mode;  /* FMODE_* of linux/fs.h */
  __u16 flags;      /* enum sl_call_file_flags */
  __u8 descriptor;  /* enum sl_call_descriptor */
  __u8 pad;
  /* Of sockets. */
  __u16 family;
  __u16 protocol;
  __u16 type;
  __u16 state;
  __u16 local_port, remote_port;
  __u32 pad2;
  struct sl_addr local, remote; /* network byte order */
};
SL_ABI_ASSERT(sizeof(struct sl_call_file) == 80, "sl_call_file");

enum sl_call_flags {
  SL_CALL_PLACE_UNKNOWN = 1 << 0, /* call_places has no answer */
  SL_CALL_TEXT_CUT = 1 << 1,      /* a text is longer than its limit */
  SL_CALL_TEXT_LOST = 1 << 2,     /* a text could not be read: its page was not in memory */
  SL_CALL_EXE_UPPER = 1 << 3,     /* the program that the process runs: as sl_call_file_flags */
  SL_CALL_EXE_LOWER = 1 << 4,
  SL_CALL_EXE_MEMORY = 1 << 5,   /* made by memfd_create, or deleted from no file system */
  SL_CALL_EXE_WRITABLE = 1 << 6, /* its owner, group or everybody may write it, and the process is one of them */
};

/* A record of `call_events`. */
struct sl_call_event {
  __u64 time_ns;
  sl_process_id process; /* 0: not in the table of processes */
  __u64 birth_ns;        /* start of the process */
  __u64 cgroup;
  __s64 result; /* what the call returned; below 0: -errno */
  __u64 arguments[6];
  __u64 extra[3];                                   /* openat2: struct open_how; messages: bytes of the buffers */
  __u64 capabilities[3];                            /* effective, permitted, inheritable */
  __u64 exe_inode, exe_changed_ns, exe_modified_ns; /* ns since 1970 */
  __u64 mounts;                                     /* as in sl_call_place_key */
  __u64 pid_namespace_start_ns;                     /* start of its first process; 0: not known */
  __u32 pid, tid, namespace_pid;
  __u32 session, group, namespace_group; /* process ids of the leaders; the last one in its own pid namespace */
  __u32 terminal;                        /* as in st_rdev: major << 20 | minor; 0: none */
  __u32 uid, gid, login_uid;             /* ~0: not set */
  __u32 netns;
  __u32 share;
  __u32 cpu;
  __u32 flags; /* enum sl_call_flags */
  __u8 kind;   /* enum sl_call_kind */
  __u8 caller; /* enum sl_call_caller */
  __u8 set;    /* the set of tests that the name met; 0: none was asked */
  __u8 pad;
  __u32 pad3;
  __u8 comm[16];
  struct sl_call_file file;
  __u16 lengths[SL_CALL_TEXT_COUNT];
  __u16 pad2[2];
};
SL_ABI_ASSERT(sizeof(struct sl_call_event) == 360, "sl_call_event");

/* `call_losses` (HASH, value __u64): records that did not fit into the ring. Entry ~0, ~0 counts losses once the map is
 * full. */
struct sl_call_loss_key {
  __u32 share;
  __u32 kind;
};
SL_ABI_ASSERT(sizeof(struct sl_call_loss_key) == 8, "sl_call_loss_key");

#endif
