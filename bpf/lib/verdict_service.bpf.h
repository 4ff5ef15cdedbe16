/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Decides packets with a Service's address that others translate after this hook: each backend could receive them, so
 * each must be allowed.
 */
#ifndef SLUICE_VERDICT_SERVICE_BPF_H
#define SLUICE_VERDICT_SERVICE_BPF_H

#include "bpf/lib/evaluation.bpf.h"

/* Policy for the question's source and the backend at `index`. Global, so that the verifier walks sl_decide_service's
 * loop once for each backend, and not once for each path through this. */
__noinline int sl_decide_backend(__u32 index) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  const struct sl_service_backend* backend = sl_backend_at(index);
  if (!j || !backend) return SL_DROP_RULESET_MISSING;
  struct sl_policy_question* q = &j->question;
  j->use.backend = backend->addr;
  q->service = sl_service(j->use.key.protocol, backend->port);
  sl_resolve(&j->use.backend, q->epoch & 1, &q->destination);
  return sl_decide(q);
}

/* Policy for the question's source and each backend of `use.service`. The question keeps its destination. Global, so
 * that it has a stack of its own and is checked once. */
__noinline int sl_decide_service(void) {
  __u32 zero = 0, by_process = 0, audit = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return SL_DROP_RULESET_MISSING;
  struct sl_policy_question* q = &j->question;
  const __u32 first = j->use.service.first, count = j->use.service.count, service = q->service;
  int reason = count && count <= SL_SERVICE_SCAN ? SL_DROP_NONE : SL_DROP_SERVICE_NO_BACKEND;
  j->use.destination = q->destination;
  q->may_resolve_receiver = 0;
  for (__u32 i = 0; i < SL_SERVICE_SCAN && i < count && !reason; i++) {
    reason = sl_decide_backend(first + i);
    by_process |= q->by_process;
    audit |= q->audit;
  }
  q->by_process = by_process;
  q->audit = reason ? 0 : audit;
  q->destination = j->use.destination;
  q->service = service;
  return reason;
}

/* Whether each backend of the Service must be allowed. */
static __always_inline int sl_is_for_each_backend(const struct sl_evaluation* j) {
  return j->service && !j->translated;
}

/* Sets `use` for the address and port. Returns whether it is a Service's. */
static __always_inline int sl_look_up_service(struct sl_evaluation* j, const struct sl_addr* addr, __be16 port,
                                              __u8 protocol) {
  struct sl_service_key* key = &j->use.key;
  sl_copy_addr(&key->addr, addr);
  key->port = port;
  key->protocol = protocol;
  key->pad = 0;
  return sl_read_service(key, &j->use.service);
}

/* Whether the Service that the packet is for has other backends than its flow was decided for. A known flow of such a
 * packet has SL_CT_TO_SERVICE (sl_is_of_another_flow). */
static __always_inline int sl_has_other_backends(const struct sl_evaluation* j, const struct sl_flow_entry* entry) {
  return sl_is_for_each_backend(j) && entry->service_range != j->use.service.first;
}

#endif
