/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The facts of the process that calls. Read at the call, as most of them can change without an exec. */
#ifndef SLUICE_CALL_CALLER_BPF_H
#define SLUICE_CALL_CALLER_BPF_H

#include "bpf/calls/descriptor.bpf.h"
#include "bpf/lib/mounts.bpf.h"
#include "bpf/lib/task.bpf.h"

#define SL_SECOND 1000000000ull
#define SL_CTIME_NSEC 0x7fffffffu /* the highest bit says that somebody has asked for the time, since 6.13 */

/* All by loads: the verifier knows the type of the current task, and of what it points to. */
static __always_inline __u64 changed_at(const struct inode* inode) {
  const struct inode___seconds* seconds = (const void*)inode;
  const struct inode___hidden* hidden = (const void*)inode;
  const struct inode___plain* plain = (const void*)inode;
  if (bpf_core_field_exists(seconds->i_ctime_sec))
    return seconds->i_ctime_sec * SL_SECOND + (seconds->i_ctime_nsec & SL_CTIME_NSEC);
  if (bpf_core_field_exists(hidden->__i_ctime)) return hidden->__i_ctime.tv_sec * SL_SECOND + hidden->__i_ctime.tv_nsec;
  if (bpf_core_field_exists(plain->i_ctime)) return plain->i_ctime.tv_sec * SL_SECOND + plain->i_ctime.tv_nsec;
  return 0;
}

static __always_inline __u64 modified_at(const struct inode* inode) {
  const struct inode___seconds* seconds = (const void*)inode;
  const struct inode___hidden* hidden = (const void*)inode;
  const struct inode___plain* plain = (const void*)inode;
  if (bpf_core_field_exists(seconds->i_mtime_sec)) return seconds->i_mtime_sec * SL_SECOND + seconds->i_mtime_nsec;
  if (bpf_core_field_exists(hidden->__i_mtime)) return hidden->__i_mtime.tv_sec * SL_SECOND + hidden->__i_mtime.tv_nsec;
  if (bpf_core_field_exists(plain->i_mtime)) return plain->i_mtime.tv_sec * SL_SECOND + plain->i_mtime.tv_nsec;
  return 0;
}

/* Whether these credentials allow to write the file, by its permissions alone. */
static __always_inline bool may_write(const struct inode* inode, __u64 super_flags, const struct cred* cred,
                                      __u64 capabilities) {
  const struct inode___owner* owner = (const void*)inode;
  const __u16 mode = inode->i_mode;
  if (super_flags & SL_SB_RDONLY) return false;
  if (capabilities >> SL_CAP_DAC_OVERRIDE & 1) return true;
  if (inode->i_uid.val == cred->fsuid.val) return mode & 0200;
  if (owner->i_gid.val == cred->fsgid.val) return mode & 0020;
  return mode & 0002;
}

__noinline int describe_program(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  const struct inode* inode = SL_LOAD(task, mm, exe_file, f_inode);
  const struct cred* cred = task->cred;
  if (!scratch || !inode || !cred) return 0;
  struct sl_call_event* event = &scratch->event;
  event->exe_inode = inode->i_ino;
  event->exe_changed_ns = changed_at(inode);
  event->exe_modified_ns = modified_at(inode);
  const struct super_block* block = inode->i_sb;
  const __u64 flags = block ? block->s_flags : 0;
  if (flags & SL_SB_KERNMOUNT) event->flags |= SL_CALL_EXE_MEMORY;
  if (may_write(inode, flags, cred, event->capabilities[0])) event->flags |= SL_CALL_EXE_WRITABLE;
  if (!block || block->s_magic != SL_OVERLAYFS_MAGIC) return 0;
  *(const void* volatile*)&scratch->text.untyped = inode;
  const enum overlay_layer layer = layer_of((const void*)*(const void* volatile*)&scratch->text.untyped);
  event->flags |= layer == LAYER_UPPER ? SL_CALL_EXE_UPPER : SL_CALL_EXE_LOWER;
  return 0;
}

/* The number of `pid` in the pid namespace at that depth. */
static __always_inline __u32 number_at(struct pid* pid, __u64 level) {
  if (!pid || level > BPF_CORE_READ(pid, level)) return 0;
  struct upid* upid = (void*)__builtin_preserve_access_index(&pid->numbers) + level * bpf_core_type_size(struct upid);
  return BPF_CORE_READ(upid, nr);
}

/* Numbers in the process's own pid namespace, which is below the host's. */
__noinline int describe_namespaced(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  struct pid* own = BPF_CORE_READ(task, group_leader, thread_pid);
  const struct signal_struct___pids* signal = (const void*)BPF_CORE_READ(task, signal);
  const __u64 level = BPF_CORE_READ(own, level);
  struct upid* upid = (void*)__builtin_preserve_access_index(&own->numbers) + level * bpf_core_type_size(struct upid);
  const struct pid_namespace___reaper* namespace = (const void*)BPF_CORE_READ(upid, ns);
  scratch->event.namespace_pid = BPF_CORE_READ(upid, nr);
  scratch->event.namespace_group = number_at(BPF_CORE_READ(signal, pids[SL_PIDTYPE_PGID]), level);
  scratch->event.pid_namespace_start_ns = BPF_CORE_READ(namespace, child_reaper, start_boottime);
  return 0;
}

static __always_inline __u64 capability_bits(const void* set) { return *(const __u64*)set; }

__noinline int describe_caller(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  struct sl_call_event* event = &scratch->event;
  task_name(task, true, event->comm);
  event->login_uid = task_login_uid(task, true);
  const struct cred* cred = task->cred;
  if (cred) {
    event->uid = cred->uid.val;
    event->gid = cred->gid.val;
    event->capabilities[0] = capability_bits(__builtin_preserve_access_index(&cred->cap_effective));
    event->capabilities[1] = capability_bits(__builtin_preserve_access_index(&cred->cap_permitted));
    event->capabilities[2] = capability_bits(__builtin_preserve_access_index(&cred->cap_inheritable));
  }
  const struct signal_struct* signal = task->signal;
  struct pid* own = SL_LOAD(task, group_leader, thread_pid);
  if (!signal || !own) return 0;
  const struct signal_struct___pids* pids = (const void*)signal;
  struct pid* group = pids->pids[SL_PIDTYPE_PGID];
  struct pid* session = pids->pids[SL_PIDTYPE_SID];
  event->group = group ? group->numbers[0].nr : 0;
  event->session = session ? session->numbers[0].nr : 0;
  const struct tty_struct___device* tty = (const void*)signal->tty;
  const struct tty_driver* driver = tty ? tty->driver : NULL;
  if (driver) event->terminal = driver->major << 20 | (driver->minor_start + tty->index);
  if (own->level) return describe_namespaced(index);
  const struct pid_namespace___reaper* namespace = (const void*)own->numbers[0].ns;
  const struct task_struct* reaper = namespace ? namespace->child_reaper : NULL;
  event->namespace_pid = own->numbers[0].nr;
  event->namespace_group = event->group;
  event->pid_namespace_start_ns = reaper ? reaper->start_boottime : 0;
  return 0;
}

#endif
