/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a descriptor means, from the kernel's own structures: so it is known for one that was duplicated, passed by
 * another process, or there before the sensors, and the caller's memory has no say. */
#ifndef SLUICE_CALL_DESCRIPTOR_BPF_H
#define SLUICE_CALL_DESCRIPTOR_BPF_H

#include <bpf/bpf_endian.h>

#include "bpf/calls/text.bpf.h"

/* The open file with this number in the current process. */
static __always_inline struct file* file_of(__s32 number) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct fdtable* table = SL_LOAD(task, files, fdt);
  struct file* file = NULL;
  if (!table || number < 0 || (__u32)number >= table->max_fds) return NULL;
  bpf_probe_read_kernel(&file, sizeof(file), table->fd + number);
  return file;
}

enum overlay_layer { LAYER_NONE, LAYER_UPPER, LAYER_LOWER };

/* Of a file of an overlay: its inode is the one of struct ovl_inode, in all kernels so far followed by the dentry in
 * the upper layer. The overlay may be a module, so the structure is not among the kernel's types. */
static __always_inline enum overlay_layer layer_of(const struct inode* inode) {
  const void* upper = NULL;
  if (BPF_CORE_READ(inode, i_sb, s_magic) != SL_OVERLAYFS_MAGIC) return LAYER_NONE;
  bpf_probe_read_kernel(&upper, sizeof(upper), (void*)inode + bpf_core_type_size(struct inode));
  return upper ? LAYER_UPPER : LAYER_LOWER;
}

static __always_inline void set_ipv4(struct sl_addr* to, __u32 address) {
  __u32* words = (__u32*)to;
  words[0] = words[1] = 0;
  words[2] = bpf_htonl(0xffff);
  words[3] = address;
}

/* Whether the local end is the server's. A connection that was accepted shares its port with the listener, so its port
 * was bound, and not by itself; one that connected has a port that was taken for it, or bound itself. A datagram's
 * server is the end that bound its port. Wrong for a client that bound an address with port 0 before it connected. */
static __always_inline bool is_server(const struct sock* sk, __u16 protocol, __u16 state) {
  const struct sock___locks* locks = (const void*)sk;
  const bool bound = BPF_CORE_READ_BITFIELD_PROBED(locks, sk_userlocks) & SL_SOCK_BINDPORT_LOCK;
  if (protocol != SL_CALL_IPPROTO_TCP) return bound;
  if (state == SL_TCP_LISTEN) return true;
  const struct inet_connection_sock* connection = (const void*)sk;
  const struct inet_bind_bucket* bucket = BPF_CORE_READ(connection, icsk_bind_hash);
  return !bound && bucket && BPF_CORE_READ(bucket, fastreuse) >= 0;
}

static __always_inline void describe_ip_socket(struct sl_call_file* to, const struct sock* sk) {
  const __u16 family = to->family, state = to->state;
  if (family == SL_CALL_AF_INET) {
    set_ipv4(&to->local, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
    set_ipv4(&to->remote, BPF_CORE_READ(sk, __sk_common.skc_daddr));
  } else {
    BPF_CORE_READ_INTO(&to->local, sk, __sk_common.skc_v6_rcv_saddr);
    BPF_CORE_READ_INTO(&to->remote, sk, __sk_common.skc_v6_daddr);
  }
  to->local_port = BPF_CORE_READ(sk, __sk_common.skc_num);
  to->remote_port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
  if (is_server(sk, to->protocol, state)) to->flags |= SL_CALL_FILE_SERVER;
  const bool listens = to->protocol == SL_CALL_IPPROTO_TCP && state == SL_TCP_LISTEN;
  if (to->remote_port && state != SL_TCP_CLOSE && state != SL_TCP_SYN_SENT) to->flags |= SL_CALL_FILE_CONNECTED;
  if (family == SL_CALL_AF_INET)
    to->descriptor = listens ? SL_CALL_OF_IPV4_LISTENER : SL_CALL_OF_IPV4;
  else
    to->descriptor = listens ? SL_CALL_OF_IPV6_LISTENER : SL_CALL_OF_IPV6;
}

__noinline int describe_socket(__u32 index, __u64 address) {
  struct call_scratch* scratch = scratch_at(index);
  const struct sock* sk = (const void*)address;
  if (!scratch || !sk) return 0;
  struct sl_call_file* to = &scratch->event.file;
  to->family = BPF_CORE_READ(sk, __sk_common.skc_family);
  to->protocol = BPF_CORE_READ(sk, sk_protocol);
  to->type = BPF_CORE_READ(sk, sk_type);
  to->state = BPF_CORE_READ(sk, __sk_common.skc_state);
  if (to->family == SL_CALL_AF_INET || to->family == SL_CALL_AF_INET6)
    describe_ip_socket(to, sk);
  else if (to->family == SL_CALL_AF_UNIX)
    to->descriptor = SL_CALL_OF_UNIX;
  else if (to->family == SL_CALL_AF_NETLINK)
    to->descriptor = SL_CALL_OF_NETLINK;
  return 0;
}

static __always_inline const struct sock* sock_of(const struct inode* inode) {
  const struct socket_alloc* whole = (const void*)inode - bpf_core_field_offset(struct socket_alloc, vfs_inode);
  return BPF_CORE_READ(whole, socket.sk);
}

/* What decides whether the event is wanted: most are not. */
__noinline int describe_file(__u32 index, __u64 address) {
  struct call_scratch* scratch = scratch_at(index);
  const struct file* file = (const void*)address;
  if (!scratch || !file) return 0;
  struct sl_call_file* to = &scratch->event.file;
  const struct inode* inode = NULL;
  const struct super_block* block = NULL;
  to->flags = SL_CALL_FILE_KNOWN;
  inode = BPF_CORE_READ(file, f_inode);
  to->open_flags = BPF_CORE_READ(file, f_flags);
  to->open_mode = BPF_CORE_READ(file, f_mode);
  block = BPF_CORE_READ(inode, i_sb);
  to->mode = BPF_CORE_READ(inode, i_mode);
  to->magic = BPF_CORE_READ(block, s_magic);
  to->descriptor = SL_CALL_OF_OTHER;
  const __u32 type = to->mode & SL_S_IFMT;
  if (to->magic == SL_ANON_INODE_MAGIC) return 0; /* eventfd, epoll, ...: some kernels have them as files */
  if (type == SL_S_IFREG || type == SL_S_IFCHR || type == SL_S_IFBLK || type == SL_S_IFLNK)
    to->descriptor = SL_CALL_OF_FILE;
  else if (type == SL_S_IFDIR)
    to->descriptor = SL_CALL_OF_DIRECTORY;
  else if (type == SL_S_IFIFO)
    to->descriptor = SL_CALL_OF_PIPE;
  else if (type == SL_S_IFSOCK)
    describe_socket(index, (__u64)sock_of(inode));
  return 0;
}

/* The rest, but the path. */
__noinline int describe_inode(__u32 index, __u64 address) {
  struct call_scratch* scratch = scratch_at(index);
  const struct file* file = (const void*)address;
  if (!scratch || !file) return 0;
  struct sl_call_file* to = &scratch->event.file;
  const struct inode* inode = BPF_CORE_READ(file, f_inode);
  const struct super_block___device* block = (const void*)BPF_CORE_READ(inode, i_sb);
  to->inode = BPF_CORE_READ(inode, i_ino);
  to->device = BPF_CORE_READ(block, s_dev);
  if (to->descriptor != SL_CALL_OF_FILE) return 0;
  const enum overlay_layer layer = layer_of(inode);
  if (layer == LAYER_UPPER) to->flags |= SL_CALL_FILE_UPPER;
  if (layer == LAYER_LOWER) to->flags |= SL_CALL_FILE_LOWER;
  return 0;
}

/* The name of a Unix socket: its peer's, or its own if that has none. */
static __always_inline void append_unix_name(struct call_scratch* scratch, const struct sock* sk) {
  const struct unix_sock* one = (const void*)sk;
  if (!bpf_core_field_exists(one->addr)) return;
  const struct unix_sock* peer = (const void*)BPF_CORE_READ(one, peer);
  const struct unix_address* name = peer ? BPF_CORE_READ(peer, addr) : NULL;
  if (!name) name = BPF_CORE_READ(one, addr);
  if (!name) return;
  __u32 length = BPF_CORE_READ(name, len);
  if (length < 3 || length > 110) return;
  length -= 2; /* the family */
  const void* path = (const void*)name + bpf_core_type_size(struct unix_address) + 2;
  append_kernel_bytes(scratch, SL_CALL_TEXT_NAME, path, length);
}

/* The name of the file that was described. */
__noinline int append_name(__u32 index, __u64 address) {
  struct call_scratch* scratch = scratch_at(index);
  const struct file* file = (const void*)address;
  if (!scratch || !file) return 0;
  struct sl_call_file* to = &scratch->event.file;
  if (to->descriptor == SL_CALL_OF_UNIX) append_unix_name(scratch, sock_of(BPF_CORE_READ(file, f_inode)));
  if ((to->mode & SL_S_IFMT) == SL_S_IFSOCK) return 0;
  const __u32 cut = scratch->event.flags & SL_CALL_TEXT_CUT;
  scratch->event.flags &= ~SL_CALL_TEXT_CUT;
  if (append_path(index, SL_CALL_TEXT_NAME, (__u64)BPF_CORE_READ(file, f_path.dentry),
                  (__u64)BPF_CORE_READ(file, f_path.mnt)))
    to->flags |= SL_CALL_FILE_DETACHED;
  if (scratch->event.flags & SL_CALL_TEXT_CUT) to->flags |= SL_CALL_FILE_TRUNCATED;
  scratch->event.flags |= cut;
  return 0;
}

/* The path of a directory that a text is relative to. */
__noinline int append_directory(__u32 index, __u32 text, __s32 number) {
  if (number == SL_AT_FDCWD) return append_working_directory(index, text);
  struct file* file = file_of(number);
  if (!file) return 0;
  append_path(index, text, (__u64)BPF_CORE_READ(file, f_path.dentry), (__u64)BPF_CORE_READ(file, f_path.mnt));
  return 0;
}

#endif
