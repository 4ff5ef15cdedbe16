/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Socket -> process: the process that last connected, bound, accepted or sent. All programs run in its context; threads
 * and io_uring workers share its tgid. The loader loads the shared programs and those of one back end.
 *
 *                          shared                  functions             tracepoints
 *   create, bind, connect  cgroup/...
 *   send, but TCP          cgroup_skb/egress
 *   close, UDP             cgroup/sock_release
 *   send, TCP                                      tcp_sendmsg_locked    tcp_sendmsg_locked
 *   accept                                         inet_accept           getpeername (accept(2) with an address), else
 *                                                                        first send, receive or close
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/sensors/datagram.bpf.h"
#include "bpf/sensors/socket_owner.bpf.h"
#include "bpf/sensors/socket_seed.bpf.h"

#define PASS 1

SEC("cgroup/sock_create")
int cg_create(struct bpf_sock* sk) {
  claim(bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE), bpf_get_socket_cookie(sk), CLAIM_QUIETLY);
  return PASS;
}

static __always_inline int on_bind(struct bpf_sock* sk) {
  claim(bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE), bpf_get_socket_cookie(sk), CLAIM_ALWAYS);
  return PASS;
}

SEC("cgroup/post_bind4")
int cg_bind4(struct bpf_sock* sk) { return on_bind(sk); }

SEC("cgroup/post_bind6")
int cg_bind6(struct bpf_sock* sk) { return on_bind(sk); }

static __always_inline int on_connect(struct bpf_sock_addr* ctx) {
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return PASS;
  claim(bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE), bpf_get_socket_cookie(ctx), CLAIM_ALWAYS);
  return PASS;
}

SEC("cgroup/connect4")
int cg_connect4(struct bpf_sock_addr* ctx) { return on_connect(ctx); }

SEC("cgroup/connect6")
int cg_connect6(struct bpf_sock_addr* ctx) { return on_connect(ctx); }

/*
 * Every packet that leaves a socket passes here, before the packet path sees it. A packet of a datagram or raw socket
 * is sent by the current process, except when the kernel delays it and sends it from its own thread (IPsec). TCP
 * packets may be sent in any process's context. No owner is created here: kernel sockets have none, and stay without.
 */
SEC("cgroup_skb/egress")
int cg_send(struct __sk_buff* skb) {
  struct bpf_sock* sk = skb->sk;
  if (!sk) return PASS;
  sk = bpf_sk_fullsock(sk);
  if (!sk || sk->protocol == SL_IPPROTO_TCP) return PASS;
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, sk, 0, 0);
  if (!owner || bpf_get_current_task_btf()->flags & SL_PF_KTHREAD) return PASS;
  on_datagram(skb, sk, owner);
  return PASS;
}

/* The last process that had the socket open closes it; its port is still taken. */
SEC("cgroup/sock_release")
int cg_close(struct bpf_sock* sk) {
  if (sk->protocol != SL_IPPROTO_UDP) return PASS;
  struct sl_socket_owner* owner = bpf_sk_storage_get(&sockets, sk, 0, 0);
  __u32* closed = sl_closed_like(bpf_get_socket_cookie(sk));
  if (!owner || !closed) return PASS;
  __sync_lock_test_and_set(&owner->closed,
                           1); /* before the count, as the packet path reads them in the reverse order */
  __sync_fetch_and_add(closed, 1);
  return PASS;
}

static __always_inline int on_tcp_send(struct sock* sk) {
  claim(bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE), bpf_get_socket_cookie(sk), CLAIM_ALWAYS);
  return 0;
}

static __always_inline int on_tcp_accepted(struct sock* sk) {
  claim(bpf_sk_storage_get(&sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE), bpf_get_socket_cookie(sk), CLAIM_INHERITED);
  return 0;
}

/* Functions. */

SEC("fentry/tcp_sendmsg_locked")
int BPF_PROG(fn_tcp_send, struct sock* sk) { return on_tcp_send(sk); }

SEC("fexit/inet_accept")
int BPF_PROG(fn_accept, struct socket* listener, struct socket* accepted) {
  struct sock* sk = accepted->sk;
  return sk ? on_tcp_accepted(sk) : 0;
}

/* Tracepoints. */

SEC("tp_btf/tcp_sendmsg_locked")
int BPF_PROG(tp_tcp_send, struct sock* sk) { return on_tcp_send(sk); }

SEC("tp_btf/sock_recv_length")
int BPF_PROG(tp_receive, struct sock* sk) { return sk->sk_protocol == SL_IPPROTO_TCP ? on_tcp_accepted(sk) : 0; }

static __always_inline int on_getpeername(struct bpf_sock_addr* ctx) {
  struct bpf_sock* sk = ctx->sk;
  if (sk) claim(bpf_sk_storage_get(&sockets, sk, 0, 0), bpf_get_socket_cookie(ctx), CLAIM_INHERITED);
  return PASS;
}

SEC("cgroup/getpeername4")
int cg_getpeername4(struct bpf_sock_addr* ctx) { return on_getpeername(ctx); }

SEC("cgroup/getpeername6")
int cg_getpeername6(struct bpf_sock_addr* ctx) { return on_getpeername(ctx); }

SEC("cgroup/sock_release")
int cg_release(struct bpf_sock* sk) {
  claim(bpf_sk_storage_get(&sockets, sk, 0, 0), bpf_get_socket_cookie(sk), CLAIM_INHERITED);
  return PASS;
}

/* Sockets that existed before the probes. */

SEC("iter/task_file")
int note_holders(struct bpf_iter__task_file* ctx) { return on_holder(ctx->task, ctx->file); }

SEC("iter/tcp")
int give_tcp_owners(struct bpf_iter__tcp* ctx) {
  struct sock_common* sk = ctx->sk_common;
  struct tcp_sock* socket = sk ? bpf_skc_to_tcp_sock(sk) : 0; /* 0: no process has it any more */
  return socket ? on_held(socket) : 0;
}

SEC("iter/udp")
int give_udp_owners(struct bpf_iter__udp* ctx) {
  struct udp_sock* socket = ctx->udp_sk;
  return socket ? on_held(socket) : 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
