/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Reads of kernel structures. Where the verifier knows a pointer's type (a tracepoint argument, the current task, the
 * iterator's task), a read is one or a few loads; elsewhere it is a call of about 30 ns. Neither faults: an unreadable
 * member is 0.
 */
#ifndef SLUICE_READ_BPF_H
#define SLUICE_READ_BPF_H

#include <stdbool.h>

#include <bpf/bpf_core_read.h>

/* BPF_CORE_READ(from, ...), of up to five members; `known`: the verifier knows the type of `from`. */
#define SL_READ(known, from, ...) ((known) ? SL_LOAD(from, __VA_ARGS__) : BPF_CORE_READ(from, __VA_ARGS__))

/* Each pointer on the way is checked, as the verifier treats some members as possibly NULL. */
#define SL_LOAD(from, ...) ___apply(SL_LOAD_, ___narg(__VA_ARGS__))(from, __VA_ARGS__)
#define SL_LOAD_1(from, a) ((from)->a)
#define SL_LOAD_2(from, a, b)                   \
  ({                                            \
    __auto_type at_1_ = (from)->a;              \
    at_1_ ? at_1_->b : (__typeof__(at_1_->b))0; \
  })
#define SL_LOAD_3(from, a, b, c)                                 \
  ({                                                             \
    __auto_type at_2_ = (from)->a;                               \
    at_2_ ? SL_LOAD_2(at_2_, b, c) : (__typeof__(at_2_->b->c))0; \
  })
#define SL_LOAD_4(from, a, b, c, d)                                    \
  ({                                                                   \
    __auto_type at_3_ = (from)->a;                                     \
    at_3_ ? SL_LOAD_3(at_3_, b, c, d) : (__typeof__(at_3_->b->c->d))0; \
  })
#define SL_LOAD_5(from, a, b, c, d, e)                                       \
  ({                                                                         \
    __auto_type at_4_ = (from)->a;                                           \
    at_4_ ? SL_LOAD_4(at_4_, b, c, d, e) : (__typeof__(at_4_->b->c->d->e))0; \
  })

#endif
