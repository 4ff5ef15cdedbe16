/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A program was executed: the new image is in place, but has not run yet. `task` is current. */
#ifndef SLUICE_EXEC_BPF_H
#define SLUICE_EXEC_BPF_H

#include "bpf/sensors/record.bpf.h"

/* per_clear is set if set-ID bits or file capabilities took effect. */
static __always_inline __u32 privilege_flags(struct task_struct* task, struct linux_binprm* bprm, bool known) {
  if (SL_READ(known, bprm, per_clear) == 0) return 0;
  const __u16 mode = SL_LOAD(task, mm, exe_file, f_inode, i_mode);
  __u32 flags = SL_PROCESS_PRIVILEGED;
  if (mode & SL_S_ISUID) flags |= SL_PROCESS_SETUID;
  if ((mode & (SL_S_ISGID | SL_S_IXGRP)) == (SL_S_ISGID | SL_S_IXGRP)) flags |= SL_PROCESS_SETGID;
  return flags;
}

/* If the executed file and the interpreter differ. As the caller wrote it, perhaps relative to the working
 * directory. */
static __always_inline void append_script(struct sl_scratch* scratch, const char* file) {
  const __u32 offset = scratch->length;
  if (offset > SL_PROCESS_DATA_MAX - SL_PAGE) return;
  const long size = bpf_probe_read_kernel_str(&scratch->data[offset], SL_PAGE, file);
  if (size <= 1 || size > SL_PAGE) return;
  if (size == SL_PAGE) scratch->start.header.flags |= SL_PROCESS_SCRIPT_TRUNCATED;
  scratch->start.script_length = size - 1;
  scratch->length = offset + size - 1;
}

/* Whether the interpreter only executes another program, which then runs the script: "#!/usr/bin/env python3". By its
 * name in the script's first line, as env may be a link to a multi-call binary. */
static __always_inline bool is_env(struct sl_scratch* scratch, const char* interpreter) {
  const long size = bpf_probe_read_kernel_str(scratch->text.name, sizeof(scratch->text.name), interpreter);
  if (size < 5 || size > (long)sizeof(scratch->text.name)) return false;
  __u32 end = size - 5;
  barrier_var(end);
  end &= sizeof(scratch->text.name) - 1;
  if (end > sizeof(scratch->text.name) - 5) return false;
  const char* name = &scratch->text.name[end];
  return name[0] == '/' && name[1] == 'e' && name[2] == 'n' && name[3] == 'v';
}

/* Appends the path of the current task's program. Returns the class after `before` and this program, if it is cached;
 * 0: it must be looked up, by the path in `program` and its length. */
__noinline sl_process_class_number append_program(__u32 index, sl_process_class_number before, bool script) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  struct task_struct* task = bpf_get_current_task_btf();
  struct path_text text = {.scratch = index};
  if (!scratch) return 0;
  append_binary(scratch, task, &text);
  make_whole(scratch, task, &text);
  sl_process_class_number number = known_step(scratch, &text, before);
  if (number && !script) return number;
  scratch->program_length = take_path(scratch, &text, scratch->home);
  return 0;
}

/* Appends the texts after the programs. */
__noinline int append_rest(__u32 index) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  append_cwd(scratch, index, task);
  append_cgroup(scratch, index, task);
  append_arguments(scratch, index, task, false);
  return 0;
}

/* Describes the new instance, still with the previous instance's class; returns the previous instance's id. `told`: the
 * instance is known already, from the iterator or from an earlier agent's probes that are about to end. */
static __always_inline sl_process_id begin_instance(struct task_struct* task, __u32 tgid, __u32 flags,
                                                    struct sl_process* process, bool* told, bool* is_new) {
  sl_process_id previous = 0;
  describe_process(task, true, process);
  process->start_ns = bpf_ktime_get_boot_ns();
  process->flags |= SL_PROCESS_EXECED | flags;
  const struct sl_process* entry = bpf_map_lookup_elem(&processes, &tgid);
  if (entry && entry->birth_ns != process->birth_ns) entry = NULL;
  settle_home(task, entry, process);
  *is_new = !entry;
  if (entry) {
    process->parent = entry->parent;
    process->process_class = entry->process_class;
    process->share = entry->share;
    process->flags |= entry->flags & SL_PROCESS_OWNS_SOCKETS;
    *told = entry->execs == process->execs;
    if (*told)
      process->flags |= entry->flags & SL_PROCESS_SCRIPT_BY_ENV;
    else if (entry->flags & SL_PROCESS_IS_ENV)
      process->flags |= SL_PROCESS_SCRIPT_BY_ENV;
    if (!*told) previous = entry->id;
  } else {
    process->parent = parent_process(task, true);
    process->share = task_share(task, true);
  }
  give_id(tgid, process);
  return previous;
}

static __always_inline void put_in_force(__u32 tgid, const struct sl_process* process, bool is_new) {
  store_process(tgid, process, SL_PROCESS_EVENT_EXEC, is_new);
  if (process->flags & SL_PROCESS_OWNS_SOCKETS) sl_note_socket_change();
}

/* `known`: the verifier knows what `bprm` is (read.bpf.h). */
static __always_inline int on_exec(struct task_struct* task, struct linux_binprm* bprm, bool known) {
  const __u32 index = bpf_get_smp_processor_id(), tgid = task->tgid;
  const __u32 privileges = privilege_flags(task, bprm, known);
  struct sl_process process;
  bool told = false, is_new = false;
  const sl_process_id previous = begin_instance(task, tgid, privileges, &process, &told, &is_new);
  struct sl_scratch* scratch = take_scratch(index, &process, task_share(task, true));
  if (!scratch) {
    if (!told) process.process_class = 0;
    put_in_force(tgid, &process, is_new);
    count_loss(SL_PROCESS_LOSS_NESTED, SL_PROCESS_EVENT_EXEC, process.cgroup);
    return 0;
  }
  fill_start(&scratch->start, task, true, SL_PROCESS_EVENT_EXEC, &process);
  scratch->start.header.time_ns = process.start_ns;
  scratch->start.previous = previous;
  scratch->start.argument_count = SL_READ(known, bprm, argc);
  const char* file = SL_READ(known, bprm, filename);
  const char* interpreter = SL_READ(known, bprm, interp);
  const bool script = file != interpreter, by_env = !script && process.flags & SL_PROCESS_SCRIPT_BY_ENV;
  sl_process_class_number number = append_program(index, process.process_class, script || by_env);
  if (!number) find_program(index, scratch->program_length, false); /* called here, not there, to save stack */
  if (script) {
    append_script(scratch, file);
    process.flags &= ~SL_PROCESS_SCRIPT_BY_ENV;
    scratch->start.header.flags &= ~SL_PROCESS_SCRIPT_BY_ENV;
    if (is_env(scratch, interpreter)) process.flags |= SL_PROCESS_IS_ENV;
  }
  if (!told || !process.process_class) {
    if (!number) {
      find_script(index);
      number = executed_class(index, process.process_class, by_env);
    }
    process.process_class = number;
  }
  put_in_force(tgid, &process, is_new);
  append_rest(index);
  send_scratch(scratch, SL_PROCESS_EVENT_EXEC);
  return 0;
}

#endif
