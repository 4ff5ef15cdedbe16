/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sockets that are open when the probes start. A first iterator visits the files of all tasks, and notes the processes
 * that hold each socket, by the number of its inode. It cannot write to the sockets: since 6.18.44 the kernel does not
 * trust one that was found by its file. So further iterators visit the sockets of each network namespace, and make a
 * single holder the owner. If there are several holders, it is not known which acted last: the socket keeps the owner
 * from earlier probes, if that is alive, else it has none until a process acts on it. Owners that these probes wrote
 * meanwhile are newer and stay. Sockets of other protocols than TCP and UDP have no owner until a process acts on them.
 */
#ifndef SLUICE_SOCKET_SEED_BPF_H
#define SLUICE_SOCKET_SEED_BPF_H

#include "bpf/sensors/socket_owner.bpf.h"

/* Writer: the first iterator; the agent empties it after the others. Full: the socket has no owner for now. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1048576);
  __type(key, __u64);
  __type(value, struct sl_socket_holder);
} socket_holders SEC(".maps");

/* The number of its inode; 0: no IPv4 or IPv6 socket. */
static __always_inline __u64 inet_socket_of(struct file* file) {
  if (!file) return 0;
  struct socket* socket = bpf_sock_from_file(file);
  if (!socket) return 0;
  struct sock* sk = socket->sk;
  if (!sk) return 0;
  const unsigned short family = sk->__sk_common.skc_family;
  return family == SL_AF_INET || family == SL_AF_INET6 ? file->f_inode->i_ino : 0;
}

static __always_inline int on_holder(struct task_struct* task, struct file* file) {
  const __u64 inode = inet_socket_of(file);
  if (!task || !inode) return 0;
  const struct sl_socket_holder holder = {.birth_ns = task->group_leader->start_boottime, .tgid = task->tgid};
  if (bpf_map_update_elem(&socket_holders, &inode, &holder, BPF_NOEXIST) == 0) return 0;
  struct sl_socket_holder* first = bpf_map_lookup_elem(&socket_holders, &inode);
  if (first && (first->tgid != holder.tgid || first->birth_ns != holder.birth_ns)) first->several = 1;
  return 0;
}

/* `sk`: as an iterator over sockets passes it. */
static __always_inline int on_held(void* sk) {
  const struct socket_alloc* file = (void*)BPF_CORE_READ((struct sock*)sk, sk_socket);
  const __u64 inode = file ? BPF_CORE_READ(file, vfs_inode.i_ino) : 0;
  if (!inode) return 0; /* no process has it: it was not accepted yet, or was closed */
  const __u64 cookie = bpf_get_socket_cookie(sk);
  const struct sl_socket_holder* holder = bpf_map_lookup_elem(&socket_holders, &inode);
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!owner || owner->session == session) return 0;
  if (holder && !holder->several) {
    if (owner->tgid != holder->tgid || owner->birth_ns != holder->birth_ns || owner->cookie != cookie)
      set_owner(owner, cookie, holder->birth_ns, holder->tgid, 0, false);
  } else if (owner->tgid && !present_process(owner->tgid, owner->birth_ns)) {
    owner->tgid = 0;
  }
  owner->session = session;
  return 0;
}

#endif
