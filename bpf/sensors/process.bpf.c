/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The sensors' entry points, in two back ends with shared code. The loader loads those of one back end.
 *
 *            tracepoints              kprobes                runs
 *   exec     sched_process_exec       finalize_exec          after the point of no return, arguments in place
 *   fork     sched_process_fork       wake_up_new_task       before the child runs
 *   exit     sched_process_exit       acct_process           once no thread is left, before files are closed
 */
#include <linux/bpf.h>
#include <linux/ptrace.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/sensors/exec.bpf.h"
#include "bpf/sensors/exit.bpf.h"
#include "bpf/sensors/fork.bpf.h"
#include "bpf/sensors/seed.bpf.h"

SEC("tp_btf/sched_process_exec")
int BPF_PROG(tp_exec, struct task_struct* task, int old_pid, struct linux_binprm* bprm) {
  return on_exec(task, bprm, true);
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(tp_fork, struct task_struct* parent, struct task_struct* child) { return on_fork(child, true); }

SEC("tp_btf/sched_process_exit")
int BPF_PROG(tp_exit, struct task_struct* task) { return on_exit(task); }

SEC("kprobe/finalize_exec")
int BPF_KPROBE(kp_exec, struct linux_binprm* bprm) { return on_exec(bpf_get_current_task_btf(), bprm, false); }

SEC("kprobe/wake_up_new_task")
int BPF_KPROBE(kp_fork, struct task_struct* child) { return on_fork(child, false); }

SEC("kprobe/acct_process")
int BPF_KPROBE(kp_exit) { return on_exit(bpf_get_current_task_btf()); }

SEC("iter.s/task")
int iterate_tasks(struct bpf_iter__task* ctx) {
  struct task_struct* task = ctx->task;
  return task ? on_task(ctx->meta->seq, task) : 0;
}

/* No map or function uses this type: this puts it into the BTF that tests compare with C++. */
const struct sl_process_exit* exit_record_for_btf __attribute__((unused));

char LICENSE[] SEC("license") = "Dual BSD/GPL";
