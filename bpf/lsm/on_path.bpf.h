/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Operations on files by their paths: the sections `file`, and `syscalls.matchPaths`. */
#ifndef SLUICE_LSM_ON_PATH_BPF_H
#define SLUICE_LSM_ON_PATH_BPF_H

#include <linux/ptrace.h>

#include <bpf/bpf_tracing.h>

#include "bpf/lsm/report.bpf.h"

#define SL_S_IFMT 0170000
#define SL_S_IFDIR 0040000
#define SL_S_IFREG 0100000
#define SL_PROC_MAGIC 0x9fa0
#define SL_SB_KERNMOUNT (1u << 22) /* s_flags: the kernel's own, as that of memfd */

enum lsm_path_facts {
  LSM_WRITES = 1 << 0,    /* the file is opened for writing, or changed */
  LSM_IS_NEW = 1 << 1,    /* it is not there yet: it will be the process's own */
  LSM_DIRECTORY = 1 << 2, /* it will be a directory */
  LSM_QUIET = 1 << 3,     /* another operation reports it */
};

/* The path of a file to the scratch, with "/" at the end of a directory's. Not static, so that the verifier checks it
 * once; such functions cannot take pointers to kernel structures, so addresses are numbers. */
__noinline int write_path(__u32 index, __u64 dentry, __u64 mount, __u32 is_directory) {
  struct lsm_scratch* scratch = scratch_at(index);
  struct path_text text = {.scratch = text_number(index, LSM_PATH)};
  if (!scratch) return 0;
  write_file_path(bpf_get_current_task_btf(), (void*)dentry, (void*)mount, &text, false, false);
  const struct found_path found = take_path(scratch, LSM_PATH, &text, mount, is_directory);
  scratch->unreadable = found.unreadable;
  scratch->no_path = found.no_path;
  if (found.unreadable) {
    const __u32 zero = 0;
    struct sl_lsm_progress* progress = bpf_map_lookup_elem(&lsm_progress, &zero);
    if (progress) __sync_fetch_and_add(&progress->unreadable, 1);
  }
  return 0;
}

/* The process that a file below /proc/PID is about; 0: it is gone. */
static __always_inline __u32 process_of(const struct inode* inode) {
  const struct proc_inode* proc = (void*)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
  const struct pid* pid = BPF_CORE_READ(proc, pid);
  const void* link = BPF_CORE_READ(pid, tasks[0].first);
  if (!link) return 0;
  const struct task_struct* task = link - bpf_core_field_offset(struct task_struct, pid_links);
  return BPF_CORE_READ(task, tgid);
}

static __always_inline bool ends_with_environ(const struct lsm_scratch* scratch) {
  const struct lsm_text of = scratch->texts[LSM_PATH];
  __u32 at = of.begin + of.length - 8;
  barrier_var(at);
  if (of.length < 8 || at > SL_PATH_END - 8 + 1) return false;
  const char* text = &scratch->buffers[LSM_PATH].path[at];
  return text[0] == '/' && text[1] == 'e' && text[2] == 'n' && text[3] == 'v' && text[4] == 'i' && text[5] == 'r' &&
         text[6] == 'o' && text[7] == 'n';
}

/* Presets about files of another process: those below /proc/PID, not the directory itself. */
__noinline int note_process_files(__u32 index, __u64 dentry_address) {
  struct lsm_scratch* scratch = scratch_at(index);
  const struct dentry* dentry = (void*)dentry_address;
  if (!scratch) return 0;
  const struct inode* inode = BPF_CORE_READ(dentry, d_inode);
  const struct proc_inode* proc = (void*)inode - bpf_core_field_offset(struct proc_inode, vfs_inode);
  if (!inode || BPF_CORE_READ(inode, i_sb, s_magic) != SL_PROC_MAGIC || !BPF_CORE_READ(proc, pid)) return 0;
  const struct dentry* parent = BPF_CORE_READ(dentry, d_parent);
  if (parent == BPF_CORE_READ(parent, d_parent)) return 0; /* /proc/PID itself */
  if (process_of(inode) == (__u32)(bpf_get_current_pid_tgid() >> 32)) return 0;
  scratch->other_process = 1;
  scratch->presets |= 1 << SL_LSM_PRESET_PROTECT_PROC;
  if (ends_with_environ(scratch)) scratch->presets |= 1 << SL_LSM_PRESET_PROTECT_ENV;
  return 0;
}

/* The number of the system call that the process is in; SL_LSM_SYSTEM_CALLS: a 32-bit program's, or none. */
static __always_inline __u32 call_of_current(void) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct pt_regs* registers = (struct pt_regs*)bpf_task_pt_regs(task);
  __u64 number = SL_LSM_SYSTEM_CALLS;
#if defined(__TARGET_ARCH_x86)
  if (task->thread_info.status & SL_TS_COMPAT) return SL_LSM_SYSTEM_CALLS;
  bpf_probe_read_kernel(&number, sizeof(number), &__PT_REGS_CAST(registers)->orig_rax);
#else
  __u32 kept = ~0u; /* pt_regs.syscallno, after user_pt_regs and orig_x0 */
  bpf_probe_read_kernel(&kept, sizeof(kept), (void*)registers + sizeof(struct user_pt_regs) + sizeof(__u64));
  number = kept;
#endif
  return number < SL_LSM_SYSTEM_CALLS ? number : SL_LSM_SYSTEM_CALLS;
}

/* Rules about system calls for the path in the scratch. */
__noinline int audit_path_call(__u32 index) {
  struct lsm_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const struct sl_lsm_profile* profile = bpf_map_lookup_elem(&lsm_profiles, &scratch->profile);
  const __u32 call = call_of_current();
  if (!profile || call >= SL_LSM_SYSTEM_CALLS) return 0;
  if (!(profile->path_calls[call / 64 % (SL_LSM_SYSTEM_CALLS / 64)] >> (call % 64) & 1)) return 0;
  scratch->section = SL_LSM_SYSCALL_PATHS;
  scratch->operation = SL_LSM_SYSTEM_CALL;
  scratch->call = scratch->number = call;
  scratch->presets = 0;
  judge_path(index);
  report(index, false);
  return 0;
}

/* Judges an operation on a file. Returns the error for the kernel. */
__noinline int on_path(__u32 index, __u64 dentry_address, __u64 mount, __u32 operation, __u32 facts) {
  struct lsm_scratch* scratch = scratch_at(index);
  const struct dentry* dentry = (void*)dentry_address;
  if (!scratch) return 0;
  const struct inode* inode = BPF_CORE_READ(dentry, d_inode);
  const bool is_directory =
      facts & LSM_DIRECTORY || (!(facts & LSM_IS_NEW) && (BPF_CORE_READ(inode, i_mode) & SL_S_IFMT) == SL_S_IFDIR);
  scratch->section = SL_LSM_FILE;
  scratch->operation = operation;
  scratch->writes = facts & LSM_WRITES ? 1 : 0;
  if (!(facts & LSM_IS_NEW) && inode) scratch->owner = BPF_CORE_READ(inode, i_uid.val);
  write_path(index, dentry_address, mount, is_directory);
  /* Overlayfs opens the directory or file of a layer, by a mount that only it has: the process has opened the one
   * above, by its path. */
  if (scratch->no_path && !(BPF_CORE_READ(inode, i_sb, s_flags) & SL_SB_KERNMOUNT)) return 0;
  if (operation == SL_LSM_OPEN) note_process_files(index, dentry_address);
  judge_path(index);
  const int error = report(index, facts & LSM_QUIET);
  if (!error) audit_path_call(index);
  return error;
}

/* Begins a run for an operation on a file. */
static __always_inline enum lsm_start start_path(__u32* index) {
  struct lsm_run run;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile) return LSM_NO_RULES;
  const struct sl_lsm_rules_of* file = &profile->sections[SL_LSM_FILE];
  if (!((file->flags | profile->sections[SL_LSM_SYSCALL_PATHS].flags) & SL_LSM_HAS_RULES)) return LSM_NO_RULES;
  if (is_entering(&run)) return LSM_NO_RULES;
  if (start(&run, SL_LSM_FILE, index)) return LSM_JUDGE;
  return can_block(file) ? LSM_REFUSE : LSM_NO_RULES;
}

/* The whole of a hook that is about one file. */
static __always_inline int judge_operation(__u64 dentry, __u64 mount, __u32 operation, __u32 facts) {
  __u32 index = 0;
  const enum lsm_start begun = start_path(&index);
  if (begun == LSM_NO_RULES) return 0;
  if (begun == LSM_REFUSE) return -SL_EPERM;
  const int error = on_path(index, dentry, mount, operation, facts);
  return end_run(index, error);
}

/* Of a hook that is about two files: the second is judged if the first may pass. */
static __always_inline int judge_two(__u64 first, __u64 first_mount, __u64 second, __u64 second_mount, __u32 operation,
                                     __u32 second_facts) {
  __u32 index = 0;
  const enum lsm_start begun = start_path(&index);
  if (begun == LSM_NO_RULES) return 0;
  if (begun == LSM_REFUSE) return -SL_EPERM;
  int error = on_path(index, first, first_mount, operation, LSM_WRITES);
  if (!error) error = on_path(index, second, second_mount, operation, second_facts);
  return end_run(index, error);
}

#endif
