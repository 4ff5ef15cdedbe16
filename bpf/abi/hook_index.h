/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The index of a point: which of its hooks may want a call, found by the call's values instead of by a walk over all
 * hooks.
 *
 *   hook_points[point] -> hook_columns[...] -> hook_slots[...]: hooks, as bits
 *
 * A column looks at one value of the call. Its slots say for each value that hooks want which hooks these are. A hook
 * may want the call if each column has its bit: in a slot, or among `others`, about which the column says nothing.
 * Hooks that are left are tested as if there were no index. So it may leave one too many (two values with one hash, the
 * beginning of a text cut to whole words), and never one too few.
 *
 * Bit n stands for the hooks [n << shift, (n + 1) << shift) of the point's list. bpf/lib/hook_index.h has the shift,
 * and the keys of slots.
 *
 * Shared by the programs and the agent, which writes it before a point refers to it. Numbers are in host byte order.
 */
#ifndef SLUICE_ABI_HOOK_INDEX_H
#define SLUICE_ABI_HOOK_INDEX_H

#include "hook.h"

#define SL_HOOK_COLUMNS 2048       /* of all points */
#define SL_HOOK_COLUMNS_OF_POINT 8 /* at most */
#define SL_HOOK_SLOTS 65536        /* of all columns */
#define SL_HOOK_SLOT_TRIES 8       /* a value's slot is one of these, from where its key says; an empty one ends them */
#define SL_HOOK_INDEX_WORDS 16     /* of a text's beginning: what follows does not count */
#define SL_HOOK_INDEX_POSTFIX_WORDS 7 /* likewise, of its end */

/* X(NAME): what of an argument a column looks at. In the order of what it costs. */
#define SL_HOOK_FACES(X) \
  X(NUMBER)              \
  X(TEXT)                \
  X(NAME) /* of the file that a path leads to, without the path */

enum sl_hook_face {
#define SL_X(name) SL_HOOK_FACE_##name,
  SL_HOOK_FACES(SL_X)
#undef SL_X
      SL_HOOK_FACE_COUNT
};

/* `hook_columns` (ARRAY). */
struct sl_hook_column {
  struct sl_hook_argument argument; /* whose value it is */
  __u64 others;                     /* hooks that do not look at it, or in a way that no slot can say */
  __u32 slots;                      /* first in hook_slots */
  __u32 slot_mask;                  /* their number, a power of two, less 1 */
  __u32 prefix_words;               /* of texts. Bit n: there are slots for beginnings of n words of 8 bytes */
  __u8 prefix_bytes;                /* bit n: of n bytes, less than 8 */
  __u8 postfix_words;               /* the same of ends */
  __u8 postfix_bytes;
  __u8 whole; /* 1: there are slots for whole texts */
  __u8 face;  /* enum sl_hook_face */
  __u8 pad[7];
};
SL_ABI_ASSERT(sizeof(struct sl_hook_column) == 48, "sl_hook_column");

/* `hook_slots` (ARRAY): an open-addressed table for each column. */
struct sl_hook_slot {
  __u64 key;   /* sl_hook_index_key */
  __u64 hooks; /* as bits; 0: the slot is empty */
};
SL_ABI_ASSERT(sizeof(struct sl_hook_slot) == 16, "sl_hook_slot");

enum sl_hook_index_kind { SL_HOOK_INDEX_NUMBER, SL_HOOK_INDEX_WHOLE, SL_HOOK_INDEX_PREFIX, SL_HOOK_INDEX_POSTFIX };

#endif
