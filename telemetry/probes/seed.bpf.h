/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* To a life that has none. */
static __always_inline void give_class(struct task_struct* task, sl_process_id life, sl_process_class_number number) {
  const __u32 tgid = BPF_CORE_READ(task, tgid);
  struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (!entry || entry->id != life) return;
  __sync_val_compare_and_swap(&entry->process_class, 0, number);
  if (entry->flags & SL_PROCESS_OWNS_SOCKETS) sl_note_socket_change();
}

/* The iterator tells of every process that lives, as an exec would. The sensors run meanwhile. */
#ifndef SLUICE_SEED_BPF_H
#define SLUICE_SEED_BPF_H

#include "telemetry/probes/record.bpf.h"

static __always_inline int on_task(struct seq_file* seq, struct task_struct* task) {
  const __u64 tick = 0;
  const __u32 index = iterator_scratch;
  struct sl_process process;
  if (BPF_CORE_READ(task, pid) != BPF_CORE_READ(task, tgid)) return 0;
  if (!find_or_add(task, parent_process(task), &process)) return 0;
  struct sl_scratch* scratch = take_scratch(index);
  if (!scratch) return 0; /* another iterator is at work: the agent runs one at a time */
  __u32 at = 0;
  fill_start(&scratch->start, task, SL_PROCESS_EVENT_SEED, &process);
  append_binary(scratch, index, &at, task);
  if (!process.process_class) give_class(task, process.id, seeded_class(index, task));
  append_cwd(scratch, index, &at, task);
  append_cgroup(scratch, index, &at, task);
  append_arguments(scratch, index, &at, task, true);
  send_scratch(scratch, at);
  bpf_seq_write(seq, &tick, sizeof(tick)); /* a read() of 8 bytes ends after each process */
  return 0;
}

#endif
