/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The current process: which policies are for it, and the facts that rules ask about. */
#ifndef SLUICE_LSM_CURRENT_BPF_H
#define SLUICE_LSM_CURRENT_BPF_H

#include "bpf/lib/mounts.bpf.h"
#include "bpf/lib/task.bpf.h"
#include "bpf/lsm/judge.bpf.h"

#define SL_EPERM 1

static __always_inline __u64 generation_in_force(void) {
  const __u32 zero = 0;
  const __u64* root = bpf_map_lookup_elem(&lsm_root, &zero);
  return root ? SL_READ_ONCE(*root) : 0;
}

/* The path of a file as the root of the current process sees it, to the scratch. Sets `unreadable` if it is longer than
 * can be kept, or on a mounted file system that is in no mount namespace; `no_path` if no file system has the file. */
struct found_path {
  bool unreadable;
  bool no_path;
};

static __always_inline struct found_path take_path(struct lsm_scratch* scratch, __u32 number,
                                                   const struct path_text* text, __u64 mount, bool is_directory) {
  struct found_path found = {};
  const struct mnt_namespace* mounts = mount ? BPF_CORE_READ(real_mount((void*)mount), mnt_ns) : NULL;
  const bool is_internal = (long)mounts < 0 && (long)mounts > -4096; /* MNT_NS_INTERNAL, an error pointer */
  if (is_internal)
    found.no_path = true;
  else
    found.unreadable = text->truncated || text->detached || !mounts_number((__u64)mounts);
  struct lsm_text* of = &scratch->texts[number & 1];
  of->begin = text->begin & SL_PATH_END;
  of->length = SL_PATH_END - of->begin;
  if (is_directory && of->length > 1) {
    scratch->buffers[number & 1].path[SL_PATH_END] = '/';
    of->length++;
  }
  return found;
}

/* The path of the program that the process runs. */
__noinline int write_program(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  struct path_text text = {.scratch = text_number(index, LSM_PROGRAM)};
  if (!scratch) return 0;
  scratch->texts[LSM_PROGRAM].length = 0;
  scratch->program_unreadable = 0;
  struct file* file = SL_LOAD(task, mm, exe_file);
  if (!file) return 0;
  struct vfsmount* mount = file->f_path.mnt;
  write_file_path(task, file->f_path.dentry, mount, &text, false, true);
  const struct found_path found = take_path(scratch, LSM_PROGRAM, &text, (__u64)mount, false);
  if (found.no_path) scratch->texts[LSM_PROGRAM].length = 0;
  scratch->program_unreadable = found.unreadable;
  return 0;
}

/* The groups of the program that the thread runs; kept until it executes another one, or the tables change. */
__noinline int know_program(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  const __u32 execs = task->self_exec_id;
  struct lsm_task* known = bpf_task_storage_get(&lsm_tasks, task, NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (known && known->generation == scratch->generation && known->profile == scratch->profile + 1 &&
      known->execs == execs) {
    for (int i = 0; i < SL_GROUP_WORDS; i++) scratch->groups[i] = known->groups[i];
    scratch->program_unreadable = known->unreadable;
    return 0;
  }
  write_program(index);
  find_groups(index);
  if (!known) return 0;
  known->generation = 0;
  for (int i = 0; i < SL_GROUP_WORDS; i++) known->groups[i] = scratch->groups[i];
  known->unreadable = scratch->program_unreadable;
  known->execs = execs;
  known->profile = scratch->profile + 1;
  known->generation = scratch->generation;
  return 0;
}

enum lsm_start { LSM_NO_RULES, LSM_JUDGE, LSM_REFUSE };

static __always_inline bool can_block(const struct sl_lsm_rules_of* of) {
  return of->blocks_count || (of->closes_count && of->flags & SL_LSM_POSTURE_BLOCKS);
}

/* Memory for one run. Null: runs have interrupted each other too often; counted. */
static __always_inline struct lsm_scratch* take_scratch(__u32* index) {
  const __u32 first = bpf_get_smp_processor_id() * SL_LSM_LEVELS, zero = 0;
  for (__u32 level = 0; level < SL_LSM_LEVELS; level++) {
    struct lsm_scratch* scratch = scratch_at(first + level);
    if (!scratch || __sync_lock_test_and_set(&scratch->busy, 1) != 0) continue;
    *index = first + level;
    return scratch;
  }
  struct sl_lsm_progress* progress = bpf_map_lookup_elem(&lsm_progress, &zero);
  if (progress) __sync_fetch_and_add(&progress->not_judged, 1);
  return NULL;
}

static __always_inline void release(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (scratch) SL_WRITE_ONCE(scratch->busy, 0);
}

/* Ends a run with the hook's result. Since Linux 6.12 the verifier wants to see that this is an error or 0, which a
 * global function's result does not show. */
static __always_inline int end_run(__u32 index, int error) {
  release(index);
  if (!error) return 0;
  return -SL_EPERM;
}

/* The tables for the current process. */
struct lsm_run {
  __u64 generation;
  __u32 subject;
  __u32 subject_flags;
  __u32 profile;
};

static __always_inline const struct sl_lsm_profile* find_profile(struct lsm_run* run) {
  const struct task_struct* task = bpf_get_current_task_btf();
  if (task->flags & SL_PF_KTHREAD) return NULL;
  run->generation = generation_in_force();
  run->subject = current_subject();
  const struct sl_lsm_subject* subject = bpf_map_lookup_elem(&lsm_subjects, &run->subject);
  const __u32 number = subject ? subject->profiles[run->generation & 1] : 0;
  if (!number) return NULL;
  run->subject_flags = subject->flags;
  run->profile = number - 1;
  return bpf_map_lookup_elem(&lsm_profiles, &run->profile);
}

#define SL_INIT_PID 1

/* Whether the process is one of the host's that a container runtime has moved into the container, and that has not
 * executed a program there yet: its work belongs to the start of the container. What the sensors noted must be of this
 * process, and of the program that it runs: they may have ended before it began. */
static __always_inline bool is_entering(const struct lsm_run* run) {
  if (!(run->subject_flags & SL_LSM_SUBJECT_OF_RUNTIME)) return false;
  struct task_struct* task = bpf_get_current_task_btf();
  const __u32 pid = bpf_get_current_pid_tgid() >> 32, init_pid = SL_INIT_PID;
  const struct sl_process* process = bpf_map_lookup_elem(&processes, &pid);
  const struct sl_process* init = bpf_map_lookup_elem(&processes, &init_pid);
  if (!process || !init || !init->home || process->home != init->home) return false;
  return process->birth_ns == SL_LOAD(task, group_leader, start_boottime) &&
         process->execs == (__u32)SL_LOAD(task, group_leader, self_exec_id);
}

/* Fills a scratch for an operation of a section, without the program and what it is about. */
static __always_inline struct lsm_scratch* prepare(const struct lsm_run* run, __u32 section, __u32* index) {
  struct lsm_scratch* scratch = take_scratch(index);
  if (!scratch) return NULL;
  struct task_struct* task = bpf_get_current_task_btf();
  scratch->generation = run->generation;
  scratch->subject = run->subject;
  scratch->profile = run->profile;
  scratch->section = section;
  scratch->uid = SL_LOAD(task, cred, fsuid.val);
  scratch->owner = scratch->uid;
  scratch->terminal = SL_LOAD(task, signal, tty) != NULL;
  scratch->writes = scratch->presets = scratch->unreadable = scratch->no_path = 0;
  scratch->program_unreadable = scratch->other_process = scratch->call = scratch->number = 0;
  scratch->argument_sets = 0;
  scratch->arguments_length = scratch->arguments_truncated = scratch->killed = 0;
  scratch->texts[LSM_PATH].length = scratch->texts[LSM_PROGRAM].length = 0;
  scratch->event.family = scratch->event.type = scratch->event.protocol = 0;
  return scratch;
}

static __always_inline struct lsm_scratch* start(const struct lsm_run* run, __u32 section, __u32* index) {
  struct lsm_scratch* scratch = prepare(run, section, index);
  if (scratch) know_program(*index);
  return scratch;
}

#endif
