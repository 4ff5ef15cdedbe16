/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Writes the process that acts on a socket into the socket. Only for programs that run in the context of that
 * process. */
#ifndef SLUICE_SOCKET_OWNER_BPF_H
#define SLUICE_SOCKET_OWNER_BPF_H

#include <bpf/bpf_core_read.h>

#include "bpf/lib/kernel_types.bpf.h"
#include "bpf/lib/socket_maps.bpf.h"

#define SL_AF_INET 2
#define SL_AF_INET6 10
#define SL_IPPROTO_TCP 6

/* Identifies these probes: owners with another session were written by earlier probes. */
const volatile __u64 session = 0;

enum claim {
  CLAIM_ALWAYS,    /* the last process that acts on it is the owner */
  CLAIM_QUIETLY,   /* the same, where every packet looks up the socket anyway, or none was sent yet */
  CLAIM_INHERITED, /* only if no process has acted on it: it was accepted, and still has the listener's owner */
};

/* Null: not in the table. */
static __always_inline struct sl_process* present_process(__u32 tgid, __u64 birth_ns) {
  struct sl_process* process = bpf_map_lookup_elem(&processes, &tgid);
  return process && process->birth_ns == birth_ns ? process : 0;
}

static __always_inline void set_owner(struct sl_socket_owner* owner, __u64 cookie, __u64 birth_ns, __u32 tgid,
                                      __u32 execs, bool quietly) {
  struct sl_process* process = present_process(tgid, birth_ns);
  if (process && !(process->flags & SL_PROCESS_OWNS_SOCKETS))
    __sync_fetch_and_or(&process->flags, SL_PROCESS_OWNS_SOCKETS);
  const sl_process_id instance = process ? process->id : 0;
  const bool inherited = owner->tgid && owner->cookie != cookie; /* its flows look it up anyway */
  const bool changed = !inherited && (owner->tgid != tgid || owner->birth_ns != birth_ns || owner->process != instance);
  owner->birth_ns = birth_ns;
  owner->process = instance;
  owner->process_class = process ? process->process_class : 0;
  owner->session = session;
  owner->execs = execs;
  barrier();
  owner->tgid = tgid;
  barrier();
  /* Last: a reader that sees it also sees the owner, and does not take the listener's owner for the socket's own. */
  owner->cookie = cookie;
  if (changed && !quietly) sl_note_socket_change();
}

static __always_inline void claim(struct sl_socket_owner* owner, __u64 cookie, enum claim how) {
  if (!owner || owner->shared) return;
  if (how == CLAIM_INHERITED && owner->cookie == cookie && owner->tgid) return;
  struct task_struct* task = bpf_get_current_task_btf();
  struct task_struct* leader = task->group_leader;
  const __u64 birth_ns = leader->start_boottime;
  const __u32 tgid = task->tgid, execs = (__u32)leader->self_exec_id;
  if (owner->cookie == cookie && owner->tgid == tgid && owner->birth_ns == birth_ns && owner->execs == execs &&
      owner->session == session)
    return;
  set_owner(owner, cookie, birth_ns, tgid, execs, how == CLAIM_QUIETLY);
}

#endif
