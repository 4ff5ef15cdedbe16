/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Counts and sends what was decided. A verdict never waits for its record. */
#ifndef SLUICE_LSM_REPORT_BPF_H
#define SLUICE_LSM_REPORT_BPF_H

#include "bpf/lib/ring_share.bpf.h"
#include "bpf/lsm/current.bpf.h"

static __always_inline void count(__u32 rule, enum sl_lsm_count what) {
  struct sl_lsm_counts* counts = bpf_map_lookup_elem(&lsm_counts, &rule);
  if (counts) __sync_fetch_and_add(&counts->counts[what], 1);
}

/* `pending`: bytes that are in the ring. */
static __always_inline bool may_send(__u32 subject, __u32 bytes, __u64 pending) {
  const __u64 half = ring_half;
  if (pending < half) return true;
  __u64* paid = bpf_map_lookup_elem(&hook_event_shares, &subject);
  const struct sl_hook_settings* settings = settings_in_force();
  return paid && settings && pay_for_record(&lsm_events, half, paid, settings->event_parts, bytes);
}

static __always_inline void describe(struct lsm_scratch* scratch) {
  const __u64 ids = bpf_get_current_pid_tgid();
  const __u32 pid = ids >> 32;
  struct task_struct* task = bpf_get_current_task_btf();
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &pid);
  struct sl_lsm_event* event = &scratch->event;
  event->time_ns = bpf_ktime_get_boot_ns();
  event->process = process ? process->id : 0;
  event->birth_ns = process ? process->birth_ns : 0;
  event->cgroup = bpf_get_current_cgroup_id();
  event->generation = scratch->generation;
  event->pid = pid;
  event->tid = (__u32)ids;
  event->parent_pid = SL_LOAD(task, real_parent, tgid);
  event->uid = scratch->uid;
  event->subject = scratch->subject;
  event->rule = scratch->rule % SL_LSM_RULES;
  event->number = scratch->number;
  event->owner = scratch->owner;
  event->operation = scratch->operation;
  event->verdict = scratch->verdict;
  event->reason = scratch->reason;
  event->flags = (scratch->writes ? SL_LSM_EVENT_WRITES : 0) | (scratch->terminal ? SL_LSM_EVENT_HAS_TERMINAL : 0) |
                 (scratch->unreadable ? SL_LSM_EVENT_PATH_TRUNCATED : 0) |
                 (scratch->program_unreadable ? SL_LSM_EVENT_PROGRAM_TRUNCATED : 0) |
                 (scratch->arguments_truncated ? SL_LSM_EVENT_ARGUMENTS_TRUNCATED : 0) |
                 (scratch->no_path ? SL_LSM_EVENT_NO_PATH : 0) | (scratch->killed ? SL_LSM_EVENT_KILLED : 0) |
                 (scratch->other_process ? SL_LSM_EVENT_OTHER_PROCESS : 0);
}

/* Puts a text of the scratch behind the event, at `at` in its data. Returns its length. */
static __always_inline __u32 append_text(struct lsm_scratch* scratch, __u32 number, __u32 at) {
  const struct lsm_text of = scratch->texts[number & 1];
  __u32 begin = of.begin, length = of.length;
  barrier_var(begin);
  barrier_var(length);
  barrier_var(at);
  begin &= SL_PATH_END;
  if (length > SL_LSM_TEXT_MAX || at > SL_LSM_TEXT_MAX) return 0;
  bpf_probe_read_kernel(&scratch->data[at], length, &scratch->buffers[number & 1].path[begin]);
  return length;
}

/* Sends the record of a verdict. */
__noinline int send_event(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  if (scratch->killed)
    scratch->texts[LSM_PROGRAM].length = 0; /* the process runs the new program already */
  else
    write_program(index);
  describe(scratch);
  __u32 length = append_text(scratch, LSM_PATH, 0);
  scratch->event.path_length = length;
  const __u32 program = append_text(scratch, LSM_PROGRAM, length);
  scratch->event.program_length = program;
  length += program;
  __u32 arguments = scratch->arguments_length, at = length;
  barrier_var(arguments);
  barrier_var(at);
  if (arguments > SL_LSM_ARGUMENTS_SENT) arguments = 0;
  if (at > 2 * SL_LSM_TEXT_MAX) return 0;
  bpf_probe_read_kernel(&scratch->data[at], arguments, scratch->arguments);
  scratch->event.arguments_length = arguments;
  __u32 size = sizeof(scratch->event) + at + arguments;
  barrier_var(size);
  if (size > sizeof(scratch->event) + SL_LSM_DATA) return 0;
  const __u64 pending = bpf_ringbuf_query(&lsm_events, BPF_RB_AVAIL_DATA);
  const __u64 wakeup = pending >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
  const bool sent =
      may_send(scratch->subject, size, pending) && bpf_ringbuf_output(&lsm_events, &scratch->event, size, wakeup) == 0;
  if (!sent) count(scratch->rule, SL_LSM_COUNT_LOST);
  return 0;
}

/* Counts and sends the scratch's verdict. `quiet`: an audit is left to another operation. Returns the error for the
 * kernel. */
__noinline int report(__u32 index, __u32 quiet) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const bool blocks = scratch->verdict == SL_LSM_BLOCK;
  if (scratch->verdict == SL_LSM_PASS || (quiet && !blocks)) return 0;
  count(scratch->rule, blocks ? SL_LSM_COUNT_BLOCKED : SL_LSM_COUNT_AUDITED);
  send_event(index);
  return blocks ? -SL_EPERM : 0;
}

#endif
