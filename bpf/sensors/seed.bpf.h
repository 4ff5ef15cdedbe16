/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Sets the class of an instance that has none. */
static __always_inline void give_class(struct task_struct* task, sl_process_id instance,
                                       sl_process_class_number number) {
  const __u32 tgid = task->tgid;
  struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (!entry || entry->id != instance) return;
  __sync_val_compare_and_swap(&entry->process_class, 0, number);
  if (entry->flags & SL_PROCESS_OWNS_SOCKETS) sl_note_socket_change();
}

/* The iterator reports every live process, as an exec would. The sensors run meanwhile. */
#ifndef SLUICE_SEED_BPF_H
#define SLUICE_SEED_BPF_H

#include "bpf/sensors/record.bpf.h"

/* True for the first thread; if that has ended, and so has no program and namespaces, for any other thread. Readers
 * merge several records of one instance. */
static __always_inline bool stands_for_process(struct task_struct* task) {
  if (task->pid == task->tgid) return task->mm || task->flags & SL_PF_KTHREAD || !(task->flags & SL_PF_EXITING);
  return task->mm && !SL_LOAD(task, group_leader, mm) && !(task->flags & SL_PF_KTHREAD);
}

/* Sets the parent of a process that a fork event added before the iterator came to it. */
static __always_inline void give_parent(__u32 tgid, sl_process_id parent, struct sl_process* process) {
  struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  process->parent = parent;
  if (entry && entry->id == process->id) entry->parent = parent;
}

/* Not inlined, to save stack. */
static __noinline bool find_task(struct task_struct* task, struct sl_process* process) {
  const sl_process_id parent = parent_process(task, true);
  if (!find_or_add(task, true, parent, process)) return false;
  if (!process->parent) give_parent(task->tgid, parent, process);
  return true;
}

const volatile __u64 seed_tick = 1; /* a read() of 8 bytes ends after each process; not on the stack, which is full */

static __always_inline int on_task(struct seq_file* seq, struct task_struct* task) {
  const __u32 index = iterator_scratch;
  struct sl_process process;
  if (!stands_for_process(task)) return 0;
  if (!find_task(task, &process)) return 0;
  struct sl_scratch* scratch = take_scratch(index, &process, task_share(task, true));
  if (!scratch) return 0; /* another iterator runs, though the agent starts only one */
  struct path_text binary = {.scratch = index};
  fill_start(&scratch->start, task, true, SL_PROCESS_EVENT_SEED, &process);
  scratch->start.header.time_ns = bpf_ktime_get_boot_ns();
  if (task->pid != task->tgid) { /* the numbers and the name are the first thread's */
    struct task_struct* leader = task->group_leader;
    scratch->start.tid = task->tgid;
    scratch->start.ns_tid = scratch->start.ns_pid = task_ns_pid(leader, true, &scratch->start.namespaces.pid);
    task_name(leader, true, scratch->start.comm);
  }
  append_binary(scratch, task, &binary);
  if (!process.process_class && find_binary(scratch, task, &binary))
    give_class(task, process.id, seeded_class(scratch, index, task));
  append_cwd(scratch, index, task);
  append_cgroup(scratch, index, task);
  append_arguments(scratch, index, task, true);
  send_scratch(scratch, SL_PROCESS_EVENT_SEED);
  bpf_seq_write(seq, (const void*)&seed_tick, sizeof(seed_tick));
  return 0;
}

#endif
