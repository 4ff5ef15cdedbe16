/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What is known of a packet while it is evaluated. */
#ifndef SLUICE_EVALUATION_BPF_H
#define SLUICE_EVALUATION_BPF_H

#include "bpf/lib/attribution.bpf.h"
#include "bpf/lib/fragments.bpf.h"
#include "bpf/lib/host_path.bpf.h"
#include "bpf/lib/parse_fast.bpf.h"
#include "bpf/lib/policy.bpf.h"

/* One packet's working memory: what a hook knows about it, and what it is told. Per CPU: it would not fit the stack. */
struct sl_evaluation {
  struct sl_packet packet;
  struct sl_flow_key key;
  struct sl_flow_key inner_key;
  struct sl_flow_entry fresh;
  struct sl_fast_packet plain; /* xdp_uplink: the packet, where it is plain */
  struct sl_policy_question question;
  struct bpf_fib_lookup fib;
  struct sl_flow_route way;
  __u64 gen;
  __u64 now;
  __u64 fragment_hash; /* of sl_know_fragment */
  struct sl_fragment_key fragment_key;
  /* in */
  __u32 hook;             /* enum sl_hook */
  __u32 ifindex;          /* the hook's interface */
  __u32 setting_flags;    /* SL_SETTING_* */
  __u32 path_fresh;       /* as in sl_settings */
  __u8 from_node;         /* tc_to_pod: a socket of the node's own sent it */
  __u8 known_absent;      /* not in the flow table, by sl_evaluate_fast */
  __u8 syn_allowed;       /* against a live connection, by sl_evaluate_syn_against */
  __u8 asks_receiver;     /* sl_evaluate_fast found that it has to be asked who is behind to_ifindex */
  __u8 may_route;         /* the packet may take the redirect as a router sends it on: sl_is_for_router */
  __u32 way_seen;         /* of sl_flow_see */
  __u32 slot;             /* in the flow table, of the flow that is looked at */
  __u32 over_slot;        /* of the known flow, from where it is taken should it be over */
  __u32 over_incarnation; /* there */
  __u32 route_length;     /* what has to fit the route's MTU; 0: a GSO packet, which is cut to fit */
  __u32 from_ifindex; /* tc_to_pod: where it came in; 0: elsewhere, or the node made it (perhaps of others' packets) */
  __u32 refused;      /* link control: why it is dropped, before policy is asked */
  __u8 source_mac[8]; /* tc_from_pod: of the frame, and two bytes more */
  struct sl_size size;
  struct sl_sender sender;
  struct sl_receiver receiver;
  /* out */
  __u32 to_ifindex;    /* host end of the local receiver's veth; 0: not local */
  __u32 from_endpoint; /* of the sender; 0: not local */
  __u32 to_endpoint;   /* of the receiver; 0: not local */
  __u32 reply;         /* of a known flow: from its responder */
  __u32 is_known;      /* of a flow that was known before this packet */
  __u32 audit;         /* forwarded, but a policy in audit would have denied it */
  __u32 not_ours;      /* xdp_uplink: for no local workload; passes untouched */
  __u32 may_pass_host; /* it may go past the host's path, where a redirect leads to its receiver */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct sl_evaluation);
} evaluations SEC(".maps");

static __always_inline __u64 sl_generation(void) {
  __u32 zero = 0;
  const __u64* value = bpf_map_lookup_elem(&generation, &zero);
  return value ? SL_READ_ONCE(*value) : 0;
}

#endif
