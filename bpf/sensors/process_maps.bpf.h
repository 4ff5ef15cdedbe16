/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The sensors' own maps, and the loader's settings. bpf/lib/process_maps.bpf.h has the maps that the packet path also
 * reads. */
#ifndef SLUICE_SENSOR_MAPS_BPF_H
#define SLUICE_SENSOR_MAPS_BPF_H

#include "bpf/lib/path.bpf.h"
#include "bpf/lib/process_class_maps.bpf.h"
#include "bpf/lib/process_maps.bpf.h"

#define SL_STEP_PATH_MAX 123
#define SL_STEP_PATH_MASK 127

/* A process of class `before` executes a program; the rest of the path is NUL. */
struct sl_class_step {
  sl_process_class_number before;
  char path[SL_STEP_PATH_MAX + 1];
};

struct sl_scratch {
  struct sl_path_scratch text; /* first: paths then need no arithmetic that the verifier has to follow */
  __u64 busy;
  __u64 home;                     /* of the event's process */
  __u64 mounts;                   /* number of the mount namespace that has the file in the path buffer; 0: none */
  __u32 share;                    /* of the event's process, in the tables */
  __u32 program_length;           /* of the path in `program`, for find_program after append_program */
  struct sl_program_path program; /* a key under construction */
  struct sl_class_step step;
  struct sl_program binary; /* result of the look-up; all 0: not found */
  struct sl_program script;
  struct sl_process_class process_class;
  __u32 length; /* of the data */
  struct sl_process_start start;
  __u8 data[SL_PROCESS_DATA_MAX];
};

/* One for each CPU to build a record in, and a last one for the iterator, which other events may interrupt. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct sl_scratch);
} process_scratch SEC(".maps");

/*
 * Writer: sensors. A cache of the class after such a step: one short key instead of look-ups of program and class.
 * Full: least recently used entries are evicted. Not pinned, as it is only a cache.
 */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct sl_class_step);
  __type(value, sl_process_class_number);
} process_class_steps SEC(".maps");

/* Writer: sensors, each workload within its share (event_share.bpf.h). Full: the event is lost and counted. */
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 16 << 20);
} process_events SEC(".maps");

/* Writer: sensors, while seeding; the agent empties it after that. Full: an instance may be reported twice. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 262144);
  __type(key, struct sl_process_claim_key);
  __type(value, struct sl_process_claim);
} process_claims SEC(".maps");

/* Writer: sensors. Full: counted without CPU and cgroup, in an entry that the agent made for this. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct sl_process_loss_key);
  __type(value, __u64);
} process_losses SEC(".maps");

const volatile __u32 shared_capacity[SL_SHARED_TABLE_COUNT] = {16384, 65536, 65536};
const volatile __u32 iterator_scratch = 1; /* index in process_scratch */
const volatile __u32 ring_half = 8 << 20;  /* bytes in the ring from which on shares apply */
const volatile __u32 wake_bytes = 4 << 20; /* bytes in the ring that wake the reader, which otherwise polls */

volatile __u32 seeding = 0;      /* the agent runs the iterator: ids are assigned through process_claims */
volatile __u64 losses_total = 0; /* the sum of process_losses */

#endif
