/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Runs all hooks of a point. */
#ifndef SLUICE_RUN_BPF_H
#define SLUICE_RUN_BPF_H

#include "bpf/hooks/index.bpf.h"
#include "bpf/hooks/socket_owner.bpf.h"

/* Keeps the event until the call returns. False: it is lost. */
static __always_inline bool hold_event(struct hook_scratch* scratch, const struct sl_hook_call_key* key) {
  static const struct hook_held empty;
  if (bpf_map_update_elem(&hook_held_events, key, &empty, BPF_ANY)) return false;
  struct hook_held* held = bpf_map_lookup_elem(&hook_held_events, key);
  if (!held) return false;
  __u32 length = scratch->event.length;
  barrier_var(length);
  if (length > SL_HOOK_HELD_MAX) length = SL_HOOK_HELD_MAX;
  held->event = scratch->event;
  held->event.length = length;
  bpf_probe_read_kernel(held->data, length, scratch->data);
  return true;
}

static __always_inline bool take_held_event(struct hook_scratch* scratch, const struct sl_hook_call_key* key) {
  struct hook_held* held = bpf_map_lookup_elem(&hook_held_events, key);
  if (!held) return false;
  scratch->event = held->event;
  bpf_probe_read_kernel(scratch->data, SL_HOOK_HELD_MAX, held->data);
  __u32 length = held->event.length;
  scratch->length = length;
  bpf_map_delete_elem(&hook_held_events, key);
  return true;
}

/* Whether the policy is enabled and made for the current subject. */
static __always_inline bool applies(struct hook_scratch* scratch, __u32 index, const struct sl_hook* hook) {
  const struct sl_hook_policy* policy = bpf_map_lookup_elem(&hook_policies, &hook->policy);
  if (!policy || !(policy->flags & SL_HOOK_POLICY_ENABLED)) return false;
  if (hook->scope != SL_SCOPE_OF_ALL && !in_scope(scratch, index, hook->scope)) return false;
  scratch->monitor = policy->flags & SL_HOOK_POLICY_MONITOR ? 1 : 0;
  return true;
}

static __always_inline void fill_event(struct hook_scratch* scratch, __u32 index, const struct sl_hook* hook,
                                       __u32 selector, __u8 kind, __u8 stacks) {
  describe_task(scratch, index);
  scratch->event.kernel_stack = stacks & SL_HOOK_STACK_KERNEL ? scratch->kernel_stack : -1;
  scratch->event.user_stack = stacks & SL_HOOK_STACK_USER ? scratch->user_stack : -1;
  scratch->event.hook = scratch->hook;
  scratch->event.life = hook->life;
  scratch->event.kind = kind;
  scratch->event.selector = selector;
  scratch->event.argument_count = hook->argument_count;
  scratch->event.monitor = scratch->monitor;
  scratch->event.call = 0;
  scratch->event.length = scratch->length;
}

/* The key under which hook_calls notes that some hook of the point waits for the call's return. */
static __always_inline struct sl_hook_call_key key_of_point(__u32 point) {
  return (struct sl_hook_call_key){.thread = bpf_get_current_pid_tgid(), .hook = SL_HOOKS + point};
}

/* Notes a call whose return the hook wants. Returns whether its event, if there is one, is to be sent now. `number`: of
 * the selector. Apart from enter_hook for the sake of the stack. */
__noinline int wait_for_return(__u32 index, __u32 hook_number, __u32 number, bool post) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sl_hook* hook = hooks_at(hook_number);
  void* const calls = hook_calls_if_made();
  if (!scratch || !hook || !calls) return post;
  const struct sl_hook_call_key key = {.thread = bpf_get_current_pid_tgid(), .hook = hook_number, .life = hook->life};
  struct sl_hook_progress* all = progress();
  struct hook_call call = {.call = all ? __sync_fetch_and_add(&all->last_call, 1) + 1 : 0,
                           .selector = number - hook->selectors + 1,
                           .posts = post};
  for (int i = 0; i < SL_REGISTERS; i++) call.registers[i] = scratch->registers[i];
  scratch->event.call = call.call;
  const bool holds = post && hook->flags & SL_HOOK_HOLDS;
  if (holds) {
    call.posts = hold_event(scratch, &key);
    if (!call.posts) count(number, SL_HOOK_COUNT_LOST);
  }
  bpf_map_update_elem(calls, &key, &call, BPF_ANY);
  const struct sl_hook_call_key of_point = key_of_point(scratch->point);
  bpf_map_update_elem(calls, &of_point, &call, BPF_ANY);
  return post && !holds;
}

/* A function begins, or a tracepoint is hit. */
__noinline int enter_hook(__u32 index, __u32 hook_number) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sl_hook* hook = hooks_at(hook_number);
  if (!scratch || !hook || !applies(scratch, index, hook)) return 0;
  scratch->hook = hook_number;
  read_arguments(scratch, index, hook);
  if (hook->flags & SL_HOOK_NEEDS_BINARY && !scratch->binary.length && in_task()) {
    read_program(index, false);
    read_program(index, true);
  }
  const __u32 found = find_selector(index, hook, 0, hook->test_count - hook->return_tests, 0);
  if (!found) return 0;
  const __u32 number = hook->selectors + found - 1;
  const struct sl_hook_selector* selector = hook_selectors_at(number);
  if (!selector) return 0;
  fill_event(scratch, index, hook, found - 1, SL_HOOK_EVENT_ENTER, selector->stacks);
  count(number, SL_HOOK_COUNT_MATCHED);
  __u32 actions = selector->actions;
  bool post = actions & SL_HOOK_ACTION_POST;
  if (actions & SL_TRACKING_ACTIONS)
    track_socket(index, hook_number, selector->socket, actions & SL_HOOK_ACTION_UNTRACK_SOCKET);
  name_socket_owner(index, hook_number);
  scratch->event.actions = enforce(index, actions, selector->signal, selector->error, number);
  if (actions & SL_NOTIFYING_ACTIONS) {
    leave_notice(index, selector, actions, number);
    scratch->event.actions |= actions & SL_NOTIFYING_ACTIONS;
  }
  if (actions & SL_HOOK_ACTION_ENFORCE) do_notice(index, number);
  if (actions & SL_HOOK_ACTION_MARK) put_mark(selector->error);
  if (post && selector->rate_ns && is_repeated(index, selector, number)) {
    count(number, SL_HOOK_COUNT_RATE_LIMITED);
    post = false;
  }
  if (post) scratch->event.actions |= SL_HOOK_ACTION_POST;
  if (hook->flags & SL_HOOK_RETURNS && (post || selector->return_actions))
    post = wait_for_return(index, hook_number, number, post);
  if (post) send_event(index, number);
  return 0;
}

/* A function returns to its caller. Only calls that a selector wanted are of interest. */
__noinline int return_from_hook(__u32 index, __u32 hook_number) {
  struct hook_scratch* scratch = scratch_at(index);
  const struct sl_hook* hook = hooks_at(hook_number);
  void* const calls = hook_calls_if_made();
  if (!scratch || !hook || !calls || !(hook->flags & SL_HOOK_RETURNS)) return 0;
  const struct sl_hook_call_key key = {.thread = bpf_get_current_pid_tgid(), .hook = hook_number, .life = hook->life};
  struct hook_call* call = bpf_map_lookup_elem(calls, &key);
  if (!call) return 0;
  const __u32 found = call->selector;
  const __u64 call_number = call->call;
  const bool posts = call->posts;
  for (int i = 0; i < SL_REGISTERS; i++) scratch->registers[i] = call->registers[i];
  bpf_map_delete_elem(calls, &key);
  const bool applied = applies(scratch, index, hook);
  const bool held = hook->flags & SL_HOOK_HOLDS && take_held_event(scratch, &key);
  if (!applied) return 0;
  const __u32 number = hook->selectors + found - 1;
  const struct sl_hook_selector* selector = hook_selectors_at(number);
  if (!selector || !found) return 0;
  scratch->hook = hook_number;
  __u32 actions = 0;
  if (held) {
    actions = scratch->event.actions;
    scratch->described = 0;
  } else {
    scratch->length = 0;
    __builtin_memset(scratch->event.arguments, 0, sizeof(scratch->event.arguments));
  }
  scratch->event.return_value = 0;
  if (hook->return_value.read == SL_HOOK_READ_NUMBER)
    scratch->event.return_value =
        resize(scratch->return_value, hook->return_value.size, hook->return_value.flags & SL_HOOK_ARGUMENT_SIGNED);
  for (__u32 i = 0; i < SL_HOOK_ARGUMENTS; i++) {
    const struct sl_hook_argument* how = &hook->arguments[i];
    if (how->flags & SL_HOOK_ARGUMENT_AT_RETURN) read_argument(index, i, how);
  }
  const __u32 begin = hook->test_count - hook->return_tests;
  if (hook->return_tests && !find_selector(index, hook, begin, hook->test_count, found)) return 0;
  fill_event(scratch, index, hook, found - 1, held ? SL_HOOK_EVENT_WHOLE : SL_HOOK_EVENT_RETURN, selector->stacks);
  scratch->event.call = call_number;
  const __u32 return_actions = selector->return_actions;
  if (return_actions & SL_TRACKING_ACTIONS)
    track_socket(index, hook_number, selector->socket, return_actions & SL_HOOK_ACTION_UNTRACK_SOCKET);
  name_socket_owner(index, hook_number);
  scratch->event.actions = actions | enforce(index, return_actions, selector->return_signal, 0, number);
  if (return_actions & SL_NOTIFYING_ACTIONS) {
    leave_notice(index, selector, return_actions, number);
    scratch->event.actions |= return_actions & SL_NOTIFYING_ACTIONS;
  }
  if (posts) send_event(index, number);
  return 0;
}

/* Small, as it is on the stack below all that a hook needs. */
struct point_run {
  __u32 scratch;
  __u32 at;    /* from `first` */
  __u16 first; /* in hook_list */
  __u16 count;
  __u16 at_return;
  __u16 shift; /* see sl_hook_index_shift */
  __u64 hooks; /* that may want the call, as bits */
};

static long run_hook(__u32 ignored, void* context) {
  struct point_run* run = context;
  const __u32 position = run->at, bit = position >> run->shift;
  if (position >= run->count) return 1;
  if (!(run->hooks >> (bit & 63) & 1)) {
    run->at = (bit + 1) << run->shift;
    return 0;
  }
  run->at = position + 1;
  const __u32 at = run->first + position;
  const __u32* number = bpf_map_lookup_elem(&hook_list, &at);
  if (!number) return 1;
  if (run->at_return)
    return_from_hook(run->scratch, *number);
  else
    enter_hook(run->scratch, *number);
  return 0;
}

static __always_inline bool has_hooks(__u32 point_number, struct sl_hook_point* point) {
  const __u64* stored = bpf_map_lookup_elem(&hook_points, &point_number);
  if (!stored) return false;
  const __u64 whole = SL_READ_ONCE(*stored);
  __builtin_memcpy(point, &whole, sizeof(*point));
  return point->count != 0;
}

/* Scratch memory for one run. Null: programs interrupt each other too deep; counted. */
static __always_inline struct hook_scratch* take_scratch(__u32* index) {
  const __u32 first = bpf_get_smp_processor_id() * SL_HOOK_LEVELS;
  for (__u32 level = 0; level < SL_HOOK_LEVELS; level++) {
    struct hook_scratch* scratch = scratch_at(first + level);
    if (!scratch || __sync_lock_test_and_set(&scratch->busy, 1) != 0) continue;
    *index = first + level;
    return scratch;
  }
  struct sl_hook_progress* all = progress();
  if (all) __sync_fetch_and_add(&all->runs_missed, 1);
  return NULL;
}

/* The stacks that a selector of the point may want; here, as only the entry point has the context. */
static __always_inline void take_stacks(struct hook_scratch* scratch, const struct sl_hook_point* point,
                                        void* context) {
  scratch->kernel_stack = scratch->user_stack = -1;
  void* const stacks = point->stacks ? hook_stacks_if_made() : NULL;
  if (!stacks) return;
  if (point->stacks & SL_HOOK_STACK_KERNEL)
    scratch->kernel_stack = bpf_get_stackid(context, stacks, BPF_F_REUSE_STACKID);
  if (point->stacks & SL_HOOK_STACK_USER)
    scratch->user_stack = bpf_get_stackid(context, stacks, BPF_F_REUSE_STACKID | BPF_F_USER_STACK);
}

/* Runs hooks of a point; `hooks`: which, as bits. */
static __always_inline void run_hooks(struct hook_scratch* scratch, __u32 index, const struct sl_hook_point* point,
                                      __u64 hooks, bool at_return) {
  const __u32 zero = unknown_zero;
  struct point_run run = {.scratch = index,
                          .first = point->first,
                          .at = zero,
                          .count = point->count,
                          .at_return = at_return,
                          .shift = sl_hook_index_shift(point->count) + zero,
                          .hooks = hooks};
  scratch->subject = SL_SUBJECT_UNKNOWN;
  scratch->described = 0;
  scratch->binary = scratch->parent_binary = (struct hook_text){};
  bpf_loop(SL_HOOK_LIST, run_hook, &run, 0);
}

/* A function begins: the scratch has the registers. Releases the scratch. Returns the error that the function shall
 * return instead of running; 0: none. */
static __always_inline __s32 enter_point(struct hook_scratch* scratch, __u32 index, __u32 point_number,
                                         const struct sl_hook_point* point, void* context) {
  scratch->at_return = 0;
  scratch->error = 0;
  scratch->length = 0;
  scratch->read_count = 0;
  const __u64 hooks = hooks_that_may_want(index, point);
  if (hooks) {
    scratch->point = point_number;
    take_stacks(scratch, point, context);
    for (int i = 1; i < SL_HOOK_ARGUMENTS; i++) scratch->event.arguments[i] = (struct sl_hook_value){};
    if (!scratch->read_count) scratch->event.arguments[0] = (struct sl_hook_value){};
    run_hooks(scratch, index, point, hooks, false);
  }
  const __s32 error = scratch->error;
  SL_WRITE_ONCE(scratch->busy, 0);
  return error;
}

/* Whether some hook of the point waits for this return. */
__noinline int is_awaited(__u32 point_number) {
  const struct sl_hook_call_key key = key_of_point(point_number);
  void* const calls = hook_calls_if_made();
  if (!calls || !bpf_map_lookup_elem(calls, &key)) return 0;
  bpf_map_delete_elem(calls, &key);
  return 1;
}

/* A function returns `value`. Only calls that a hook waits for are of interest. */
static __always_inline void return_from_point(__u32 point_number, __u64 value, void* context) {
  struct sl_hook_point point;
  __u32 index = 0;
  if (!has_hooks(point_number, &point) || !is_awaited(point_number)) return;
  struct hook_scratch* scratch = take_scratch(&index);
  if (!scratch) return;
  scratch->return_value = value;
  scratch->at_return = 1;
  scratch->length = 0;
  scratch->read_count = 0;
  take_stacks(scratch, &point, context);
  run_hooks(scratch, index, &point, SL_ALL_HOOKS, true);
  SL_WRITE_ONCE(scratch->busy, 0);
}

#endif
