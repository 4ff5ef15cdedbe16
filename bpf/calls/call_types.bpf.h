/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Members of kernel structures that only these sensors read: see bpf/lib/kernel_types.bpf.h. */
#ifndef SLUICE_CALL_TYPES_BPF_H
#define SLUICE_CALL_TYPES_BPF_H

#include "bpf/lib/kernel_types.bpf.h"

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct signal_struct___pids {
  struct pid* pids[4]; /* by enum pid_type */
};

struct tty_driver {
  int major;
  int minor_start;
};
struct tty_struct___device {
  int index;
  struct tty_driver* driver;
};

struct pid_namespace___reaper {
  struct task_struct* child_reaper;
};

struct timespec64 {
  __s64 tv_sec;
  long tv_nsec;
};
struct inode___seconds { /* since 6.11 */
  __s64 i_mtime_sec;
  __s64 i_ctime_sec;
  __u32 i_mtime_nsec;
  __u32 i_ctime_nsec;
};
struct inode___hidden { /* 6.6 (ctime), 6.7 (mtime) to 6.10 */
  struct timespec64 __i_mtime;
  struct timespec64 __i_ctime;
};
struct inode___plain { /* before */
  struct timespec64 i_mtime;
  struct timespec64 i_ctime;
};
struct inode___owner {
  sl_kernel_id i_gid;
};
struct super_block___device {
  __u32 s_dev;
};

struct mm_struct___environment {
  unsigned long env_start;
  unsigned long env_end;
};

struct inet_bind_bucket {
  signed char fastreuse;
};
struct inet_connection_sock {
  struct inet_bind_bucket* icsk_bind_hash;
};
struct sock___locks {
  __u8 sk_userlocks : 4;
};
struct unix_address {
  int len; /* of the sockaddr_un after it */
};
struct unix_sock {
  struct unix_address* addr;
  struct sock* peer;
};

struct open_how { /* linux/openat2.h */
  __u64 flags;
  __u64 mode;
  __u64 resolve;
};

/* Of io_uring: what a request has, by its operation in the place of `file`. */
struct io_cqe {
  int fd;
};
struct io_kiocb {
  struct file* file;
  __u8 opcode;
  __u64 flags; /* 32 bits before 6.8; only the low ones are read */
  struct io_cqe cqe;
};
struct io_uring_cqe {
  __s32 res;
};
struct io_open {
  int dfd;
  __u32 file_slot;
  struct filename* filename;
  struct open_how how;
};
struct io_rename {
  int old_dfd;
  int new_dfd;
  struct filename* oldpath;
  struct filename* newpath;
  int flags;
};
struct io_link { /* hard and symbolic links */
  int old_dfd;
  int new_dfd;
  struct filename* oldpath;
  struct filename* newpath;
  int flags;
};
struct io_unlink {
  int dfd;
  int flags;
  struct filename* filename;
};
struct io_mkdir {
  int dfd;
  __u16 mode;
  struct filename* filename;
};
struct io_socket {
  int domain;
  int type;
  int protocol;
  int flags;
  __u32 file_slot;
};
struct io_accept {
  int flags;
  __u32 file_slot;
};

#pragma clang attribute pop

#define SL_REQ_F_CQE_SKIP 0x40 /* IOSQE_CQE_SKIP_SUCCESS: a request that succeeds reports nothing */

#define SL_PIDTYPE_PGID 2
#define SL_PIDTYPE_SID 3

#define SL_FMODE_CREATED 0x100000
#define SL_O_ACCMODE 3
#define SL_O_WRONLY 1
#define SL_O_RDWR 2
#define SL_O_CREAT 0100

#define SL_S_IFMT 0170000
#define SL_S_IFSOCK 0140000
#define SL_S_IFLNK 0120000
#define SL_S_IFREG 0100000
#define SL_S_IFBLK 0060000
#define SL_S_IFDIR 0040000
#define SL_S_IFCHR 0020000
#define SL_S_IFIFO 0010000

#define SL_OVERLAYFS_MAGIC 0x794c7630 /* linux/magic.h */
#define SL_ANON_INODE_MAGIC 0x09041934
#define SL_SB_RDONLY 1
#define SL_SB_KERNMOUNT 0x400000 /* mounted by the kernel for itself: where memfd_create makes files */

#define SL_CALL_AF_UNIX 1
#define SL_CALL_AF_INET 2
#define SL_CALL_AF_INET6 10
#define SL_CALL_AF_NETLINK 16
#define SL_CALL_IPPROTO_TCP 6
#define SL_SOCK_STREAM 1
#define SL_TCP_ESTABLISHED 1
#define SL_TCP_SYN_SENT 2
#define SL_TCP_CLOSE 7
#define SL_TCP_LISTEN 10
#define SL_SOCK_BINDPORT_LOCK 8

#define SL_AT_FDCWD (-100)
#define SL_EINTR 4
#define SL_EINPROGRESS 115
#define SL_ERESTART_FIRST 512 /* a signal ended the call, which begins anew or returns EINTR: linux/errno.h */
#define SL_ERESTART_LAST 516

#define SL_CAP_DAC_OVERRIDE 1

#endif
