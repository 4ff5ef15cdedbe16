/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Chooses a backend of a Service. */
#ifndef SLUICE_SERVICE_BPF_H
#define SLUICE_SERVICE_BPF_H

#include <bpf/bpf_endian.h>

#include "bpf/lib/flow_key.bpf.h"
#include "bpf/lib/service_maps.bpf.h"

static __always_inline const struct sl_service* sl_find_service(const struct sl_service_key* key) {
  return bpf_map_lookup_elem(&services, key);
}

#define SL_SERVICE_READS 3

/*
 * 1: `service` is a copy of the key's entry. The kernel may use the memory of a replaced entry for another key at once,
 * while we read it: two reads that agree are of this key.
 */
static __always_inline int sl_read_service(const struct sl_service_key* key, struct sl_service* service) {
  for (int i = 0; i < SL_SERVICE_READS; i++) {
    const struct sl_service* entry = sl_find_service(key);
    if (!entry) return 0;
    *service = *entry;
    barrier();
    entry = sl_find_service(key);
    if (entry && entry->number == service->number && entry->first == service->first && entry->count == service->count &&
        entry->affinity == service->affinity)
      return 1;
  }
  return 0;
}

static __always_inline const struct sl_service_backend* sl_backend_at(__u32 index) {
  return bpf_map_lookup_elem(&service_backends, &index);
}

/*
 * Whether a Service still has the backend. Global, so that the verifier checks it once. It counts from `first`, and
 * reads `wanted` at each step: what a comparison tells the verifier about a value that the next step uses would give
 * each step more states than the one before.
 */
__noinline int sl_has_backend(__u32 first, __u32 count, const struct sl_service_backend* wanted) {
  const __u32 end = first + count;
  __u32 next = first; /* those before it are not above what is wanted */
  if (!wanted) return 0;
  for (__u32 step = 1U << SL_SERVICE_SEARCH_STEPS; step; step >>= 1) {
    if (next + step > end) continue;
    const struct sl_service_backend* at = sl_backend_at(next + step - 1);
    if (!at) continue;
    barrier_var(wanted);
    const __u64 at_high = bpf_be64_to_cpu(sl_load_u64(at->addr.bytes));
    const __u64 at_low = bpf_be64_to_cpu(sl_load_u64(at->addr.bytes + 8));
    const __u64 high = bpf_be64_to_cpu(sl_load_u64(wanted->addr.bytes));
    const __u64 low = bpf_be64_to_cpu(sl_load_u64(wanted->addr.bytes + 8));
    const __u32 at_port = bpf_ntohs(at->port), port = bpf_ntohs(wanted->port);
    if (at_high > high || (at_high == high && (at_low > low || (at_low == low && at_port > port)))) continue;
    if (at_high == high && at_low == low && at_port == port) return 1;
    next += step;
  }
  return 0;
}

/* 0: there is none, or the tables are not those that `service` is of. */
static __always_inline int sl_pick_backend(const struct sl_service* service, struct sl_service_backend* backend) {
  const __u32 index = (__u32)(((__u64)bpf_get_prandom_u32() * service->count) >> 32);
  const struct sl_service_backend* at = sl_backend_at(service->first + index);
  if (!service->count || !at) return 0;
  *backend = *at;
  return 1;
}

/*
 * Chooses for a new connection of `client`: at random, or by affinity. Two connections that begin it at the same time
 * get the same backend.
 */
static __always_inline int sl_choose_backend(__u64 client, const struct sl_service* service, __u64 now_ns,
                                             struct sl_service_backend* backend) {
  if (!service->affinity) return sl_pick_backend(service, backend);
  const struct sl_affinity_key key = {.client = client, .number = service->number};
  struct sl_affinity* known = bpf_map_lookup_elem(&service_affinity, &key);
  const __u64 lasts_ns = service->affinity * SL_SECOND_NS;
  if (known) {
    *backend = known->backend;
    if (now_ns - known->used_ns < lasts_ns && sl_has_backend(service->first, service->count, backend)) {
      known->used_ns = now_ns;
      return 1;
    }
  }
  if (!sl_pick_backend(service, backend)) return 0;
  struct sl_affinity fresh = {.used_ns = now_ns};
  fresh.backend = *backend;
  if (known) {
    bpf_map_update_elem(&service_affinity, &key, &fresh, BPF_ANY);
  } else if (bpf_map_update_elem(&service_affinity, &key, &fresh, BPF_NOEXIST) != 0) {
    known = bpf_map_lookup_elem(&service_affinity, &key);
    if (known) *backend = known->backend;
  }
  return 1;
}

#endif
