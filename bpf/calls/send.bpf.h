/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Completes a record and sends it. */
#ifndef SLUICE_CALL_SEND_BPF_H
#define SLUICE_CALL_SEND_BPF_H

#include "bpf/calls/detail.bpf.h"
#include "bpf/lib/ring_share.bpf.h"

static __always_inline void count_lost_call(__u32 share, __u32 kind) {
  const struct sl_call_loss_key key = {.share = share, .kind = kind}, any = {.share = ~0u, .kind = ~0u};
  const __u64 one = 1;
  __u64* count = bpf_map_lookup_elem(&call_losses, &key);
  if (!count && bpf_map_update_elem(&call_losses, &key, &one, BPF_NOEXIST) == 0) return;
  if (!count) count = bpf_map_lookup_elem(&call_losses, &key); /* another CPU was faster */
  if (!count) count = bpf_map_lookup_elem(&call_losses, &any);
  if (count) __sync_fetch_and_add(count, 1);
}

static __always_inline bool may_send_call(__u32 share, __u32 bytes, __u64 pending) {
  const __u64 half = ring_half;
  if (pending < half) return true;
  __u64* paid = bpf_map_lookup_elem(&call_shares, &share);
  return paid && pay_for_record(&call_events, half, paid, call_state.parts, bytes);
}

__noinline int send_call(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  __u32 length = scratch->length;
  barrier_var(length);
  if (length > SL_CALL_ROOM + SL_CALL_PATH_MAX) length = SL_CALL_ROOM + SL_CALL_PATH_MAX;
  const __u32 size = sizeof(scratch->event) + length, share = scratch->event.share;
  const __u64 pending = bpf_ringbuf_query(&call_events, BPF_RB_AVAIL_DATA);
  const __u64 wakeup = pending >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
  if (!may_send_call(share, size, pending) || bpf_ringbuf_output(&call_events, &scratch->event, size, wakeup))
    count_lost_call(share, scratch->event.kind);
  return 0;
}

/* Takes this CPU's scratch. Null: it is building another record. */
static __always_inline struct call_scratch* take_call_scratch(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return NULL;
  if (__sync_lock_test_and_set(&scratch->busy, 1) != 0) return NULL;
  scratch->length = 0;
  scratch->reads = 0;
  __builtin_memset(&scratch->event, 0, sizeof(scratch->event));
  return scratch;
}

static __always_inline void release_call_scratch(struct call_scratch* scratch) {
  __sync_lock_test_and_set(&scratch->busy, 0);
}

/* What every record has of its process. */
static __always_inline void describe_process(struct call_scratch* scratch, __u32 index) {
  struct sl_call_event* event = &scratch->event;
  const __u64 ids = bpf_get_current_pid_tgid();
  const __u32 pid = ids >> 32;
  event->time_ns = bpf_ktime_get_boot_ns();
  event->pid = pid;
  event->tid = (__u32)ids;
  event->cpu = index;
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &pid);
  if (process) {
    event->process = process->id;
    event->birth_ns = process->birth_ns;
  }
  describe_caller(index);
  describe_program(index);
}

#endif
