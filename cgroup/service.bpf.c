/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Services at the socket: a pod's program uses a Service's address, and its socket uses a backend's.
 *
 *   connect          TCP, and UDP that connects: chooses a backend
 *   sendmsg          UDP that names an address with each datagram: the socket's earlier choice, or a new one
 *   recvmsg          UDP: the sender is the Service that the socket had asked for
 *   getpeername      the same for the peer
 *
 * Only sockets of the namespaces in `service_clients` are translated. What was translated is translated back also after
 * its namespace has left them.
 */
#include <linux/bpf.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "bpf/lib/service.bpf.h"
#include "cgroup/rewrite.bpf.h"
#include "cgroup/stale_sockets.bpf.h"

#define PASS 1
#define REFUSE 0
#define SL_ECONNREFUSED 111

/* The kernel has bpf_set_retval (5.18). Without it a refused call fails with EPERM. */
const volatile __u8 can_set_error = 0;

enum use { USE_CONNECT, USE_SEND };
enum result { UNCHANGED, TRANSLATED, REFUSED };

/* Index of the socket's translation of this address of the Service; -1: none. */
static __always_inline int find_translation(const struct sl_service_socket* socket, const struct sl_service_key* key,
                                            __u32 number) {
  for (int i = 0; i < SL_SOCKET_TRANSLATIONS; i++)
    if (socket->last[i].number == number && sl_same_end(&socket->last[i].service, key)) return i;
  return -1;
}

/* The socket now uses an address that is not a Service's: who answers from there is not a Service any more. */
static __always_inline void forget_translations(struct sl_service_socket* socket, struct bpf_sock* sk,
                                                const struct sl_service_key* key, enum use use) {
  if (use == USE_CONNECT || !sk->dst_port) {
    socket->connected = 0;
    socket->last[0].number = 0;
  }
  for (int i = 1; i < SL_SOCKET_TRANSLATIONS; i++)
    if (sl_same_end(&socket->last[i].backend, key)) socket->last[i].number = 0;
}

/* last[0] is what the socket is connected to, the others are the ring. */
static __always_inline struct sl_translation* translation_at(struct sl_service_socket* socket, __u32 index) {
  barrier_var(index); /* or clang takes the mask away, which the verifier needs */
  return &socket->last[index & (SL_SOCKET_TRANSLATIONS - 1)];
}

static __always_inline void note_translation(struct sl_service_socket* socket, const struct sl_service_key* key,
                                             __u32 number, const struct sl_service_backend* backend, enum use use) {
  __u32 at = 0;
  if (use == USE_SEND) {
    const int known = find_translation(socket, key, number);
    at = known;
    if (known <= 0) {
      at = 1 + socket->next;
      socket->next = at < SL_SOCKET_RING ? at : 0;
    }
    socket->latest = at;
  }
  struct sl_translation* translation = translation_at(socket, at);
  translation->backend = *backend;
  translation->service = *key;
  translation->number = number;
  if (use == USE_CONNECT) socket->connected = 1;
}

/* The backend that the socket's earlier datagrams to this address went to, while the Service has it. */
static __always_inline int keep_backend(struct sl_service_socket* socket, const struct sl_service_key* key,
                                        const struct sl_service* service, struct sl_service_backend* backend) {
  const int known = find_translation(socket, key, service->number);
  if (known < 0) return 0;
  *backend = translation_at(socket, known)->backend;
  if (socket->latest != known) socket->latest = known;
  return sl_has_backend(service->first, service->count, backend);
}

static __always_inline enum result translate(struct bpf_sock_addr* ctx, const struct sl_service_key* key, enum use use,
                                             struct sl_service_backend* backend) {
  struct bpf_sock* sk = ctx->sk;
  const __u64 client = bpf_get_netns_cookie(ctx);
  if (!sk || !bpf_map_lookup_elem(&service_clients, &client)) return UNCHANGED;
  struct sl_service_socket* socket = bpf_sk_storage_get(&service_sockets, sk, 0, 0);
  struct sl_service service;
  if (!sl_read_service(key, &service)) {
    if (socket) forget_translations(socket, sk, key, use);
    return UNCHANGED;
  }
  if (!service.count) return REFUSED;
  const int known = use == USE_SEND && socket && keep_backend(socket, key, &service, backend);
  if (!known) {
    if (!sl_choose_backend(client, &service, bpf_ktime_get_coarse_ns(), backend)) return UNCHANGED;
    /* Without this memory, answers could not be translated back: the packet path translates instead. */
    if (!socket) socket = bpf_sk_storage_get(&service_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (!socket) return UNCHANGED;
    socket->client = client;
    note_translation(socket, key, service.number, backend, use);
  }
  return TRANSLATED;
}

static __always_inline int refuse(void) {
  if (can_set_error) bpf_set_retval(-SL_ECONNREFUSED);
  return REFUSE;
}

static __always_inline int is_translatable(const struct bpf_sock_addr* ctx) {
  return ctx->protocol == SL_IPPROTO_TCP || ctx->protocol == SL_IPPROTO_UDP;
}

static __always_inline int translate4(struct bpf_sock_addr* ctx, enum use use) {
  struct sl_service_backend backend;
  struct sl_service_key key;
  if (!is_translatable(ctx)) return PASS;
  read_end4(ctx, &key);
  switch (translate(ctx, &key, use, &backend)) {
    case REFUSED:
      return refuse();
    case TRANSLATED:
      if (!sl_is_mapped_ipv4(&backend.addr)) return refuse();
      write_end4(ctx, &backend.addr, backend.port);
      return PASS;
    default:
      return PASS;
  }
}

static __always_inline int translate6(struct bpf_sock_addr* ctx, enum use use) {
  struct sl_service_backend backend;
  struct sl_service_key key;
  if (!is_translatable(ctx)) return PASS;
  read_end6(ctx, &key);
  switch (translate(ctx, &key, use, &backend)) {
    case REFUSED:
      return refuse();
    case TRANSLATED:
      write_end6(ctx, &backend.addr, backend.port);
      return PASS;
    default:
      return PASS;
  }
}

SEC("cgroup/connect4")
int sv_connect4(struct bpf_sock_addr* ctx) { return translate4(ctx, USE_CONNECT); }

SEC("cgroup/connect6")
int sv_connect6(struct bpf_sock_addr* ctx) { return translate6(ctx, USE_CONNECT); }

SEC("cgroup/sendmsg4")
int sv_sendmsg4(struct bpf_sock_addr* ctx) { return translate4(ctx, USE_SEND); }

SEC("cgroup/sendmsg6")
int sv_sendmsg6(struct bpf_sock_addr* ctx) { return translate6(ctx, USE_SEND); }

/* The Service that the socket asked for when it got this backend: what it is connected to, else the one it used last.
 */
static __always_inline const struct sl_service_key* find_service(struct sl_service_socket* socket, struct bpf_sock* sk,
                                                                 const struct sl_service_key* end) {
  const struct sl_translation* first = &socket->last[0];
  const int is_first = first->number && sl_same_end(&first->backend, end);
  if (is_first && socket->connected && sk->dst_port) return &first->service;
  __u32 at = socket->latest;
  const struct sl_translation* latest = translation_at(socket, at);
  if (at && latest->number && sl_same_end(&latest->backend, end)) return &latest->service;
  at = socket->next;
  for (__u32 i = 0; i < SL_SOCKET_RING; i++) {
    at = at ? at - 1 : SL_SOCKET_RING - 1;
    const struct sl_translation* one = translation_at(socket, 1 + at);
    if (one->number && sl_same_end(&one->backend, end)) return &one->service;
  }
  return is_first ? &first->service : NULL;
}

static __always_inline const struct sl_service_key* original(struct bpf_sock_addr* ctx,
                                                             const struct sl_service_key* end) {
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return NULL;
  struct sl_service_socket* socket = bpf_sk_storage_get(&service_sockets, sk, 0, 0);
  return socket ? find_service(socket, sk, end) : NULL;
}

static __always_inline int translate_back4(struct bpf_sock_addr* ctx) {
  struct sl_service_key end;
  read_end4(ctx, &end);
  const struct sl_service_key* service = original(ctx, &end);
  if (service) write_end4(ctx, &service->addr, service->port);
  return PASS;
}

static __always_inline int translate_back6(struct bpf_sock_addr* ctx) {
  struct sl_service_key end;
  read_end6(ctx, &end);
  const struct sl_service_key* service = original(ctx, &end);
  if (service) write_end6(ctx, &service->addr, service->port);
  return PASS;
}

SEC("cgroup/recvmsg4")
int sv_recvmsg4(struct bpf_sock_addr* ctx) { return translate_back4(ctx); }

SEC("cgroup/recvmsg6")
int sv_recvmsg6(struct bpf_sock_addr* ctx) { return translate_back6(ctx); }

SEC("cgroup/getpeername4")
int sv_getpeername4(struct bpf_sock_addr* ctx) { return translate_back4(ctx); }

SEC("cgroup/getpeername6")
int sv_getpeername6(struct bpf_sock_addr* ctx) { return translate_back6(ctx); }

char LICENSE[] SEC("license") = "Dual BSD/GPL";
