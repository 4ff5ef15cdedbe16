/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Writes who acts on a socket into the socket. Only from programs that run in the context of that process. */
#ifndef SLUICE_SOCKET_OWNER_BPF_H
#define SLUICE_SOCKET_OWNER_BPF_H

#include <bpf/bpf_core_read.h>

#include "bpf/lib/socket_maps.bpf.h"
#include "telemetry/probes/kernel_types.bpf.h"

#define SL_AF_INET 2
#define SL_AF_INET6 10
#define SL_IPPROTO_TCP 6

/* Of these probes since they were loaded: owners of another session were written by earlier ones. */
const volatile __u64 session = 0;

/* The preemption counter of this CPU (x86: another place in each of these kernels). */
struct pcpu_hot {
  int preempt_count;
} __attribute__((preserve_access_index));
extern const int __preempt_count __ksym __weak;
extern const struct pcpu_hot pcpu_hot __ksym __weak;

#define SL_SERVING_INTERRUPT 0xff0100u /* a soft interrupt that is served, not disabled; a hard one, an NMI */

/* `current` is who sends: no interrupt has borrowed its time, and it is no thread of the kernel. */
static __always_inline bool in_process(void) {
  const struct task_struct* task = bpf_get_current_task_btf();
  unsigned int count = 0;
  if (task->flags & SL_PF_KTHREAD) return false;
  if (&__preempt_count) {
    const int* here = bpf_this_cpu_ptr(&__preempt_count);
    count = *here;
  } else if (&pcpu_hot) {
    const struct pcpu_hot* here = bpf_this_cpu_ptr(&pcpu_hot);
    count = here->preempt_count;
  }
  return !(count & SL_SERVING_INTERRUPT);
}

enum claim {
  CLAIM_ALWAYS,    /* who acts on it last owns it */
  CLAIM_INHERITED, /* only where nobody has acted on it: it was accepted, and its owner is the listener's */
};

static __always_inline void set_owner(struct sl_socket_owner* owner, __u64 cookie, __u64 birth_ns, __u32 tgid,
                                      __u32 execs) {
  struct sl_process* process = bpf_map_lookup_elem(&processes, &tgid);
  if (process && process->birth_ns != birth_ns) process = 0;
  if (process && !(process->flags & SL_PROCESS_OWNS_SOCKETS))
    __sync_fetch_and_or(&process->flags, SL_PROCESS_OWNS_SOCKETS);
  const sl_process_id life = process ? process->id : 0;
  const bool known = owner->cookie == cookie && owner->tgid; /* else its flows still ask */
  const bool changed = known && (owner->tgid != tgid || owner->birth_ns != birth_ns || owner->process != life);
  owner->cookie = cookie;
  owner->birth_ns = birth_ns;
  owner->process = life;
  owner->session = session;
  owner->execs = execs;
  barrier();
  owner->tgid = tgid;
  if (changed) sl_note_socket_change();
}

static __always_inline void claim(struct sl_socket_owner* owner, __u64 cookie, enum claim how) {
  if (!owner) return;
  if (how == CLAIM_INHERITED && owner->cookie == cookie && owner->tgid) return;
  struct task_struct* task = bpf_get_current_task_btf();
  struct task_struct* leader = task->group_leader;
  const __u64 birth_ns = leader->start_boottime;
  const __u32 tgid = task->tgid, execs = (__u32)leader->self_exec_id;
  if (owner->cookie == cookie && owner->tgid == tgid && owner->birth_ns == birth_ns && owner->execs == execs &&
      owner->session == session)
    return;
  set_owner(owner, cookie, birth_ns, tgid, execs);
}

#endif
