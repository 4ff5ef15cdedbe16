/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Executions: the section `process`.
 *
 * They are judged before the program begins, and refused. What it is called with is in the caller's memory then, where
 * another thread may change it after the kernel has copied it. So with rules about arguments, the execution is judged
 * once more when the copy is in place: the process that should not have begun is killed before its first instruction.
 */
#ifndef SLUICE_LSM_ON_EXEC_BPF_H
#define SLUICE_LSM_ON_EXEC_BPF_H

#include "bpf/lsm/on_path.bpf.h"

#define SL_KILL 9
#if defined(__TARGET_ARCH_x86)
#define SL_CALL_EXECVE 59
#define SL_CALL_EXECVEAT 322
#else
#define SL_CALL_EXECVE 221
#define SL_CALL_EXECVEAT 281
#endif

/* Where the caller of execve(2) has the pointers to the arguments; 0: not known. */
static __always_inline __u64 caller_arguments(void) {
  const __u32 call = call_of_current();
  struct pt_regs* registers = (struct pt_regs*)bpf_task_pt_regs(bpf_get_current_task_btf());
  __u64 address = 0;
  if (call == SL_CALL_EXECVE)
    bpf_probe_read_kernel(&address, sizeof(address), &PT_REGS_PARM2_SYSCALL(registers));
  else if (call == SL_CALL_EXECVEAT)
    bpf_probe_read_kernel(&address, sizeof(address), &PT_REGS_PARM3_SYSCALL(registers));
  return address;
}

/* Whether a process that is not the container's started this one there: its parent is in another pid namespace and
 * cgroup, and it is not the first one of its own. */
static __always_inline bool is_from_outside(__u32 subject) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct task_struct* leader = task->group_leader;
  struct task_struct* parent = task->real_parent;
  __u32 namespace = 0, parent_namespace = 0;
  if (!subject || !leader || !parent) return false;
  if (task_ns_pid(leader, false, &namespace) == 1) return false;
  task_ns_pid(parent, false, &parent_namespace);
  return namespace != parent_namespace && task_cgroup(task, false) != task_cgroup(parent, false);
}

static __always_inline bool has_begin(const struct lsm_scratch* scratch, const char* wanted, __u32 size) {
  const struct lsm_text of = scratch->texts[LSM_PATH];
  __u32 at = of.begin;
  barrier_var(at);
  if (of.length < size || at > SL_PATH_END - 16) return false;
  for (__u32 i = 0; i < size; i++) {
    if (scratch->buffers[LSM_PATH].path[at + i] != wanted[i]) return false;
  }
  return true;
}

/* Whether no file system on a disk has the program. */
static __always_inline bool is_in_memory(const struct lsm_scratch* scratch, const struct inode* inode) {
  if (BPF_CORE_READ(inode, i_nlink) == 0) return true;
  static const char shm[] = "/dev/shm/", run_shm[] = "/run/shm/";
  return has_begin(scratch, shm, sizeof(shm) - 1) || has_begin(scratch, run_shm, sizeof(run_shm) - 1);
}

/* The file that is executed, to the scratch. */
__noinline int take_executed(__u32 index, __u64 file_address) {
  struct lsm_scratch* scratch = scratch_at(index);
  const struct file* file = (void*)file_address;
  if (!scratch) return 0;
  const struct inode* inode = BPF_CORE_READ(file, f_inode);
  scratch->section = SL_LSM_PROCESS;
  scratch->operation = SL_LSM_EXECUTE;
  scratch->owner = BPF_CORE_READ(inode, i_uid.val);
  write_path(index, (__u64)BPF_CORE_READ(file, f_path.dentry), (__u64)BPF_CORE_READ(file, f_path.mnt), false);
  scratch->presets = 0;
  if (is_in_memory(scratch, inode)) scratch->presets |= 1 << SL_LSM_PRESET_FILELESS_EXEC;
  if (is_from_outside(scratch->subject)) scratch->presets |= 1 << SL_LSM_PRESET_EXEC;
  return 0;
}

/* Notes whether the execution must be judged again. */
static __always_inline void note_pending(bool pending) {
  struct lsm_task* known = bpf_task_storage_get(&lsm_tasks, bpf_get_current_task_btf(), NULL, 0);
  if (known) known->pending = pending;
}

/* A program is about to be executed. `by_name`: it is the file that the caller named, and not the interpreter of it. */
__noinline int on_execute(__u32 index, __u64 file, __u32 by_name) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  if (!profile) return 0;
  take_executed(index, file);
  const __u64 arguments = by_name ? caller_arguments() : 0;
  const bool known = arguments && read_arguments(index, arguments, 0, true);
  const bool pending = !known && profile->argument_sets;
  /* Arguments that are not known count as allowed: what is refused now, no argument could allow. */
  if (!known) scratch->argument_sets = ~0ull;
  note_pending(pending);
  judge_path(index);
  const int error = report(index, pending);
  if (!error) audit_path_call(index);
  return error;
}

/* Begins the second judgement, for the program of the first: `known`. If the tables have changed in between, the
 * program cannot be named any more: no rule that allows it is applied. */
static __always_inline struct lsm_scratch* start_executed(const struct lsm_run* run, const struct lsm_task* known,
                                                          __u32* index) {
  const bool is_named = known && known->generation == run->generation && known->profile == run->profile + 1;
  struct lsm_scratch* scratch = prepare(run, SL_LSM_PROCESS, index);
  if (!scratch) return NULL;
  for (int i = 0; i < SL_GROUP_WORDS; i++) scratch->groups[i] = is_named ? known->groups[i] : i == 0;
  scratch->program_unreadable = is_named ? known->unreadable : 1;
  return scratch;
}

/* The program is in place, and has not run yet. */
__noinline int on_executed(__u32 index, __u64 file, __u64 arguments, __u32 argument_count, __u32 pending) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  take_executed(index, file);
  if (!read_arguments(index, arguments, argument_count, false)) scratch->argument_sets = 0;
  judge_path(index);
  const bool blocks = scratch->verdict == SL_LSM_BLOCK;
  if (blocks) bpf_send_signal(SL_KILL);
  if (blocks || pending) {
    scratch->killed = blocks;
    report(index, false);
  }
  return 0;
}

#endif
