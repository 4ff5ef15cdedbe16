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

/* Whether the Service still has the backend. Global, so that the verifier checks its loop once. */
__noinline int sl_has_backend(__u32 first, __u32 count, const struct sl_service_backend* wanted) {
  if (!wanted || !count) return 0;
  __u32 low = first;
  for (int i = 0; i < SL_SERVICE_SEARCH_STEPS; i++) { /* it is not below `low` and not after the next `count` */
    if (count <= 1) break;
    const __u32 half = count / 2;
    const struct sl_service_backend* middle = sl_backend_at(low + half);
    if (!middle) return 0;
    if (sl_compare_backends(middle, wanted) <= 0) {
      low += half;
      count -= half;
    } else {
      count = half;
    }
  }
  const struct sl_service_backend* found = sl_backend_at(low);
  return found && !sl_compare_backends(found, wanted);
}

#endif
