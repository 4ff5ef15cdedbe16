/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Controls for the cost of the sensors: one only reads memory, the other only computes. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "perf/bpf/exec_controls.h"

struct cache_line {
  __u64 words[8];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PERF_EXEC_LINES);
  __type(key, __u32);
  __type(value, struct cache_line);
} lines SEC(".maps");

volatile __u64 result = 1; /* keeps the compiler from removing the work */

SEC("tp_btf/sched_process_exec")
int exec_read(void* ctx) {
  __u64 sum = 0;
  for (__u32 i = 0; i < PERF_EXEC_LINES; i++) {
    __u32 index = i;
    const struct cache_line* line = bpf_map_lookup_elem(&lines, &index);
    if (line) sum += line->words[0];
  }
  result = sum;
  return 0;
}

/* Each step depends on the one before. */
SEC("tp_btf/sched_process_exec")
int exec_compute(void* ctx) {
  __u64 number = result;
  for (__u32 i = 0; i < PERF_EXEC_STEPS; i++) number = number * 6364136223846793005ULL + i;
  result = number;
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
