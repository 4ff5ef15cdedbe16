/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a selector does: actions, and the event. Actions never wait for the event, and are taken if it is lost. */
#ifndef SLUICE_ACT_BPF_H
#define SLUICE_ACT_BPF_H

#include "bpf/hooks/match.bpf.h"
#include "bpf/lib/ring_share.bpf.h"

#define SL_ENFORCING_ACTIONS (SL_HOOK_ACTION_SIGNAL | SL_HOOK_ACTION_OVERRIDE | SL_HOOK_ACTION_QUARANTINE)
#define SL_TRACKING_ACTIONS (SL_HOOK_ACTION_TRACK_SOCKET | SL_HOOK_ACTION_UNTRACK_SOCKET)
#define SL_NOTIFYING_ACTIONS (SL_HOOK_ACTION_NOTIFY_ENFORCER | SL_HOOK_ACTION_CLEAR_ENFORCER)
#define SL_SIGKILL 9
#define SL_RATE_WORDS 5 /* of each text: 40 bytes, as Tetragon */

static __always_inline void count(__u32 selector_number, enum sl_hook_count what) {
  struct sl_hook_counts* counts = hook_counts_at(selector_number);
  if (counts) __sync_fetch_and_add(&counts->counts[what], 1);
}

static __always_inline __u64 mix(__u64 hash, __u64 word) {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
  return hash ^ hash >> 32;
}

static __always_inline __u64 hash_arguments(struct hook_scratch* scratch) {
  __u64 hash = 0;
  for (__u32 i = 0; i < SL_HOOK_ARGUMENTS; i++) {
    const struct sl_hook_value* value = &scratch->event.arguments[i];
    hash = mix(hash, value->number);
    for (__u32 word = 0; word < SL_RATE_WORDS; word++) {
      __u32 at = value->offset + word * SL_WORD;
      barrier_var(at);
      if (word * SL_WORD >= value->length || at > SL_HOOK_DATA_MAX) break;
      hash = mix(hash, *(__u64*)&scratch->data[at]);
    }
  }
  return hash;
}

/* Whether an event with these arguments was sent less than the selector's time ago; if not, it is noted. */
__noinline int is_repeated(__u32 index, const struct sl_hook_selector* selector, __u32 number) {
  struct hook_scratch* scratch = scratch_at(index);
  void* const rates = hook_rates_if_made();
  if (!scratch || !selector || !rates) return 0;
  struct hook_rate_key key = {.arguments = hash_arguments(scratch), .selector = number, .life = scratch->event.life};
  if (selector->rate_scope == SL_HOOK_RATE_THREAD) key.task = scratch->event.tid;
  if (selector->rate_scope == SL_HOOK_RATE_PROCESS) key.task = scratch->event.pid;
  const __u64 now = bpf_ktime_get_boot_ns();
  const __u64* last = bpf_map_lookup_elem(rates, &key);
  if (last && now - *last < selector->rate_ns) return 1;
  bpf_map_update_elem(rates, &key, &now, BPF_ANY);
  return 0;
}

/* `pending`: bytes that are in the ring. */
static __always_inline bool may_send(__u32 subject, __u32 bytes, __u64 pending) {
  const __u64 half = ring_half;
  if (pending < half) return true;
  __u64* paid = bpf_map_lookup_elem(&hook_event_shares, &subject);
  const struct sl_hook_settings* settings = settings_in_force();
  return paid && settings && pay_for_record(&hook_events, half, paid, settings->event_parts, bytes);
}

/* Sends the event with the scratch's data. */
__noinline int send_event(__u32 index, __u32 selector_number) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  __u32 length = scratch->event.length;
  barrier_var(length);
  if (length > SL_HOOK_DATA_MAX + SL_HOOK_TEXT_MAX) length = SL_HOOK_DATA_MAX + SL_HOOK_TEXT_MAX;
  const __u32 size = sizeof(scratch->event) + length;
  const __u64 pending = bpf_ringbuf_query(&hook_events, BPF_RB_AVAIL_DATA);
  const __u64 wakeup = pending >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
  const __u32 subject = scratch->subject == SL_SUBJECT_NONE ? 0 : scratch->subject;
  const bool sent =
      may_send(subject, size, pending) && bpf_ringbuf_output(&hook_events, &scratch->event, size, wakeup) == 0;
  count(selector_number, sent ? SL_HOOK_COUNT_POSTED : SL_HOOK_COUNT_LOST);
  return 0;
}

/* The facts of the process, once for all events of this run. */
static __always_inline void describe_task(struct hook_scratch* scratch, __u32 index) {
  if (scratch->described) return;
  find_subject(index);
  scratch->described = 1;
  scratch->event.time_ns = bpf_ktime_get_boot_ns();
  if (scratch->subject == SL_SUBJECT_NONE) {
    scratch->event.process = scratch->event.birth_ns = scratch->event.cgroup = 0;
    scratch->event.pid = scratch->event.tid = scratch->event.subject = 0;
    return;
  }
  const __u64 ids = bpf_get_current_pid_tgid();
  const __u32 pid = ids >> 32;
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &pid);
  scratch->event.process = process ? process->id : 0;
  scratch->event.birth_ns = process ? process->birth_ns : 0;
  scratch->event.cgroup = bpf_get_current_cgroup_id();
  scratch->event.pid = pid;
  scratch->event.tid = (__u32)ids;
  scratch->event.subject = scratch->subject;
}

/* Kernel threads take no signals, and an interrupt has no process. */
static __always_inline bool is_kernel_thread(void) { return bpf_get_current_task_btf()->flags & SL_PF_KTHREAD; }

static __always_inline bool quarantine_endpoint(__u32 endpoint) {
  __u32* state = endpoint ? bpf_map_lookup_elem(&quarantine, &endpoint) : NULL;
  if (!state) return false;
  if (SL_READ_ONCE(*state) == SL_QUARANTINE_NONE) SL_WRITE_ONCE(*state, SL_QUARANTINE_HOOK);
  return true;
}

/* Takes the enforcing actions; returns those that were taken, or in monitor mode would have been. `error`: of OVERRIDE,
 * which the entry point does (the first policy's error counts). */
__noinline int enforce(__u32 index, __u32 actions, __u32 signal, __s32 error, __u32 selector_number) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !(actions & SL_ENFORCING_ACTIONS)) return 0;
  if (scratch->monitor) {
    count(selector_number, SL_HOOK_COUNT_WOULD_ENFORCE);
    return actions & SL_ENFORCING_ACTIONS;
  }
  __u32 taken = 0;
  if (actions & SL_HOOK_ACTION_QUARANTINE) {
    const bool done = quarantine_endpoint(scratch->endpoint);
    if (done) taken |= SL_HOOK_ACTION_QUARANTINE;
    count(selector_number, done ? SL_HOOK_COUNT_QUARANTINED : SL_HOOK_COUNT_FAILED);
  }
  if (actions & SL_HOOK_ACTION_SIGNAL) {
    const bool done = in_task() && !is_kernel_thread() && bpf_send_signal(signal) == 0;
    if (done) taken |= SL_HOOK_ACTION_SIGNAL;
    count(selector_number, done ? SL_HOOK_COUNT_SIGNALLED : SL_HOOK_COUNT_FAILED);
  }
  if (actions & SL_HOOK_ACTION_OVERRIDE) {
    if (!scratch->error) scratch->error = error;
    taken |= SL_HOOK_ACTION_OVERRIDE;
    count(selector_number, SL_HOOK_COUNT_OVERRIDDEN);
  }
  return taken;
}

static __always_inline bool has_life(__u32 policy_number, __u32 life) {
  const struct sl_hook_policy* policy = bpf_map_lookup_elem(&hook_policies, &policy_number);
  return policy && policy->life == life && policy->flags & SL_HOOK_POLICY_ENABLED;
}

static __always_inline struct hook_notice* find_notice(struct hook_thread_notices* notices, __u32 life) {
  for (int i = 0; i < SL_HOOK_NOTICES; i++) {
    if (notices->of[i].life == life) return &notices->of[i];
  }
  return NULL;
}

/* A free place, or that of a policy that has ended. */
static __always_inline struct hook_notice* find_free_notice(struct hook_thread_notices* notices) {
  for (int i = 0; i < SL_HOOK_NOTICES; i++) {
    struct hook_notice* notice = &notices->of[i];
    if (!notice->life || !has_life(notice->policy, notice->life)) return notice;
  }
  return NULL;
}

/* Leaves what the enforcer shall do for this thread; false: it cannot be left. */
__noinline int put_notice(__u32 policy, __u32 life, __s32 error, __u32 signal) {
  struct hook_thread_notices* notices =
      bpf_task_storage_get(&hook_notices, bpf_get_current_task_btf(), 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (!notices) return 0;
  struct hook_notice* notice = find_notice(notices, life);
  if (!notice) notice = find_free_notice(notices);
  if (!notice) return 0;
  notice->life = life;
  notice->policy = policy;
  notice->error = error;
  notice->signal = signal;
  return 1;
}

/* Takes what was left for this thread away. */
__noinline int take_notice(__u32 life, struct hook_notice* taken) {
  struct hook_thread_notices* notices = bpf_task_storage_get(&hook_notices, bpf_get_current_task_btf(), 0, 0);
  struct hook_notice* notice = notices ? find_notice(notices, life) : NULL;
  if (!notice || !taken) return 0;
  *taken = *notice;
  notice->life = 0;
  return 1;
}

/* Leaves what the enforcer shall do for this thread, or takes it away. What cannot be left is done at once: an error
 * cannot be, so the thread does not get as far as the enforcer's call. */
__noinline int leave_notice(__u32 index, const struct sl_hook_selector* selector, __u32 actions, __u32 number) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !selector) return 0;
  if (scratch->monitor) {
    count(number, SL_HOOK_COUNT_WOULD_ENFORCE);
    return 0;
  }
  if (!in_task()) { /* an interrupt is not the thread that it borrows */
    count(number, SL_HOOK_COUNT_FAILED);
    return 0;
  }
  struct hook_notice before = {};
  if (actions & SL_HOOK_ACTION_CLEAR_ENFORCER) take_notice(scratch->event.life, &before);
  if (!(actions & SL_HOOK_ACTION_NOTIFY_ENFORCER)) return 0;
  const struct sl_hook* hook = hooks_at(scratch->hook);
  if (!hook) return 0;
  if (put_notice(hook->policy, hook->life, selector->enforcer_error, selector->enforcer_signal)) return 0;
  count(number, SL_HOOK_COUNT_FAILED);
  return enforce(index, SL_HOOK_ACTION_SIGNAL, selector->enforcer_signal ?: SL_SIGKILL, 0, number);
}

/* Does what was left. */
__noinline int do_notice(__u32 index, __u32 number) {
  struct hook_scratch* scratch = scratch_at(index);
  struct hook_notice notice = {};
  if (!scratch || !in_task() || !take_notice(scratch->event.life, &notice)) return 0;
  const __u32 actions = (notice.signal ? SL_HOOK_ACTION_SIGNAL : 0) | (notice.error ? SL_HOOK_ACTION_OVERRIDE : 0);
  return enforce(index, actions, notice.signal, notice.error, number);
}

#endif
