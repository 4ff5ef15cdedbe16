/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Operations of io_uring. A request is noted when it is submitted, with the kernel's own copies of its texts, and
 * reported when it completes. One that was told to report no success (IOSQE_CQE_SKIP_SUCCESS) completes unseen, so it
 * is reported when it is submitted, as if it succeeded.
 */
#ifndef SLUICE_CALL_RING_BPF_H
#define SLUICE_CALL_RING_BPF_H

#include "bpf/calls/detail.bpf.h"

static __always_inline void note_name(struct call_ring* ring, __u32 number, const struct filename* name) {
  const char* text = name ? BPF_CORE_READ(name, name) : NULL;
  const long size = bpf_probe_read_kernel_str(ring->texts[number], SL_CALL_RING_TEXT, text);
  ring->lengths[number] = size > 0 ? size - 1 : 0;
}

static __always_inline void note_two_names(struct call_ring* ring, const struct io_rename* names, __u32 kind) {
  const bool links = kind == SL_CALL_LINKAT || kind == SL_CALL_SYMLINKAT;
  const struct io_link* link = (const void*)names;
  const __u64 old_base = links ? BPF_CORE_READ(link, old_dfd) : BPF_CORE_READ(names, old_dfd);
  const __u64 new_base = links ? BPF_CORE_READ(link, new_dfd) : BPF_CORE_READ(names, new_dfd);
  const __u64 flags = links ? BPF_CORE_READ(link, flags) : BPF_CORE_READ(names, flags);
  note_name(ring, 0, links ? BPF_CORE_READ(link, oldpath) : BPF_CORE_READ(names, oldpath));
  note_name(ring, 1, links ? BPF_CORE_READ(link, newpath) : BPF_CORE_READ(names, newpath));
  if (kind == SL_CALL_SYMLINKAT) {
    ring->arguments[1] = new_base;
    return;
  }
  ring->arguments[0] = old_base;
  ring->arguments[2] = new_base;
  ring->arguments[4] = flags;
}

static __always_inline void note_open(struct call_ring* ring, const struct io_open* open) {
  ring->arguments[0] = BPF_CORE_READ(open, dfd);
  ring->arguments[2] = ring->extra[0] = BPF_CORE_READ(open, how.flags);
  ring->arguments[3] = ring->extra[1] = BPF_CORE_READ(open, how.mode);
  ring->extra[2] = BPF_CORE_READ(open, how.resolve);
  ring->direct = BPF_CORE_READ(open, file_slot);
  note_name(ring, 0, BPF_CORE_READ(open, filename));
}

static __always_inline void note_socket(struct call_ring* ring, const struct io_socket* one) {
  if (!bpf_core_type_exists(struct io_socket)) return; /* before 5.19 */
  ring->arguments[0] = BPF_CORE_READ(one, domain);
  ring->arguments[1] = BPF_CORE_READ(one, type) | BPF_CORE_READ(one, flags);
  ring->arguments[2] = BPF_CORE_READ(one, protocol);
  ring->direct = BPF_CORE_READ(one, file_slot);
}

/* Fills scratch->ring from a request. */
__noinline int note_request(__u32 index, __u64 address, __u32 kind) {
  struct call_scratch* scratch = scratch_at(index);
  const void* request = (const void*)address;
  if (!scratch || !request) return 0;
  struct call_ring* ring = &scratch->ring;
  __builtin_memset(ring, 0, offsetof(struct call_ring, texts));
  const struct io_kiocb* whole = request;
  ring->arguments[0] = BPF_CORE_READ(whole, cqe.fd);
  switch (kind) {
    case SL_CALL_OPENAT:
    case SL_CALL_OPENAT2:
      note_open(ring, request);
      break;
    case SL_CALL_RENAMEAT2:
    case SL_CALL_LINKAT:
    case SL_CALL_SYMLINKAT:
      note_two_names(ring, request, kind);
      break;
    case SL_CALL_UNLINKAT: {
      const struct io_unlink* one = request;
      ring->arguments[0] = BPF_CORE_READ(one, dfd);
      ring->arguments[2] = BPF_CORE_READ(one, flags);
      note_name(ring, 0, BPF_CORE_READ(one, filename));
      break;
    }
    case SL_CALL_MKDIRAT: {
      const struct io_mkdir* one = request;
      ring->arguments[0] = BPF_CORE_READ(one, dfd);
      ring->arguments[2] = BPF_CORE_READ(one, mode);
      note_name(ring, 0, BPF_CORE_READ(one, filename));
      break;
    }
    case SL_CALL_SOCKET:
      note_socket(ring, request);
      break;
    case SL_CALL_ACCEPT4: {
      const struct io_accept* one = request;
      ring->arguments[3] = BPF_CORE_READ(one, flags);
      ring->direct = BPF_CORE_READ(one, file_slot);
      break;
    }
    default:
      break;
  }
  return 0;
}

/* Whether the request's result is the number of a descriptor. */
static __always_inline bool makes_descriptor(__u32 kind) { return recipe_of(kind)->descriptor == SL_CALL_AT_RESULT; }

static __always_inline void append_ring_text(struct call_scratch* scratch, __u32 text, __u32 number) {
  append_kernel_bytes(scratch, text, scratch->ring.texts[number],
                      scratch->ring.lengths[number] & (SL_CALL_RING_TEXT - 1));
}

/* The texts of scratch->ring, and the directories that they are relative to. */
__noinline int append_ring_texts(__u32 index) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return 0;
  const volatile struct call_recipe* recipe = recipe_of(scratch->event.kind);
  const struct call_ring* ring = &scratch->ring;
  if (!recipe->text[0]) return 0;
  append_ring_text(scratch, SL_CALL_TEXT_FIRST, 0);
  if (recipe->text[1]) append_ring_text(scratch, SL_CALL_TEXT_SECOND, 1);
  if (ring->texts[0][0] != '/') append_base_of(scratch, index, SL_CALL_TEXT_FIRST_BASE, recipe->base[0]);
  if (ring->texts[1][0] != '/') append_base_of(scratch, index, SL_CALL_TEXT_SECOND_BASE, recipe->base[1]);
  return 0;
}

#endif
