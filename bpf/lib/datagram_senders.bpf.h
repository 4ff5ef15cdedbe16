/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The senders of a datagram socket that several processes share: the last sender to each destination. A socket probe
 * notes a datagram as it leaves the socket, in its sender's context; the packet path looks it up a moment later.
 *
 * The table is in the socket, so other sockets cannot evict its entries. It is smaller than the rest of a socket's
 * memory. If all senders have one class, as a server's workers do, the class stays known when entries are evicted.
 *
 * A kernel spin lock orders the senders on several CPUs and the packet path. So an entry is always whole, and the lock
 * is held with interrupts off, so no CPU waits for a task that is not running.
 */
#ifndef SLUICE_DATAGRAM_SENDERS_BPF_H
#define SLUICE_DATAGRAM_SENDERS_BPF_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "bpf/abi/process.h"

/* Slots: in sets by destination, in each set the newest first. */
#define SL_DATAGRAM_SET_BITS 3
#define SL_DATAGRAM_WAYS 3

struct sl_destination {
  struct sl_addr to;
  __be16 port; /* UDP; others: 0 */
  __u8 protocol;
  __u8 pad;
};

struct sl_datagram_sender {
  struct sl_destination destination;
  sl_process_class_number process_class;
  sl_process_id process; /* the instance that sent; 0: it had no entry in `processes` */
};

/* Its layout is part of SL_ABI_VERSION. */
struct sl_datagram_senders {
  struct bpf_spin_lock lock;
  __u32 is_mixed;                        /* the senders have several classes; else: */
  sl_process_class_number process_class; /* theirs; 0: not known */
  __u32 pad;
  struct sl_datagram_sender last[1 << SL_DATAGRAM_SET_BITS][SL_DATAGRAM_WAYS];
};
SL_ABI_ASSERT(sizeof(struct sl_datagram_senders) == 784, "sl_datagram_senders");

/* Writer: socket probes, once a second process sends by the socket. Never full: a set evicts its oldest entry. If the
 * kernel has no memory for it, the senders are not known. */
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct sl_datagram_senders);
} datagram_senders SEC(".maps");

static __always_inline __u32 sl_is_same_destination(const struct sl_destination* a, const struct sl_destination* b) {
  const __u32 *x = (const __u32*)a, *y = (const __u32*)b;
  return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

static __always_inline struct sl_datagram_sender* sl_datagram_set(struct sl_datagram_senders* senders,
                                                                  const struct sl_destination* to) {
  const __u32* words = (const __u32*)to;
  __u32 hash = (words[0] ^ words[1] ^ words[2] ^ words[3] ^ words[4]) * 0x9e3779b1;
  return senders->last[hash >> (32 - SL_DATAGRAM_SET_BITS)];
}

/* `before`: the class of the socket's sender before it had several. */
static __always_inline void sl_note_datagram_sender(struct sl_datagram_senders* senders,
                                                    const struct sl_datagram_sender* now,
                                                    sl_process_class_number before) {
  struct sl_datagram_sender* last = sl_datagram_set(senders, &now->destination);
  bpf_spin_lock(&senders->lock);
  if (!senders->process_class && !senders->is_mixed) senders->process_class = before;
  if (senders->process_class != now->process_class) {
    senders->is_mixed = 1;
    senders->process_class = 0;
  }
  if (sl_is_same_destination(&last[0].destination, &now->destination)) {
    last[0] = *now;
  } else if (sl_is_same_destination(&last[1].destination, &now->destination)) {
    last[1] = *now;
  } else if (sl_is_same_destination(&last[2].destination, &now->destination)) {
    last[2] = *now;
  } else {
    last[2] = last[1];
    last[1] = last[0];
    last[0] = *now;
  }
  bpf_spin_unlock(&senders->lock);
}

/* The last sender to `to`. If it is not known: process 0, and the class that all senders share, else 0. */
static __always_inline void sl_find_datagram_sender(struct sl_datagram_senders* senders,
                                                    const struct sl_destination* to, sl_process_id* process,
                                                    sl_process_class_number* process_class) {
  const struct sl_datagram_sender* last = sl_datagram_set(senders, to);
  bpf_spin_lock(&senders->lock);
  *process = 0;
  *process_class = senders->process_class;
  for (int way = 0; way < SL_DATAGRAM_WAYS; way++) {
    if (!sl_is_same_destination(&last[way].destination, to)) continue;
    *process = last[way].process;
    *process_class = last[way].process_class;
  }
  bpf_spin_unlock(&senders->lock);
}

#endif
