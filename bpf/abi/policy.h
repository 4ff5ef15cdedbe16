/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * What the policy compiler writes and the packet path reads.
 *
 * Each map holds two copies ("epochs") of its policy table: `epoch` is part of the key, or each epoch has one half of
 * the array. The packet path reads the generation number once per packet; generation & 1 is the epoch that it uses.
 * User space edits only the other epoch and then stores generation + 1, so no packet sees half of a change.
 *
 * A decision for one direction of one workload (see bpf/lib/policy.bpf.h):
 *   1. the entry of `peers` for {ruleset, identity of the peer}, else the one for {ruleset, the identity's kind},
 *      gives a range of the `ports` array;
 *   2. binary search there for the last entry whose `start` is not above protocol << 16 | port;
 *   3. where that entry is SL_PORT_BY_PROCESS: the conditions that the process at the workload's end meets select one
 *      outcome of the entry's process_verdict. The outcome is an entry of `ports` too.
 */
#ifndef SLUICE_ABI_POLICY_H
#define SLUICE_ABI_POLICY_H

#include "types.h"

#define SL_EPOCHS 2

/* Ruleset 0: the workload is not isolated in that direction, everything is allowed. */
#define SL_RULESET_NONE 0

/* Identities. A number below SL_IDENTITY_FIRST is reserved; the top two bits of the others are the kind. */
#define SL_IDENTITY_UNKNOWN 0
#define SL_IDENTITY_KIND_SHIFT 30
#define SL_IDENTITY_FIRST 256
enum sl_identity_kind {
  SL_KIND_WORKLOAD = 0, /* a pod, by namespace, labels, named ports, and longest policy prefix that contains it */
  SL_KIND_NODE = 1,     /* an address of this node */
  SL_KIND_WORLD4 = 2,   /* any other IPv4 address, by the longest policy prefix that contains it */
  SL_KIND_WORLD6 = 3,   /* any other IPv6 address */
  SL_KIND_COUNT = 4
};
/* Key of the entry that a ruleset has for all identities of a kind without an entry of their own: 1 + kind. */
#define SL_IDENTITY_ANY_OF_KIND(kind) (1 + (kind))
/* The lower bits of the identity of an outside address that no policy prefix contains; the top bits are the kind. */
#define SL_IDENTITY_PLAIN 255

/*
 * `addresses` and `peers` are hash tables in an ARRAY of SL_EPOCHS * SL_EPOCH_SLOTS(entries): a table in each half. An
 * entry is at its first slot (bpf/lib/probe_start.h) or after it, with no free slot in between (linear probing).
 */
#define SL_EPOCH_STARTS(entries) ((entries) + (entries) / 2) /* a third stays free */
#define SL_EPOCH_SLOTS(entries) (SL_EPOCH_STARTS(entries) + SL_MAX_PROBES)
/* The most slots that a look-up reads. Twice the longest run that a million random entries make. */
#define SL_MAX_PROBES 384

struct sl_address_value {
  __u32 identity;        /* SL_IDENTITY_UNKNOWN: the slot is free */
  __u32 workload;        /* hash of namespace/name/uid; 0: none (a node address) */
  __u32 ifindex;         /* host end of the local workload's veth; 0: not local */
  __u32 endpoint;        /* small number of a local workload, 1..SL_MAX_ENDPOINTS-1; 0: not local */
  __u32 egress_ruleset;  /* local workloads only; SL_RULESET_NONE: not isolated */
  __u32 ingress_ruleset; /* as egress_ruleset */
};
SL_ABI_ASSERT(sizeof(struct sl_address_value) == 24, "sl_address_value");

/* Value of `addresses`: every known pod address and every address of this node. */
struct sl_address_entry {
  struct sl_addr addr;
  struct sl_address_value value;
};
SL_ABI_ASSERT(sizeof(struct sl_address_entry) == 40, "sl_address_entry");

/* Key of `prefixes` (LPM_TRIE): the distinct prefixes of all ipBlocks. prefixlen counts the epoch's 32 bits too; for
 * IPv4 it is 32 + 96 + length. The epoch is in network byte order, so that the two epochs' tries separate at the
 * root. */
struct sl_prefix_key {
  __u32 prefixlen;
  __be32 epoch;
  struct sl_addr addr;
};
SL_ABI_ASSERT(sizeof(struct sl_prefix_key) == 24, "sl_prefix_key");

struct sl_prefix_value {
  __u32 identity;
};
SL_ABI_ASSERT(sizeof(struct sl_prefix_value) == 4, "sl_prefix_value");

/* A range of the `ports` array, relative to the epoch's half of it. count >= 1 and the first start is 0. */
struct sl_peer_value {
  __u32 first;
  __u32 count;
};
SL_ABI_ASSERT(sizeof(struct sl_peer_value) == 8, "sl_peer_value");

/* Value of `peers`. */
struct sl_peer_entry {
  __u32 ruleset;
  __u32 identity;             /* or SL_IDENTITY_ANY_OF_KIND(kind) */
  struct sl_peer_value range; /* count 0: the slot is free */
};
SL_ABI_ASSERT(sizeof(struct sl_peer_entry) == 16, "sl_peer_entry");

enum sl_verdict {
  SL_VERDICT_DENY = 0,
  SL_VERDICT_ALLOW = 1,
};

enum sl_port_flags {
  SL_PORT_AUDIT = 1,      /* a policy in audit would have denied this */
  SL_PORT_BY_PROCESS = 2, /* no verdict; `decision` is an index of `process_verdicts`, relative to the epoch's half */
};

/* Value of `ports` (ARRAY): the answer for (protocol, port) from `start` up to the next entry's `start`. */
struct sl_port_entry {
  __u32 start;    /* protocol << 16 | destination port, host order; port 0 for protocols without ports */
  __u32 decision; /* names the policies and rules in user space; see policy/network/decision.h */
  __u8 verdict;   /* enum sl_verdict */
  __u8 flags;     /* enum sl_port_flags */
  __u8 pad[2];
};
SL_ABI_ASSERT(sizeof(struct sl_port_entry) == 12, "sl_port_entry");

/*
 * The program patterns of all rules of an epoch. A bit's number in a mask is the index in `program_patterns` (ARRAY of
 * SL_EPOCHS * SL_MAX_PROGRAM_PATTERNS), relative to the epoch's half. Patterns match bytes; `*`: any number but no '/',
 * `**`: any number, `?`: one that is not '/'.
 */
#define SL_MAX_PROGRAM_PATTERNS 64
#define SL_PROGRAM_PATH_MAX 511
struct sl_program_pattern {
  __u32 length; /* 0: unused */
  char text[SL_PROGRAM_PATH_MAX + 1];
};
SL_ABI_ASSERT(sizeof(struct sl_program_pattern) == 516, "sl_program_pattern");

/* Met by a process if its program or script matches one of `binaries`, and an ancestor's one of `ancestors`. */
struct sl_process_condition {
  __u64 binaries;   /* 0: any */
  __u64 ancestors;  /* 0: any */
  __u32 if_unknown; /* 1: also met if these facts of the process are not known */
  __u32 pad;
};
SL_ABI_ASSERT(sizeof(struct sl_process_condition) == 24, "sl_process_condition");

/* Value of `process_verdicts` (ARRAY of SL_EPOCHS * SL_MAX_PROCESS_VERDICTS). */
#define SL_MAX_PROCESS_CONDITIONS 8
#define SL_MAX_PROCESS_VERDICTS 4096
struct sl_process_verdict {
  __u32 count;    /* of conditions, at least 1 */
  __u32 outcomes; /* first of 2^count entries of `ports`, relative to the epoch's half; the mask of met conditions (bit
                     i: conditions[i]) is added; `start` is unused there */
  struct sl_process_condition conditions[SL_MAX_PROCESS_CONDITIONS];
};
SL_ABI_ASSERT(sizeof(struct sl_process_verdict) == 200, "sl_process_verdict");

/* Longest binary search in one range: 2^18 entries. */
#define SL_MAX_SEARCH_STEPS 18
#define SL_MAX_ENDPOINTS 4096

#endif
