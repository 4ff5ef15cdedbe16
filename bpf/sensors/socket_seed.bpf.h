/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Sockets that are open when the probes start. A first iterator notes the processes that hold each socket; a second one
 * makes a single holder its owner. If there are several holders, it is not known which acted last: the socket keeps the
 * owner from earlier probes, if that is alive, else it has none until a process acts on it. Owners that these probes
 * wrote meanwhile are newer and stay.
 */
#ifndef SLUICE_SOCKET_SEED_BPF_H
#define SLUICE_SOCKET_SEED_BPF_H

#include "bpf/sensors/socket_owner.bpf.h"

/* Writer: the first iterator; the agent empties it after the second. Full: the socket has no owner for now. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 1048576);
  __type(key, __u64);
  __type(value, struct sl_socket_holder);
} socket_holders SEC(".maps");

static __always_inline struct sock* inet_socket_of(struct file* file) {
  if (!file) return 0;
  struct socket* socket = bpf_sock_from_file(file);
  if (!socket) return 0;
  struct sock* sk = socket->sk;
  if (!sk) return 0;
  const unsigned short family = sk->__sk_common.skc_family;
  return family == SL_AF_INET || family == SL_AF_INET6 ? sk : 0;
}

static __always_inline int on_holder(struct task_struct* task, struct file* file) {
  struct sock* sk = inet_socket_of(file);
  if (!task || !sk) return 0;
  const __u64 cookie = bpf_get_socket_cookie(sk);
  const struct sl_socket_holder holder = {.birth_ns = task->group_leader->start_boottime, .tgid = task->tgid};
  if (bpf_map_update_elem(&socket_holders, &cookie, &holder, BPF_NOEXIST) == 0) return 0;
  struct sl_socket_holder* first = bpf_map_lookup_elem(&socket_holders, &cookie);
  if (first && (first->tgid != holder.tgid || first->birth_ns != holder.birth_ns)) first->several = 1;
  return 0;
}

static __always_inline int on_held(struct file* file) {
  struct sock* sk = inet_socket_of(file);
  if (!sk) return 0;
  const __u64 cookie = bpf_get_socket_cookie(sk);
  const struct sl_socket_holder* holder = bpf_map_lookup_elem(&socket_holders, &cookie);
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
