/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What reading memory costs at an exec, whoever reads it. */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "perf/bpf/exec_lines.h"

struct cache_line {
  __u64 words[8];
};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, PERF_EXEC_LINES);
  __type(key, __u32);
  __type(value, struct cache_line);
} lines SEC(".maps");

__u64 sum = 0; /* so that the reads are not left out */

SEC("tp_btf/sched_process_exec")
int exec_read_lines(void* ctx) {
  __u64 read = 0;
  for (__u32 i = 0; i < PERF_EXEC_LINES; i++) {
    __u32 index = i;
    const struct cache_line* line = bpf_map_lookup_elem(&lines, &index);
    if (line) read += line->words[0];
  }
  sum = read;
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
