/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps of the sensors of system calls (bpf/abi/call.h), and the loader's settings. None is pinned. */
#ifndef SLUICE_CALL_MAPS_BPF_H
#define SLUICE_CALL_MAPS_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "bpf/abi/call.h"
#include "bpf/calls/call_types.bpf.h"
#include "bpf/lib/path.bpf.h"
#include "bpf/lib/process_maps.bpf.h"

/* Writer of these: agent. In memory that it shares, so that one store changes them. */
volatile __u8 call_kinds[SL_CALL_KIND_BYTES] = {};
volatile __u8 ring_kinds[256] = {}; /* of io_uring, by operation */
volatile struct sl_call_state call_state = {.parts = 1};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * SL_CALL_KINDS);
  __type(key, __u32);
  __type(value, struct sl_call_filter);
} call_filters SEC(".maps");

/* Full: least recently used ones are asked for anew. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 8192);
  __type(key, struct sl_call_place_key);
  __type(value, struct sl_call_place);
} call_places SEC(".maps");

/* Full: the agent asks for no test of names. */
struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct sl_call_name_key);
  __type(value, __u32);
} call_names SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2 * SL_CALL_SETS);
  __type(key, __u32);
  __type(value, struct sl_call_set);
} call_sets SEC(".maps");

/* Writer: programs. By share: the ring position up to which its tokens are used (bpf/lib/ring_share.bpf.h). */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_CALL_SHARES);
  __type(key, __u32);
  __type(value, __u64);
} call_shares SEC(".maps");

/* Writer: programs, each workload within its share. Full: the record is lost and counted. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 8 << 20);
} call_events SEC(".maps");

/* Writer: programs. Full: counted in an entry that the agent made for this. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8192);
  __type(key, struct sl_call_loss_key);
  __type(value, __u64);
} call_losses SEC(".maps");

#define SL_CALL_RING_TEXT 512u

/* A request to io_uring, from its submission on. Its texts are the kernel's own copies, which end with the request. */
struct call_ring {
  __u64 arguments[6]; /* as of the system call that does the same */
  __u64 extra[3];
  __u32 direct; /* what it opens gets no number of the process */
  __u16 lengths[2];
  char texts[2][SL_CALL_RING_TEXT];
};

/* Writer: programs. By request. Full: the least recently submitted one is reported without texts. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u64);
  __type(value, struct call_ring);
} call_rings SEC(".maps");

#define SL_CALL_ROOM 40960u /* texts begin at most here */

struct call_scratch {
  __u64 busy;
  __u64 reads;   /* enum sl_call_reads */
  __u64 request; /* of io_uring: its address */
  __u32 length;  /* of the data */
  __u32 pad;
  __u8 tail[2 * SL_CALL_NAME_MAX]; /* of a name */
  struct call_ring ring;
  struct sl_call_event event;
  __u8 data[SL_CALL_ROOM + SL_CALL_PATH_MAX + 8];
  struct sl_path_scratch text;
};

/* One for each CPU. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct call_scratch);
} call_scratches SEC(".maps");

static __always_inline struct call_scratch* scratch_at(__u32 index) {
  return bpf_map_lookup_elem(&call_scratches, &index);
}

static __always_inline struct sl_path_scratch* path_scratch(const __u32* index) {
  struct call_scratch* scratch = bpf_map_lookup_elem(&call_scratches, index);
  return scratch ? &scratch->text : NULL;
}

const volatile __u64 ring_half = 4 << 20;  /* bytes in the ring from which on shares apply */
const volatile __u64 wake_bytes = 2 << 20; /* bytes in the ring that wake the reader, which otherwise polls */

#endif
