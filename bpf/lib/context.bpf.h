/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whose code runs: the current task's, or that of an interrupt, which only borrows the task. */
#ifndef SLUICE_CONTEXT_BPF_H
#define SLUICE_CONTEXT_BPF_H

#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* linux/preempt.h: bits of the counter. */
#define SL_SERVES_SOFTIRQ 0x100u
#define SL_HARDIRQ_BITS 0xf0000u
#define SL_HARDIRQ_ONE 0x10000u
#define SL_NMI_BITS 0xf00000u

/* Of x86, by the loader: the array of what is to be added to a per-CPU address, and that of the counter or of the
 * structure with it. 0: not known (kernel/bpf/preempt_counter.h). */
const volatile __u64 per_cpu_offsets = 0;
const volatile __u64 preempt_counter = 0;

struct pcpu_hot { /* Linux 6.2 to 6.14 */
  int preempt_count;
} __attribute__((preserve_access_index));

struct thread_info___count {
  struct {
    __u32 count;
  } preempt;
} __attribute__((preserve_access_index));
struct task_struct___count {
  struct thread_info___count thread_info;
} __attribute__((preserve_access_index));

/* 0 also where it is not known. */
static __always_inline __u32 preempt_count(void) {
#if defined(__TARGET_ARCH_arm64)
  const struct task_struct___count* task = (const void*)bpf_get_current_task();
  return BPF_CORE_READ(task, thread_info.preempt.count);
#else
  const __u64 bases = per_cpu_offsets;
  __u64 at = preempt_counter, base = 0;
  __u32 count = 0;
  if (!bases) return 0;
  if (bpf_core_type_exists(struct pcpu_hot)) at += bpf_core_field_offset(struct pcpu_hot, preempt_count);
  if (bpf_probe_read_kernel(&base, sizeof(base), (void*)(bases + bpf_get_smp_processor_id() * sizeof(base)))) return 0;
  bpf_probe_read_kernel(&count, sizeof(count), (void*)(base + at));
  return count;
#endif
}

/* Soft interrupts, in which most packets are received, are interrupts too. Where the counter is not known, everything
 * is the task's. */
static __always_inline bool in_task(void) {
  __u32 count = preempt_count();
  /* A kprobe by breakpoint counts as an NMI itself, and that as a hard interrupt. */
  if (count & SL_NMI_BITS) count -= SL_HARDIRQ_ONE;
  return !(count & (SL_SERVES_SOFTIRQ | SL_HARDIRQ_BITS));
}

#endif
