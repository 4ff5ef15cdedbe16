/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* For words that other CPUs or the agent write at the same time: one whole read or write, as the kernel's READ_ONCE and
 * WRITE_ONCE. Helper-free. */
#ifndef SLUICE_ONCE_H
#define SLUICE_ONCE_H

#ifdef __bpf__
#define SL_READ_ONCE(x) (*(const volatile __typeof__(x)*)&(x))
#define SL_WRITE_ONCE(x, value) (*(volatile __typeof__(x)*)&(x) = (value))
#else
#define SL_READ_ONCE(x) __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define SL_WRITE_ONCE(x, value) __atomic_store_n(&(x), (value), __ATOMIC_RELAXED)
#endif

#endif
