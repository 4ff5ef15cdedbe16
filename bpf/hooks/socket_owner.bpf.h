/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* TrackSock: events about a socket name the process that used it first, not the one that runs by chance, as when the
 * kernel sends or receives on its behalf. */
#ifndef SLUICE_SOCKET_OWNER_BPF_H
#define SLUICE_SOCKET_OWNER_BPF_H

#include "bpf/hooks/act.bpf.h"

/* The address of the struct sock that an argument leads to; 0: none. */
static __always_inline __u64 sock_of(struct hook_scratch* scratch, const struct sl_hook_argument* how) {
  const __u64 address = register_at(scratch, how->index);
  switch (how->read) {
    case SL_HOOK_READ_SOCK:
      return address;
    case SL_HOOK_READ_SOCKET:
      return (__u64)BPF_CORE_READ((const struct socket*)address, sk);
    case SL_HOOK_READ_SKB:
      return (__u64)BPF_CORE_READ((const struct sk_buff*)address, sk);
  }
  return 0;
}

#define SL_NO_COOKIE (1ull << 63)

static __always_inline __u64 cookie_of(const struct sock* sock) {
  return BPF_CORE_READ(sock, __sk_common.skc_cookie.counter);
}

/* SL_NO_COOKIE, the port that the socket is connected to, and the number of its file; 0: it has none, as before accept
 * and after close. */
static __always_inline __u64 file_of_sock(const struct sock* sock) {
  const struct socket_alloc* file = (const void*)BPF_CORE_READ(sock, sk_socket);
  const __u32 inode = file ? BPF_CORE_READ(file, vfs_inode.i_ino) : 0;
  const __u16 port = BPF_CORE_READ(sock, __sk_common.skc_dport);
  return SL_NO_COOKIE | (__u64)port << 32 | inode;
}

/* The socket's cookie, which the kernel gives it only when somebody asks, or what stands for it. */
static __always_inline __u64 identity_of(__u64 address) {
  const struct sock* sock = (const void*)address;
  const __u64 cookie = cookie_of(sock);
  return cookie ? cookie : file_of_sock(sock);
}

/* Whether it is still the socket that had the identity. Without a cookie or a file, the port has to do. */
static __always_inline bool has_identity(__u64 address, __u64 identity) {
  const struct sock* sock = (const void*)address;
  if (!(identity & SL_NO_COOKIE)) return cookie_of(sock) == identity;
  const __u64 now = file_of_sock(sock);
  return (__u32)now && (__u32)identity ? (__u32)now == (__u32)identity : now >> 32 == identity >> 32;
}

/* TrackSock and UntrackSock. `argument`: of the hook's; SL_HOOK_ARGUMENTS: the return value. */
__noinline int track_socket(__u32 index, __u32 hook_number, __u32 argument, bool forget) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sl_hook* hook = hooks_at(hook_number);
  void* const owners = hook_socket_owners_if_made();
  if (!scratch || !hook || !owners) return 0;
  const __u64 sock = argument < SL_HOOK_ARGUMENTS ? sock_of(scratch, &hook->arguments[argument])
                                                  : sock_of(scratch, &hook->return_value);
  if (!sock) return 0;
  if (forget) return bpf_map_delete_elem(owners, &sock);
  const struct hook_socket_owner owner = {.process = scratch->event.process,
                                          .birth_ns = scratch->event.birth_ns,
                                          .cgroup = scratch->event.cgroup,
                                          .identity = identity_of(sock),
                                          .pid = scratch->event.pid,
                                          .tid = scratch->event.tid,
                                          .subject = scratch->event.subject};
  return bpf_map_update_elem(owners, &sock, &owner, BPF_ANY);
}

/* Names the process that a tracked socket among the arguments belongs to. */
__noinline int name_socket_owner(__u32 index, __u32 hook_number) {
  struct hook_scratch* scratch = scratch_at(index);
  void* const owners = hook_socket_owners_if_made();
  if (!owners) return 0;
  const struct sl_hook* hook = hooks_at(hook_number);
  if (!scratch || !hook) return 0;
  for (__u32 i = 0; i < SL_HOOK_ARGUMENTS; i++) {
    const __u64 sock = sock_of(scratch, &hook->arguments[i]);
    const struct hook_socket_owner* owner = sock ? bpf_map_lookup_elem(owners, &sock) : NULL;
    if (!owner || !has_identity(sock, owner->identity)) continue;
    scratch->event.process = owner->process;
    scratch->event.birth_ns = owner->birth_ns;
    scratch->event.cgroup = owner->cgroup;
    scratch->event.pid = owner->pid;
    scratch->event.tid = owner->tid;
    scratch->event.subject = owner->subject;
    scratch->described = 0; /* for the next hook, it is the current process again */
    return 0;
  }
  return 0;
}

#endif
