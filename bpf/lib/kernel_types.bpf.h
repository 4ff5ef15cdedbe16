/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The members of kernel structures that the sensors read, and no more. CO-RE finds their offsets in the running kernel
 * by name when the object is loaded, so order and size here do not matter. Members that only some kernels have are in
 * structures with a ___ suffix, which CO-RE ignores; bpf_core_field_exists tests for them.
 */
#ifndef SLUICE_KERNEL_TYPES_BPF_H
#define SLUICE_KERNEL_TYPES_BPF_H

#include <linux/bpf.h>
#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  __u32 val;
} sl_kernel_id; /* kuid_t, kgid_t */

typedef struct {
  int counter;
} sl_atomic; /* atomic_t */

struct ns_common {
  __u32 inum;
};
struct uts_namespace {
  struct ns_common ns;
};
struct ipc_namespace {
  struct ns_common ns;
};
struct net {
  struct ns_common ns;
};
struct cgroup_namespace {
  struct ns_common ns;
};
struct user_namespace {
  struct ns_common ns;
  int level;
  sl_kernel_id owner;
};
struct mnt_namespace {
  struct ns_common ns;
  struct user_namespace* user_ns;
};
struct mnt_namespace___sequence { /* before 6.18 */
  __u64 seq;
};
struct ns_common___number { /* since */
  __u64 ns_id;
};
struct mnt_namespace___number {
  struct ns_common___number ns;
};
enum init_ns_ino { MNT_NS_ANON_INO = 1 };
struct pid_namespace {
  struct ns_common ns;
};
struct time_namespace {
  struct ns_common ns;
};
struct nsproxy {
  struct uts_namespace* uts_ns;
  struct ipc_namespace* ipc_ns;
  struct mnt_namespace* mnt_ns;
  struct pid_namespace* pid_ns_for_children;
  struct net* net_ns;
  struct time_namespace* time_ns;
  struct time_namespace* time_ns_for_children;
  struct cgroup_namespace* cgroup_ns;
};

struct upid {
  int nr;
  struct pid_namespace* ns;
};
struct hlist_node {
  struct hlist_node* next;
};
struct hlist_head {
  struct hlist_node* first;
};
struct pid {
  unsigned int level;
  struct hlist_head tasks[4];
  struct upid numbers[1];
};

struct qstr {
  __u32 len;
  const unsigned char* name;
};
struct super_block {
  unsigned long s_flags;
  unsigned long s_magic;
};
struct inode {
  unsigned long i_ino;
  __u16 i_mode;
  sl_kernel_id i_uid;
  __u32 i_nlink;
  struct super_block* i_sb;
};
struct proc_inode {
  struct pid* pid;
  struct inode vfs_inode;
};
struct dentry {
  struct dentry* d_parent;
  struct qstr d_name;
  struct inode* d_inode;
};
struct vfsmount {
  struct dentry* mnt_root;
};
struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
  struct mnt_namespace* mnt_ns;
};
struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};
struct sl_in6_address {
  __u8 bytes[16]; /* CO-RE knows only the structure's place */
};
typedef struct {
  __s64 counter;
} sl_atomic64; /* atomic64_t */
struct sock_common {
  unsigned short skc_family;
  unsigned char skc_state;
  __u32 skc_daddr;
  __u32 skc_rcv_saddr;
  __u16 skc_num;
  __u16 skc_dport;
  struct sl_in6_address skc_v6_daddr;
  struct sl_in6_address skc_v6_rcv_saddr;
  sl_atomic64 skc_cookie;
};
struct socket;
struct sock {
  struct sock_common __sk_common;
  struct socket* sk_socket;
  __u16 sk_protocol;
  __u16 sk_type;
  __u32 sk_mark;
  __u32 sk_priority;
};
struct sk_buff {
  struct sock* sk;
  unsigned int len;
  __u32 mark;
  __u32 priority;
  __u16 network_header;
  unsigned char* head;
};
struct socket {
  struct sock* sk;
};
struct socket_alloc { /* what a socket's file has */
  struct socket socket;
  struct inode vfs_inode;
};
struct tcp_sock;
struct udp_sock;
struct file {
  struct path f_path;
  struct inode* f_inode;
  unsigned int f_mode;
  unsigned int f_flags;
};
struct vm_area_struct {
  unsigned long vm_flags;
  struct file* vm_file;
};
struct fdtable {
  unsigned int max_fds;
  struct file** fd;
};
struct files_struct {
  struct fdtable* fdt;
};
struct filename {
  const char* name;
};
struct net_device {
  char name[16];
};
struct module {
  char name[56];
};
struct load_info {
  const char* name;
};
struct sl_event_attributes { /* perf_event_attr */
  __u32 type;
};
struct perf_event {
  struct sl_event_attributes attr;
};
struct bpf_map {
  enum bpf_map_type map_type; /* linux/bpf.h */
  char name[16];
};
struct bpf_prog_aux {
  char name[16];
};
struct bpf_prog {
  enum bpf_prog_type type; /* linux/bpf.h */
  struct bpf_prog_aux* aux;
};
struct kiocb {
  struct file* ki_filp;
};
enum iter_type { ITER_IOVEC, ITER_KVEC, ITER_UBUF = 6 }; /* 6.1; CO-RE finds the numbers */
struct sl_buffer {                                       /* iovec, kvec */
  const void* base;
  __u64 size;
};
struct iov_iter {
  __u8 iter_type;
  __u64 iov_offset;
  __u64 count;
  const void* ubuf;
};
struct iov_iter___iov { /* before 6.4 */
  const struct sl_buffer* iov;
};
struct iov_iter___user_iov { /* since */
  const struct sl_buffer* __iov;
};
struct fs_struct {
  struct path root;
  struct path pwd;
};

struct kernfs_node {
  const char* name;
  __u64 id;
};
struct kernfs_node___parent { /* before 6.15 */
  struct kernfs_node* parent;
};
struct kernfs_node___rcu_parent { /* since */
  struct kernfs_node* __parent;
};
struct cgroup {
  struct kernfs_node* kn;
};
struct cgroup_subsys_state {
  struct cgroup* cgroup;
};
struct css_set {
  struct cgroup_subsys_state* subsys[16];
  struct cgroup* dfl_cgrp;
};
enum cgroup_subsys_id { memory_cgrp_id = 1, pids_cgrp_id = 2 };

typedef struct {
  __u32 cap[2];
} sl_kernel_caps; /* kernel_cap_t: since 6.3 one __u64; the bytes are the same on little-endian machines */

struct cred {
  sl_kernel_id uid;
  sl_kernel_id gid;
  sl_kernel_id suid;
  sl_kernel_id sgid;
  sl_kernel_id euid;
  sl_kernel_id egid;
  sl_kernel_id fsuid;
  sl_kernel_id fsgid;
  unsigned int securebits;
  sl_kernel_caps cap_inheritable;
  sl_kernel_caps cap_permitted;
  sl_kernel_caps cap_effective;
  struct user_namespace* user_ns;
};
struct mm_struct {
  unsigned long arg_start;
  unsigned long arg_end;
  struct file* exe_file;
};
struct tty_struct;
struct signal_struct {
  sl_atomic live;
  struct tty_struct* tty;
  unsigned int flags;
  int group_exit_code;
};
struct thread_info {
  __u32 status; /* on x86 */
};
struct task_struct {
  struct thread_info thread_info;
  unsigned int flags;
  int exit_code;
  int pid;
  int tgid;
  struct task_struct* real_parent;
  struct task_struct* group_leader;
  __u64 start_boottime;
  __u64 self_exec_id;
  struct pid* thread_pid;
  struct hlist_node pid_links[4];
  struct mm_struct* mm;
  const struct cred* cred;
  struct fs_struct* fs;
  struct files_struct* files;
  struct nsproxy* nsproxy;
  struct signal_struct* signal;
  struct css_set* cgroups;
  char comm[16];
};
struct task_struct___audit { /* CONFIG_AUDIT */
  sl_kernel_id loginuid;
};

struct linux_binprm {
  struct file* file;
  const char* filename;
  const char* interp;
  unsigned int per_clear;
  unsigned long p; /* where the arguments are in the new memory */
  int argc;
};

struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__task {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
};

struct bpf_iter__task_file {
  struct bpf_iter_meta* meta;
  struct task_struct* task;
  __u32 fd;
  struct file* file;
};

struct bpf_iter__tcp {
  struct bpf_iter_meta* meta;
  struct sock_common* sk_common;
};

struct bpf_iter__udp {
  struct bpf_iter_meta* meta;
  struct udp_sock* udp_sk;
};

#pragma clang attribute pop

#define SL_PF_EXITING 0x00000004
#define SL_CAP_SYS_ADMIN 21
#define SL_PF_KTHREAD 0x00200000
#define SL_SIGNAL_GROUP_EXIT 0x00000004
#define SL_TS_COMPAT 0x0002 /* thread_info.status on x86 */
#define SL_S_ISUID 0004000
#define SL_S_ISGID 0002000
#define SL_S_IXGRP 0000010

#endif
