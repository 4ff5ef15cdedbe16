/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A thread exits; the process ends with its last one. Its sockets are still open then. */
#ifndef SLUICE_EXIT_BPF_H
#define SLUICE_EXIT_BPF_H

#include "bpf/sensors/record.bpf.h"

static __always_inline int on_exit(struct task_struct* task) {
  if (!task_group_dead(task, true)) return 0;
  const __u32 tgid = task->tgid;
  struct sl_process process;
  describe_process(task, true, &process);
  process.start_ns = 0;
  const struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (entry && entry->birth_ns == process.birth_ns) process = *entry;
  /* Two last threads may both find the group dead: only the one that deletes the entry reports the exit. Without an
   * entry, as when the table was full, user space drops the duplicate. */
  if (entry && !remove_process(tgid, process.share)) return 0;
  const __u32 share = entry ? process.share : task_share(task, true);
  struct sl_process_exit* exit = reserve_event(sizeof(*exit), SL_PROCESS_EVENT_EXIT, share, process.cgroup);
  if (!exit) return 0;
  fill_header(&exit->header, task, true, SL_PROCESS_EVENT_EXIT, &process);
  exit->header.time_ns = bpf_ktime_get_boot_ns();
  exit->status = task_wait_status(task, true);
  exit->pad = 0;
  bpf_ringbuf_submit(exit, wake_up());
  return 0;
}

#endif
