/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Processes: the table of them in the kernel, and the records that the sensors (bpf/sensors) send.
 *
 * A process instance is what runs between two of: fork, exec, exit. Each has its own sl_process_id, which the kernel
 * side assigns; no id is used twice until reboot. Numbers are in host byte order, times in ns of CLOCK_BOOTTIME.
 */
#ifndef SLUICE_ABI_PROCESS_H
#define SLUICE_ABI_PROCESS_H

#include "process_class.h"
#include "types.h"

typedef __u64 sl_process_id; /* 0: none, or not known */

enum sl_process_flags {
  SL_PROCESS_EXECED = 1 << 0, /* this instance began with an exec, not with a fork */
  SL_PROCESS_SEEDED = 1 << 1, /* existed before the sensors: its parent is the process that reaps it now */
  SL_PROCESS_KERNEL_THREAD = 1 << 2,
  SL_PROCESS_SETUID = 1 << 3, /* the binary's set-user-ID bit took effect */
  SL_PROCESS_SETGID = 1 << 4,
  SL_PROCESS_PRIVILEGED = 1 << 5,          /* this exec gained privileges: set-ID bits or file capabilities */
  SL_PROCESS_UNLINKED = 1 << 6,            /* the binary has no name any more */
  SL_PROCESS_FROM_MEMORY = 1 << 7,         /* the binary is on no mounted file system (memfd) */
  SL_PROCESS_ARGUMENTS_TRUNCATED = 1 << 8, /* longer than SL_PROCESS_ARGUMENTS_MAX, or partly unreadable */
  SL_PROCESS_BINARY_TRUNCATED = 1 << 9,    /* longer than SL_PROCESS_PATH_MAX: only its end is kept */
  SL_PROCESS_CWD_TRUNCATED = 1 << 10,
  SL_PROCESS_CGROUP_TRUNCATED = 1 << 11,
  SL_PROCESS_SCRIPT_TRUNCATED = 1 << 12, /* its beginning is kept */
  SL_PROCESS_OWNS_SOCKETS = 1 << 13,     /* in `processes`: it has acted on a socket, so flows notice its exec */
  SL_PROCESS_OTHER_MOUNTS = 1 << 14, /* the binary is in a mount namespace that the workload made: no path for policy */
  SL_PROCESS_MAY_MOUNT = 1 << 15,    /* in `processes`: could mount in its home when it last executed a program */
  SL_PROCESS_IS_ENV = 1 << 16, /* in `processes`: env(1) of a script's first line, about to execute the interpreter */
  SL_PROCESS_SCRIPT_BY_ENV = 1 << 17, /* runs the script of the previous instance, which was env(1) */
};

/*
 * `processes` (HASH, key __u32 tgid): every live process, in its current instance. The sensors write it before the
 * instance runs its first instruction, and delete it when the last thread exits.
 */
struct sl_process {
  sl_process_id id;
  sl_process_id parent; /* the instance that forked this process */
  __u64 start_ns;       /* of this instance */
  __u64 birth_ns;       /* of the process: tells it from an earlier process with the same tgid */
  __u64 cgroup;         /* id of its cgroup in the default hierarchy, when the instance began */
  __u32 execs;          /* the kernel's count (task_struct.self_exec_id): reveals a missed exec */
  __u32 flags;          /* enum sl_process_flags */
  sl_process_class_number process_class;
  __u32 share; /* index in `process_shares` */
  __u64 home;  /* number (not inode) of the mount namespace whose paths name its programs; 0: none */
};
SL_ABI_ASSERT(sizeof(struct sl_process) == 64, "sl_process");

/*
 * `sockets` (SK_STORAGE, inherited by accepted sockets): the process that last connected, bound, accepted or sent.
 * Written by the socket probes in that process's context; lives as long as the socket, packets in flight included.
 */
struct sl_socket_owner {
  __u64 cookie;          /* of the socket that this was written for; not this socket's: inherited from the listener */
  __u64 birth_ns;        /* as in sl_process; while `processes` has the same, the current instance there is the owner */
  sl_process_id process; /* the instance that acted; 0: it had no entry in `processes` */
  __u64 session;         /* of the probes that wrote it */
  __u32 tgid;            /* 0: not known, as when several processes had it open before the probes started */
  __u32 execs;
  __u32 sender; /* tgid of the first process that sent datagrams by it; 0: none */
  __u32 shared; /* 1: others sent too. The owner stays the first; see bpf/lib/datagram_senders.bpf.h */
  sl_process_class_number process_class; /* of the instance `process` */
  __u32 closed;                          /* 1: no process has it open any more */
};
SL_ABI_ASSERT(sizeof(struct sl_socket_owner) == 56, "sl_socket_owner");

/* Size of `sockets_closed` (ARRAY of __u32, by a UDP socket's cookie modulo it): how many sockets with that remainder
 * were closed. While the number stays the same, none of them was closed. A power of two. */
#define SL_SOCKETS_CLOSED 16384

/* `socket_holders` (HASH by the number of the socket's inode), while the socket probes start: the process that has it
 * open. */
struct sl_socket_holder {
  __u64 birth_ns;
  __u32 tgid;
  __u32 several; /* 1: other processes too */
};
SL_ABI_ASSERT(sizeof(struct sl_socket_holder) == 16, "sl_socket_holder");

/* `process_claims` (HASH): an instance, identified without an id. While seeding, the first program that inserts it
 * assigns the id. */
struct sl_process_claim_key {
  __u64 birth_ns;
  __u32 tgid;
  __u32 execs;
};
SL_ABI_ASSERT(sizeof(struct sl_process_claim_key) == 16, "sl_process_claim_key");

struct sl_process_claim {
  sl_process_id id;
  __u64 start_ns;
};
SL_ABI_ASSERT(sizeof(struct sl_process_claim) == 16, "sl_process_claim");

/* X(NAME, label): kinds of records in the ring buffer `process_events`. */
#define SL_PROCESS_EVENTS(X) \
  X(EXEC, "exec")            \
  X(FORK, "fork")            \
  X(EXIT, "exit")            \
  X(SEED, "seed") /* an existing process; sent while the sensors start and after a loss */

enum sl_process_event {
#define SL_X(name, label) SL_PROCESS_EVENT_##name,
  SL_PROCESS_EVENTS(SL_X)
#undef SL_X
      SL_PROCESS_EVENT_COUNT
};

/* Starts every record. */
struct sl_process_header {
  __u64 time_ns;
  sl_process_id id;
  sl_process_id parent; /* as sl_process.parent */
  __u64 start_ns;
  __u64 birth_ns;
  __u64 cgroup;
  __u32 pid; /* in the host's pid namespace: the thread group */
  __u32 parent_pid;
  __u32 flags; /* enum sl_process_flags */
  __u8 event;  /* enum sl_process_event */
  __u8 pad[3];
};
SL_ABI_ASSERT(sizeof(struct sl_process_header) == 64, "sl_process_header");

struct sl_process_exit {
  struct sl_process_header header;
  __u32 status; /* as in wait(2): exit code << 8, or the signal, plus 0x80 for a core dump */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_process_exit) == 72, "sl_process_exit");

struct sl_process_namespaces { /* inode numbers, as in /proc/PID/ns; 0: not known */
  __u32 net;
  __u32 mnt;
  __u32 pid;
  __u32 user;
  __u32 uts;
  __u32 ipc;
  __u32 cgroup;
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_process_namespaces) == 32, "sl_process_namespaces");

/*
 * Exec, fork and seed. Texts follow the fixed part; a fork has none, as the child has its parent's binary, arguments
 * and directory.
 */
struct sl_process_start {
  struct sl_process_header header;
  sl_process_id previous; /* exec: the instance of this process that the exec ended */
  __u64 capabilities;     /* effective, a bit each */
  struct sl_process_namespaces namespaces;
  __u32 tid;    /* of the running thread; after an exec it is the pid */
  __u32 ns_pid; /* the pid in the process's own pid namespace */
  __u32 ns_tid;
  __u32 uid;
  __u32 gid;
  __u32 euid;
  __u32 auid; /* login uid; ~0: not set */
  __u32 argument_count;
  __u8 comm[16];
  /* Lengths of the texts, in their order. Paths have no final NUL; each argument ends with a NUL. */
  __u16 binary_length;
  __u16 script_length; /* the file whose #! line named the binary; 0: none */
  __u16 cwd_length;
  __u16 cgroup_length; /* path in its hierarchy */
  __u32 arguments_length;
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_process_start) == 176, "sl_process_start");

#define SL_PROCESS_PATH_MAX 4095       /* bytes of a path */
#define SL_PROCESS_ARGUMENTS_MAX 40960 /* bytes of all arguments with their NULs, argv[0] included */
#define SL_PROCESS_DATA_MAX 61440      /* room for the four paths, the arguments, and one extra page to read into */

/* X(NAME, label): why an event or an entry was lost. */
#define SL_PROCESS_LOSSES(X)                                                                  \
  X(RING_FULL, "PROCESS_RING_FULL")                                                           \
  X(TABLE_FULL, "PROCESS_TABLE_FULL") /* the event was sent, but the entry was not created */ \
  X(NESTED, "PROCESS_BUFFER_BUSY")    /* the CPU was writing another event */                 \
  X(SHARE, "PROCESS_WORKLOAD_SHARE")  /* the ring is half full, and the share has used its part */

enum sl_process_loss_cause {
#define SL_X(name, label) SL_PROCESS_LOSS_##name,
  SL_PROCESS_LOSSES(SL_X)
#undef SL_X
      SL_PROCESS_LOSS_COUNT
};

/* `process_losses` (HASH): the number of losses (__u64). One reserved entry, cgroup 0 and cpu ~0, counts losses once
 * the map is full. */
struct sl_process_loss_key {
  __u64 cgroup;
  __u32 cpu;
  __u8 cause; /* enum sl_process_loss_cause */
  __u8 event; /* enum sl_process_event */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_process_loss_key) == 16, "sl_process_loss_key");

#endif
