/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The maps of programs and process classes (bpf/abi/process_class.h). Pinned, as they outlive the agent. */
#ifndef SLUICE_PROCESS_CLASS_MAPS_BPF_H
#define SLUICE_PROCESS_CLASS_MAPS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/process_class.h"

/* Writer: agent. Patterns of programs, by epoch. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_EPOCHS* SL_MAX_PROGRAM_PATTERNS);
  __type(key, __u32);
  __type(value, struct sl_program_pattern);
} program_patterns SEC(".maps");

/* Writers: sensors; the agent sets masks, and removes unused entries. Full: SL_PROGRAM_UNKNOWN. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 16384);
  __type(key, struct sl_program_path);
  __type(value, struct sl_program);
} programs SEC(".maps");

/* Writers as for `programs`. Full: class 0 (not known) is used. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, sl_process_class_number);
  __type(value, struct sl_process_class);
} process_classes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, 65536);
  __type(key, struct sl_process_facts);
  __type(value, sl_process_class_number);
} process_class_numbers SEC(".maps");

/* Writer: agent. Network namespace (inode number) to share. Full: SL_SHARE_OTHERS. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, SL_SHARES);
  __type(key, __u32);
  __type(value, __u32);
} process_share_of SEC(".maps");

/* Writer: sensors. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_SHARES);
  __type(key, __u32);
  __type(value, struct sl_process_share);
} process_shares SEC(".maps");

/* Writer: agent. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, SL_SHARES);
  __type(key, __u32);
  __type(value, struct sl_process_share_freed);
} process_shares_freed SEC(".maps");

/* Writer: sensors. The last number that was assigned: [0] to a program, [1] to a class. */
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} process_class_counters SEC(".maps");

#endif
