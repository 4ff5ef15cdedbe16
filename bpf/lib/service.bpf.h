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

static __always_inline const struct sl_service_backend* sl_backend_at(__u32 index) {
  return bpf_map_lookup_elem(&service_backends, &index);
}

/* As the ranges are sorted. */
static __always_inline int sl_compare_backends(const struct sl_service_backend* a, const struct sl_service_backend* b) {
  const int order = sl_compare(&a->addr, &b->addr);
  if (order) return order;
  const __u16 p = bpf_ntohs(a->port), q = bpf_ntohs(b->port);
  return p == q ? 0 : p < q ? -1 : 1;
}

/* Whether the Service still has the backend. Not inlined: a loop that is rarely needed. */
static __noinline int sl_has_backend(__u32 first, __u32 count, const struct sl_service_backend* wanted) {
  __u32 low = 0, high = count;
  if (!wanted) return 0;
  for (int i = 0; i < SL_SERVICE_SEARCH_STEPS + 1 && low < high; i++) {
    const __u32 middle = low + (high - low) / 2;
    const struct sl_service_backend* at = sl_backend_at(first + middle);
    if (!at) return 0;
    const int order = sl_compare_backends(at, wanted);
    if (!order) return 1;
    if (order < 0)
      low = middle + 1;
    else
      high = middle;
  }
  return 0;
}

#endif
