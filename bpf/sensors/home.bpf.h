/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The home of a process: the mount namespace whose paths name its programs. It is the one that the container was
 * started with. Who may not mount there may make a mount namespace of its own (in a user namespace, where everybody
 * may), or mounts that are in no namespace (open_tree, fsmount): what stands at a path there, says nothing.
 *
 * A child has its parent's home. A program that is executed elsewhere moves the home there, where the process could
 * have mounted at home as well when it executed the program before: so a container runtime's last step moves into the
 * container, and so do nsenter and `exec` into a container. Where the new namespace belongs to a user namespace below,
 * root must have made that one.
 *
 * Of a process that nobody saw begin, home is where it is, unless that belongs to a user namespace below.
 */
#ifndef SLUICE_HOME_BPF_H
#define SLUICE_HOME_BPF_H

#include "bpf/sensors/task.bpf.h"

/* Of a mount namespace, never given twice until reboot; 0: it is none that has paths (of a file system that the kernel
 * keeps to itself, or of mounts that nobody has mounted yet). Functions that are not static are verified once;
 * addresses come as numbers, or they could not. */
__noinline __u64 mounts_number(__u64 address) {
  struct mnt_namespace* mounts = (void*)address;
  struct mnt_namespace___sequence* sequence = (void*)address;
  struct mnt_namespace___number* number = (void*)address;
  if ((long)address <= 0 && (long)address > -4096) return 0; /* NULL or MNT_NS_INTERNAL, an error pointer */
  if (bpf_core_field_exists(sequence->seq)) return BPF_CORE_READ(sequence, seq); /* of unnamed ones 0 */
  if (bpf_core_enum_value_exists(enum init_ns_ino, MNT_NS_ANON_INO) &&
      BPF_CORE_READ(mounts, ns.inum) == (__u32)bpf_core_enum_value(enum init_ns_ino, MNT_NS_ANON_INO))
    return 0;
  return BPF_CORE_READ(number, ns.ns_id);
}

enum home_facts {
  HOME_MAY_MOUNT = 1 << 0,
  HOME_IS_BELOW = 1 << 1, /* of a user namespace below the first */
  HOME_BY_ROOT = 1 << 2,  /* which root has made */
  HOME_NUMBER_SHIFT = 3,
};

/* Of who has these credentials in this mount namespace. */
__noinline __u64 describe_home(__u64 mounts_address, __u64 cred_address) {
  const struct mnt_namespace* mounts = (void*)mounts_address;
  const struct cred* cred = (void*)cred_address;
  const struct user_namespace* owner = BPF_CORE_READ(mounts, user_ns);
  const struct user_namespace* user = BPF_CORE_READ(cred, user_ns);
  const bool is_admin = effective_capabilities(cred, false) >> SL_CAP_SYS_ADMIN & 1;
  __u64 facts = mounts_number(mounts_address) << HOME_NUMBER_SHIFT;
  if (BPF_CORE_READ(owner, level) != 0) facts |= HOME_IS_BELOW;
  if (BPF_CORE_READ(owner, owner.val) == 0) facts |= HOME_BY_ROOT;
  if (is_admin && user && (user == owner || BPF_CORE_READ(user, level) == 0)) facts |= HOME_MAY_MOUNT;
  return facts;
}

/* Of an instance that begins with a program, or that nobody saw begin. `before`: the instance of the process until now;
 * NULL: it is not known. */
static __always_inline void settle_home(struct task_struct* task, const struct sl_process* before,
                                        struct sl_process* process) {
  const __u64 facts = describe_home((__u64)BPF_CORE_READ(task, nsproxy, mnt_ns), (__u64)BPF_CORE_READ(task, cred));
  const __u64 here = facts >> HOME_NUMBER_SHIFT;
  if (before && !before->home) before = NULL; /* of an earlier version, or where no path means anything */
  const bool may_be_home =
      before ? (before->flags & SL_PROCESS_MAY_MOUNT) && (!(facts & HOME_IS_BELOW) || facts & HOME_BY_ROOT)
             : !(facts & HOME_IS_BELOW);
  process->home = may_be_home ? here : before ? before->home : 0;
  process->flags &= ~SL_PROCESS_MAY_MOUNT;
  if (process->home == here && facts & HOME_MAY_MOUNT) process->flags |= SL_PROCESS_MAY_MOUNT;
}

#endif
