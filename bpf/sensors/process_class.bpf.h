/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Assigns classes to processes. A class under construction is in the scratch's `process_class`. */
#ifndef SLUICE_PROCESS_CLASS_BPF_H
#define SLUICE_PROCESS_CLASS_BPF_H

#include "bpf/sensors/program.bpf.h"

#define SL_LIVING_ANCESTORS_MAX 32

/* Adds an ancestor to a class's facts. Not static, so that the verifier does not walk on from each of its places. */
__noinline int add_ancestor(struct sl_process_class* to, __u32 program) {
  if (!to) return 0;
  for (int i = 0; i < SL_MAX_ANCESTORS; i++) {
    if (to->facts.ancestors[i] == program) return 0;
    if (to->facts.ancestors[i]) continue;
    to->facts.ancestors[i] = program;
    return 0;
  }
  to->facts.flags |= SL_CLASS_MORE_ANCESTORS;
  return 0;
}

/* The number of the class that `want` describes. 0: no room. */
static __always_inline sl_process_class_number class_number(struct sl_process_class* want) {
  const sl_process_class_number* known = bpf_map_lookup_elem(&process_class_numbers, &want->facts);
  if (!known) {
    if (!may_add(SL_SHARED_CLASSES, want->share)) return 0;
    sl_process_class_number fresh = next_number(1);
    want->used_ns = bpf_ktime_get_ns();
    want->forked = 0;
    if (!fresh || bpf_map_update_elem(&process_classes, &fresh, want, BPF_NOEXIST)) {
      note_refused(SL_SHARED_CLASSES, want->share);
      return 0;
    }
    if (bpf_map_update_elem(&process_class_numbers, &want->facts, &fresh, BPF_NOEXIST) == 0) {
      note_added(SL_SHARED_CLASSES, want->share, 1);
      return fresh;
    }
    bpf_map_delete_elem(&process_classes, &fresh); /* another CPU was first, or there is no room */
    known = bpf_map_lookup_elem(&process_class_numbers, &want->facts);
  }
  return known ? *known : 0;
}

/* Marks the class as used, for the agent. */
static __always_inline void note_use(struct sl_process_class* class) { class->used_ns = bpf_ktime_get_ns(); }

/* Marks a class that a process will get. 0: the agent has just removed it. */
static __always_inline sl_process_class_number use_class(sl_process_class_number number) {
  struct sl_process_class* class = bpf_map_lookup_elem(&process_classes, &number);
  if (!class) return 0;
  note_use(class);
  return number;
}

/* The ancestors of a class's children: its own ancestors, its program and its script. */
static __always_inline void inherit(struct sl_process_class* child, const struct sl_process_class* parent) {
  __builtin_memcpy(child, parent, sizeof(*child));
  if (parent->facts.program)
    add_ancestor(child, parent->facts.program);
  else
    child->facts.flags |= SL_CLASS_MORE_ANCESTORS;
  if (parent->facts.script) add_ancestor(child, parent->facts.script);
  for (int epoch = 0; epoch < SL_EPOCHS; epoch++) child->ancestors[epoch] |= parent->binaries[epoch];
}

/* The class of a forked child; a new class counts in `share`. */
static __always_inline sl_process_class_number forked_class(sl_process_class_number of, __u32 share) {
  struct sl_process_class* parent = bpf_map_lookup_elem(&process_classes, &of);
  if (!parent) return 0;
  sl_process_class_number number = parent->forked;
  struct sl_process_class* child = number ? bpf_map_lookup_elem(&process_classes, &number) : 0;
  if (!child) {
    struct sl_process_class want;
    inherit(&want, parent);
    want.share = share;
    parent->forked = number = class_number(&want);
    child = bpf_map_lookup_elem(&process_classes, &number);
  }
  if (!child) return 0;
  note_use(child);
  return number;
}

/* The cached class after `before` and the program at `text`. 0: not cached. */
static __always_inline sl_process_class_number known_step(struct sl_scratch* scratch, const struct path_text* text,
                                                          sl_process_class_number before) {
  __u32 begin = text->begin, length = SL_PATH_END - begin;
  barrier_var(begin);
  barrier_var(length);
  __builtin_memset(&scratch->step, 0, sizeof(scratch->step));
  if (!is_at_home(scratch, text, scratch->home) || length > SL_STEP_PATH_MAX) return 0;
  scratch->step.before = before;
  bpf_probe_read_kernel(scratch->step.path, length & SL_STEP_PATH_MASK, &scratch->text.path[begin & SL_PATH_END]);
  const sl_process_class_number* number = bpf_map_lookup_elem(&process_class_steps, &scratch->step);
  struct sl_process_class* class = number ? bpf_map_lookup_elem(&process_classes, number) : NULL;
  if (!class || class->facts.program == SL_PROGRAM_UNKNOWN) return 0; /* the agent has removed it, or its program */
  note_use(class);
  return *number;
}

/* The class of a process of class `before` that has executed the scratch's `binary` and `script`. `by_env`: or that
 * runs the script of its previous instance. */
__noinline sl_process_class_number executed_class(__u32 index, sl_process_class_number before, bool by_env) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  if (!scratch) return 0;
  struct sl_process_class* want = &scratch->process_class;
  const struct sl_process_class* old = bpf_map_lookup_elem(&process_classes, &before);
  if (old) {
    inherit(want, old);
  } else {
    __builtin_memset(want, 0, sizeof(*want));
    want->facts.flags = SL_CLASS_MORE_ANCESTORS;
  }
  want->share = scratch->share;
  want->facts.program = scratch->binary.number;
  if (!by_env || !old || scratch->start.script_length) {
    want->facts.script = scratch->script.number;
    for (int epoch = 0; epoch < SL_EPOCHS; epoch++) want->scripts[epoch] = scratch->script.matches[epoch];
  } /* else inherited */
  for (int epoch = 0; epoch < SL_EPOCHS; epoch++)
    want->binaries[epoch] = scratch->binary.matches[epoch] | want->scripts[epoch];
  const sl_process_class_number number = use_class(class_number(want));
  if (number && scratch->step.path[0] && !scratch->start.script_length && !by_env)
    bpf_map_update_elem(&process_class_steps, &scratch->step, &number, BPF_ANY);
  return number;
}

struct ancestor_walk {
  struct task_struct* task;
  __u32 scratch;
  __u32 complete; /* reached the first process */
};

static __always_inline __u64 home_of(struct task_struct* task) {
  const __u32 tgid = task->tgid;
  const struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (entry && entry->birth_ns == SL_LOAD(task, group_leader, start_boottime)) return entry->home;
  const __u64 facts = describe_home((__u64)BPF_CORE_READ(task, nsproxy, mnt_ns), 0);
  return facts & HOME_IS_BELOW ? 0 : facts >> HOME_NUMBER_SHIFT;
}

static long walk_ancestor(__u32 ignored, void* context) {
  struct ancestor_walk* walk = context;
  struct task_struct* child = walk->task; /* CO-RE would look for ancestor_walk in the kernel */
  struct task_struct* parent = child ? SL_LOAD(child, group_leader, real_parent) : NULL;
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &walk->scratch);
  struct path_text text = {.scratch = walk->scratch};
  if (!scratch || !parent) return 1;
  if (parent->tgid == 0) {
    walk->complete = 1;
    return 1;
  }
  write_binary_path(parent, &text, !has_plain_root(scratch, parent));
  if (find_program(walk->scratch, take_path(scratch, &text, home_of(parent)), false)) {
    add_ancestor(&scratch->process_class, scratch->binary.number);
    for (int epoch = 0; epoch < SL_EPOCHS; epoch++)
      scratch->process_class.ancestors[epoch] |= scratch->binary.matches[epoch];
  } else if (!(parent->flags & SL_PF_KTHREAD)) {
    scratch->process_class.facts.flags |= SL_CLASS_MORE_ANCESTORS;
  }
  walk->task = parent;
  return 0;
}

/* The class of a process that existed before the sensors, and runs the scratch's `binary`. Only living ancestors count.
 * Otherwise every process would have unknown ancestors, as some may always have ended before the sensors started. */
static __always_inline sl_process_class_number seeded_class(struct sl_scratch* scratch, __u32 index,
                                                            struct task_struct* task) {
  const __u32 zero = unknown_zero;
  struct ancestor_walk walk = {.task = task, .scratch = index, .complete = zero};
  const struct sl_program binary = scratch->binary;
  struct sl_process_class* want = &scratch->process_class;
  __builtin_memset(want, 0, sizeof(*want));
  want->share = scratch->share;
  bpf_loop(SL_LIVING_ANCESTORS_MAX, walk_ancestor, &walk, 0);
  if (!walk.complete) want->facts.flags |= SL_CLASS_MORE_ANCESTORS;
  want->facts.program = binary.number;
  for (int epoch = 0; epoch < SL_EPOCHS; epoch++) want->binaries[epoch] = binary.matches[epoch];
  return use_class(class_number(want));
}

#endif
