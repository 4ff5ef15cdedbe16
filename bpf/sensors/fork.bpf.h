/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A process was forked, and has not run yet. Threads are not reported. */
#ifndef SLUICE_FORK_BPF_H
#define SLUICE_FORK_BPF_H

#include "bpf/sensors/record.bpf.h"

static __always_inline int on_fork(struct task_struct* child, bool known) {
  const __u32 tgid = SL_READ(known, child, tgid);
  if ((__u32)SL_READ(known, child, pid) != tgid) return 0;
  struct task_struct* parent = SL_READ(known, child, real_parent);
  struct sl_process process, forker;
  describe_process(child, known, &process);
  process.share = task_share(child, known);
  if (parent && find_or_add(parent, known, 0, &forker)) {
    process.parent = forker.id;
    process.home = forker.home;
    process.flags |= forker.flags & SL_PROCESS_MAY_MOUNT;
    process.process_class = forked_class(forker.process_class, process.share);
  }
  give_id(tgid, &process);
  store_process(tgid, &process, SL_PROCESS_EVENT_FORK, true);
  struct sl_process_start* start = reserve_event(sizeof(*start), SL_PROCESS_EVENT_FORK, process.share, process.cgroup);
  if (!start) return 0;
  fill_start(start, child, known, SL_PROCESS_EVENT_FORK, &process);
  start->header.time_ns = process.start_ns;
  bpf_ringbuf_submit(start, wake_up());
  return 0;
}

#endif
