/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The facts of the process that calls. Read at the call, as most of them can change without an exec. */
#ifndef SLUICE_CALL_CALLER_BPF_H
#define SLUICE_CALL_CALLER_BPF_H

#include "bpf/calls/descriptor.bpf.h"
#include "bpf/lib/mounts.bpf.h"
#include "bpf/lib/task.bpf.h"

#define SL_SECOND 1000000000ull
#define SL_CTIME_NSEC 0x7fffffffu /* the highest bit says that somebody has asked for the time, since 6.13 */

static __always_inline __u64 changed_at(const struct inode* inode) {
  const struct inode___seconds* seconds = (const void*)inode;
  const struct inode___hidden* hidden = (const void*)inode;
  const struct inode___plain* plain = (const void*)inode;
  if (bpf_core_field_exists(seconds->i_ctime_sec))
    return BPF_CORE_READ(seconds, i_ctime_sec) * SL_SECOND + (BPF_CORE_READ(seconds, i_ctime_nsec) & SL_CTIME_NSEC);
  if (bpf_core_field_exists(hidden->__i_ctime))
    return BPF_CORE_READ(hidden, __i_ctime.tv_sec) * SL_SECOND + BPF_CORE_READ(hidden, __i_ctime.tv_nsec);
  if (bpf_core_field_exists(plain->i_ctime))
    return BPF_CORE_READ(plain, i_ctime.tv_sec) * SL_SECOND + BPF_CORE_READ(plain, i_ctime.tv_nsec);
  return 0;
}

static __always_inline __u64 modified_at(const struct inode* inode) {
  const struct inode___seconds* seconds = (const void*)inode;
  const struct inode___hidden* hidden = (const void*)inode;
  const struct inode___plain* plain = (const void*)inode;
  if (bpf_core_field_exists(seconds->i_mtime_sec))
    return BPF_CORE_READ(seconds, i_mtime_sec) * SL_SECOND + BPF_CORE_READ(seconds, i_mtime_nsec);
  if (bpf_core_field_exists(hidden->__i_mtime))
    return BPF_CORE_READ(hidden, __i_mtime.tv_sec) * SL_SECOND + BPF_CORE_READ(hidden, __i_mtime.tv_nsec);
  if (bpf_core_field_exists(plain->i_mtime))
    return BPF_CORE_READ(plain, i_mtime.tv_sec) * SL_SECOND + BPF_CORE_READ(plain, i_mtime.tv_nsec);
  return 0;
}

/* Whether these credentials allow to write the file, by its permissions alone. */
static __always_inline bool may_write(const struct inode* inode, const struct cred* cred, __u64 capabilities) {
  const struct inode___owner* owner = (const void*)inode;
  const __u16 mode = BPF_CORE_READ(inode, i_mode);
  if (BPF_CORE_READ(inode, i_sb, s_flags) & SL_SB_RDONLY) return false;
  if (capabilities >> SL_CAP_DAC_OVERRIDE & 1) return true;
  if (BPF_CORE_READ(inode, i_uid.val) == BPF_CORE_READ(cred, fsuid.val)) return mode & 0200;
  if (BPF_CORE_READ(owner, i_gid.val) == BPF_CORE_READ(cred, fsgid.val)) return mode & 0020;
  return mode & 0002;
}

__noinline int describe_program(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  struct file* file = SL_LOAD(task, mm, exe_file);
  if (!scratch || !file) return 0;
  struct sl_call_event* event = &scratch->event;
  const struct inode* inode = BPF_CORE_READ(file, f_inode);
  event->exe_inode = BPF_CORE_READ(inode, i_ino);
  event->exe_changed_ns = changed_at(inode);
  event->exe_modified_ns = modified_at(inode);
  const enum overlay_layer layer = layer_of(inode);
  if (layer == LAYER_UPPER) event->flags |= SL_CALL_EXE_UPPER;
  if (layer == LAYER_LOWER) event->flags |= SL_CALL_EXE_LOWER;
  const struct mount* mount = real_mount(BPF_CORE_READ(file, f_path.mnt));
  if (!mounts_number((__u64)BPF_CORE_READ(mount, mnt_ns))) event->flags |= SL_CALL_EXE_MEMORY;
  if (may_write(inode, BPF_CORE_READ(task, cred), event->capabilities[0])) event->flags |= SL_CALL_EXE_WRITABLE;
  return 0;
}

/* The number of `pid` on the host, and with `level` in the pid namespace at that depth. */
static __always_inline __u32 number_of_pid(struct pid* pid, __u64 level) {
  if (!pid || level > BPF_CORE_READ(pid, level)) return 0;
  struct upid* upid = (void*)__builtin_preserve_access_index(&pid->numbers) + level * bpf_core_type_size(struct upid);
  return BPF_CORE_READ(upid, nr);
}

__noinline int describe_caller(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  struct sl_call_event* event = &scratch->event;
  struct pid* own = BPF_CORE_READ(task, group_leader, thread_pid);
  const __u64 level = BPF_CORE_READ(own, level);
  const struct signal_struct___pids* signal = (const void*)BPF_CORE_READ(task, signal);
  struct pid* group = BPF_CORE_READ(signal, pids[SL_PIDTYPE_PGID]);
  struct pid* session = BPF_CORE_READ(signal, pids[SL_PIDTYPE_SID]);
  event->namespace_pid = number_of_pid(own, level);
  event->group = number_of_pid(group, 0);
  event->namespace_group = number_of_pid(group, level);
  event->session = number_of_pid(session, 0);
  struct upid* upid = (void*)__builtin_preserve_access_index(&own->numbers) + level * bpf_core_type_size(struct upid);
  const struct pid_namespace___reaper* namespace = (const void*)BPF_CORE_READ(upid, ns);
  event->pid_namespace_start_ns = BPF_CORE_READ(namespace, child_reaper, start_boottime);
  const struct tty_struct___device* tty = (const void*)BPF_CORE_READ(task, signal, tty);
  if (tty)
    event->terminal =
        BPF_CORE_READ(tty, driver, major) << 20 | (BPF_CORE_READ(tty, driver, minor_start) + BPF_CORE_READ(tty, index));
  const struct cred* cred = BPF_CORE_READ(task, cred);
  event->uid = BPF_CORE_READ(cred, uid.val);
  event->gid = BPF_CORE_READ(cred, gid.val);
  event->login_uid = task_login_uid(task, true);
  event->capabilities[0] = effective_capabilities(cred, false);
  bpf_probe_read_kernel(&event->capabilities[1], sizeof(__u64), __builtin_preserve_access_index(&cred->cap_permitted));
  bpf_probe_read_kernel(&event->capabilities[2], sizeof(__u64),
                        __builtin_preserve_access_index(&cred->cap_inheritable));
  task_name(task, true, event->comm);
  return 0;
}

#endif
