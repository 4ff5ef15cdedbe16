/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The home of a process: the mount namespace whose paths name its programs. It is the one that the container was
 * started with. A process that may not mount there can still make a mount namespace of its own (in a user namespace,
 * where any process may), or mounts that are in no namespace (open_tree, fsmount). Paths there prove nothing.
 *
 * A child has its parent's home. An exec in another mount namespace moves the home there, if the process could also
 * mount in its old home when it executed its previous program. So a container runtime's last step moves into the
 * container, and so do nsenter and `exec` into a container. If the new namespace belongs to a nested user namespace,
 * root must have created that one.
 *
 * If a process existed before the sensors, its home is its mount namespace, unless that belongs to a nested user
 * namespace.
 */
#ifndef SLUICE_HOME_BPF_H
#define SLUICE_HOME_BPF_H

#include "bpf/lib/mounts.bpf.h"
#include "bpf/lib/task.bpf.h"

enum home_facts {
  HOME_MAY_MOUNT = 1 << 0,
  HOME_IS_BELOW = 1 << 1, /* belongs to a nested user namespace */
  HOME_BY_ROOT = 1 << 2,  /* root created that user namespace */
  HOME_NUMBER_SHIFT = 3,
};

/* Facts about a process with these credentials in this mount namespace, and its number. */
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

/* Sets the home of an instance that begins with an exec, or that existed before the sensors. `before`: the previous
 * instance; NULL: not known. */
static __always_inline void settle_home(struct task_struct* task, const struct sl_process* before,
                                        struct sl_process* process) {
  const __u64 facts = describe_home((__u64)BPF_CORE_READ(task, nsproxy, mnt_ns), (__u64)BPF_CORE_READ(task, cred));
  const __u64 here = facts >> HOME_NUMBER_SHIFT;
  if (before && !before->home) before = NULL; /* from an earlier version, or in a namespace without paths */
  const bool may_be_home =
      before ? (before->flags & SL_PROCESS_MAY_MOUNT) && (!(facts & HOME_IS_BELOW) || facts & HOME_BY_ROOT)
             : !(facts & HOME_IS_BELOW);
  process->home = may_be_home ? here : before ? before->home : 0;
  process->flags &= ~SL_PROCESS_MAY_MOUNT;
  if (process->home == here && facts & HOME_MAY_MOUNT) process->flags |= SL_PROCESS_MAY_MOUNT;
}

#endif
