/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The state of a packet while it is evaluated. */
#ifndef SLUICE_EVALUATION_BPF_H
#define SLUICE_EVALUATION_BPF_H

#include "bpf/lib/attribution.bpf.h"
#include "bpf/lib/fragments.bpf.h"
#include "bpf/lib/host_path.bpf.h"
#include "bpf/lib/parse_fast.bpf.h"
#include "bpf/lib/policy.bpf.h"
#include "bpf/lib/service.bpf.h"

/* The Service that a packet is addressed to. */
struct sl_service_use {
  struct sl_service_key key;
  struct sl_service service;
  struct sl_service_flow_key flow;
  struct sl_service_flow chosen;
  struct sl_affinity affinity;
  struct sl_addr backend; /* that is decided about, and the question's own destination meanwhile */
  struct sl_address_value destination;
};

/* One packet's working memory: a hook's input, and the results. Per CPU, as it does not fit on the stack. */
struct sl_evaluation {
  struct sl_packet packet;
  struct sl_flow_key key;
  struct sl_flow_key inner_key;
  struct sl_flow_entry fresh;
  struct sl_fast_packet plain; /* xdp_uplink, tc_from_pod: the packet, if it is plain */
  struct sl_policy_question question;
  struct bpf_fib_lookup fib;
  struct sl_flow_route way;
  struct sl_service_use use; /* set if `service` is */
  __u64 gen;
  __u64 now;
  __u64 fragment_hash; /* set by sl_find_fragment_owner */
  struct sl_fragment_key fragment_key;
  /* in */
  __u32 hook;             /* enum sl_packet_hook */
  __u32 ifindex;          /* the hook's interface */
  __u32 setting_flags;    /* SL_SETTING_* */
  __u32 path_fresh;       /* as in sl_settings */
  __u8 from_node;         /* tc_to_pod: a socket of the node sent it */
  __u8 known_absent;      /* sl_evaluate_fast did not find it in the flow table */
  __u8 syn_allowed;       /* sl_evaluate_syn_against allowed a SYN against a live connection */
  __u8 resolve_receiver;  /* sl_evaluate_fast needs the receiver behind to_ifindex */
  __u8 may_route;         /* the packet may be redirected as by a router: sl_is_for_router */
  __u8 must_find_route;   /* sl_evaluate_fast did not find a valid next hop in the flow */
  __u32 way_seen;         /* of sl_flow_see */
  __u32 slot;             /* of the flow in the flow table */
  __u32 flow_slot;        /* for captures: of the flow whose entry decided; SL_NO_SLOT: none */
  __u32 over_slot;        /* of the known flow, to remove it if it is over */
  __u32 over_incarnation; /* there */
  __u32 route_length;     /* length to compare with the route's MTU; 0: a GSO packet, which is segmented */
  __u32 from_ifindex;     /* tc_to_pod: ingress interface; 0: none, the node made it (perhaps from received packets) */
  __u32 refused;          /* link control: its drop reason, before policy is evaluated */
  __u32 service;          /* tc_from_pod: sl_service.number of the address that the pod sent to; 0: no Service's */
  __u8 translated;        /* enum sl_translated */
  __u8 has_fresh;         /* for captures: `fresh` is of this packet */
  __u8 source_mac[8];     /* tc_from_pod: of the frame, and the two bytes after it */
  struct sl_size size;
  struct sl_sender sender;
  struct sl_receiver receiver;
  /* out */
  __u32 to_ifindex;    /* host end of the local receiver's veth; 0: not local */
  __u32 from_endpoint; /* of the sender; 0: not local */
  __u32 to_endpoint;   /* of the receiver; 0: not local */
  __u32 reply;         /* the packet is from the responder of a known flow */
  __u32 is_known;      /* the flow was known before this packet */
  __u32 audit;         /* forwarded, but a policy in audit would have denied it */
  __u32 not_local;     /* xdp_uplink: for no local workload; passes untouched */
  __u32 may_pass_host; /* it may skip the host path, if a redirect leads to its receiver */
  __u32 answer_of;     /* tc_to_pod: sl_service.number of the address that the pod knows its peer by; 0: its own */
};

/* tc_from_pod: who translates a packet to a Service. */
enum sl_translated {
  SL_TRANSLATED_NOT = 0, /* others do, after this hook */
  SL_TRANSLATED = 1,     /* it has a backend's address now */
  SL_TRANSLATED_NEW = 2, /* the same, and the backend was chosen for it */
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

/* Skips the search when the fast path has made it already. */
static __always_inline __u32 sl_search_unless_absent(const struct sl_evaluation* j, __u32 state) {
  return j->known_absent ? SL_NO_SLOT : sl_flow_search(&j->key, state);
}

/* Resets this CPU's working memory for a packet at `hook`, except what sl_parse_* fills or resets. Null: settings are
 * missing. */
static __always_inline struct sl_evaluation* sl_begin(__u32 hook, __u32 ifindex) {
  __u32 zero = 0;
  struct sl_evaluation* j = bpf_map_lookup_elem(&evaluations, &zero);
  if (!j) return 0;
  j->hook = hook;
  j->ifindex = ifindex;
  const struct sl_settings* agent = sl_settings_in_force();
  if (!agent) return 0;
  j->setting_flags = agent->flags;
  j->path_fresh = agent->path_fresh;
  j->from_node = j->known_absent = j->resolve_receiver = j->may_route = j->syn_allowed = 0;
  j->from_ifindex = j->refused = 0;
  __builtin_memset(&j->sender, 0, sizeof(j->sender));
  __builtin_memset(&j->receiver, 0, sizeof(j->receiver));
  j->sender.found = SL_COUNTER_SENDER_NO_SOCKET - SL_COUNTER_SENDER_FOUND;
  j->to_ifindex = j->from_endpoint = j->to_endpoint = 0;
  j->reply = j->is_known = j->audit = j->not_local = j->may_pass_host = 0;
  return j;
}

#endif
