/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Whether rules can want an event: by its kind and outcome, by the place of its process, by what the descriptor is, and
 * by the name of what was opened. */
#ifndef SLUICE_CALL_FILTER_BPF_H
#define SLUICE_CALL_FILTER_BPF_H

#include "bpf/calls/descriptor.bpf.h"
#include "bpf/calls/recipe.bpf.h"
#include "bpf/lib/mounts.bpf.h"
#include "bpf/lib/once.h"

static __always_inline enum sl_call_outcome outcome_of(__s64 result) {
  if (result >= 0) return SL_CALL_SUCCEEDED;
  return result == -SL_EINPROGRESS ? SL_CALL_IN_PROGRESS : SL_CALL_FAILED;
}

static __always_inline const struct sl_call_filter* filter_of(__u32 half, __u32 kind) {
  const __u32 at = half * SL_CALL_KINDS + kind;
  return bpf_map_lookup_elem(&call_filters, &at);
}

/* mounts_number of the current task, whose mount namespace has paths, by loads. */
static __always_inline __u64 own_mounts_number(struct task_struct* task) {
  struct mnt_namespace* mounts = SL_LOAD(task, nsproxy, mnt_ns);
  struct mnt_namespace___sequence* sequence = (void*)mounts;
  struct mnt_namespace___number* number = (void*)mounts;
  if (!mounts) return 0;
  return bpf_core_field_exists(sequence->seq) ? sequence->seq : number->ns.ns_id;
}

/* Notes the place of the current process in the event. False: no rule can want events of the kind from there. */
__noinline int place_wants(__u32 index, __u32 kind) {
  struct call_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  if (!scratch) return 0;
  struct sl_call_event* event = &scratch->event;
  const struct sl_call_place_key key = {
      .cgroup = bpf_get_current_cgroup_id(),
      .mounts = own_mounts_number(task),
      .netns = SL_LOAD(task, nsproxy, net_ns, ns.inum),
  };
  event->cgroup = key.cgroup;
  event->mounts = key.mounts;
  event->netns = key.netns;
  event->share = 0;
  const struct sl_call_place* place = bpf_map_lookup_elem(&call_places, &key);
  if (!place || place->epoch != call_state.epoch) {
    event->flags |= SL_CALL_PLACE_UNKNOWN;
    return 1;
  }
  event->share = place->share;
  return place->kinds >> (kind & 63) & 1;
}

static __always_inline const struct sl_call_set* set_of(__u32 half, __u32 set) {
  __u32 at = half * SL_CALL_SETS + set;
  return bpf_map_lookup_elem(&call_sets, &at);
}

/* Whether the name in the record, its first text, begins or ends as the set says. */
static __always_inline bool name_begins_or_ends(struct call_scratch* scratch, __u32 half, __u32 set, __u64 tests) {
  __u32 length = scratch->event.lengths[SL_CALL_TEXT_NAME];
  barrier_var(length);
  if (length > SL_CALL_PATH_MAX) return true;
  struct sl_call_name_key key = {.bits = (sizeof(key) - sizeof(key.bits)) * 8, .half = half, .set = set};
  __u32 size = length < SL_CALL_NAME_MAX ? length : SL_CALL_NAME_MAX;
  barrier_var(size);
  if (size > SL_CALL_NAME_MAX) return true;
  if (tests & SL_CALL_TESTS_BEGIN) {
    bpf_probe_read_kernel(key.text, size, scratch->data);
    if (bpf_map_lookup_elem(&call_names, &key)) return true;
  }
  if (!(tests & SL_CALL_TESTS_END)) return false;
  /* The end of the name, at the end of `tail`; it is turned round without a branch, which the verifier would follow. */
  __u32 from = length - size, to = SL_CALL_NAME_MAX - size;
  barrier_var(from);
  barrier_var(to);
  if (from > SL_CALL_PATH_MAX || to > SL_CALL_NAME_MAX) return true;
  __builtin_memset(scratch->tail, 0, SL_CALL_NAME_MAX);
  bpf_probe_read_kernel(&scratch->tail[to], size, &scratch->data[from]);
  key.backwards = 1;
  for (__u32 i = 0; i < SL_CALL_NAME_MAX; i++) key.text[i] = scratch->tail[SL_CALL_NAME_MAX - 1 - i];
  return bpf_map_lookup_elem(&call_names, &key);
}

/* Whether a text of at most SL_CALL_PART_TEXT bytes in the data has the part. Without branches on what is there, which
 * the verifier would follow: a bit is set where nothing differs. */
__noinline int has_part(__u32 index, __u32 at, __u32 length, __u64 value, __u64 mask) {
  struct call_scratch* scratch = scratch_at(index);
  if (!scratch) return 1;
  barrier_var(at);
  if (at > SL_CALL_ROOM) return 1;
  const __u8* text = &scratch->data[at];
  __u64 found = 0;
  for (__u32 i = 0; i < SL_CALL_PART_TEXT; i++) {
    if (i >= length) break;
    const __u64 differs = (*(const __u64*)(text + i) & mask) ^ value;
    found |= (differs - 1) & ~differs;
  }
  return found >> 63;
}

static __always_inline bool has_some_part(struct call_scratch* scratch, __u32 index, const struct sl_call_part* parts,
                                          __u32 at, __u32 length) {
  if (length > SL_CALL_PART_TEXT) return true;
  __u32 end = at + length;
  barrier_var(end);
  if (end > SL_CALL_ROOM + SL_CALL_PATH_MAX) return true;
  *(__u64*)&scratch->data[end] = 0; /* what was there is of no text */
  for (int i = 0; i < SL_CALL_PARTS; i++) {
    if (parts[i].mask && has_part(index, at, length, parts[i].value, parts[i].mask)) return true;
  }
  return false;
}

/* Whether one end of the socket has one of the ports. The ends of one that is not connected may be in the caller's
 * memory. */
static __always_inline bool has_some_port(const struct sl_call_file* file, const struct sl_call_set* set) {
  const bool listens = file->descriptor == SL_CALL_OF_IPV4_LISTENER || file->descriptor == SL_CALL_OF_IPV6_LISTENER;
  if (!file->remote_port && !listens) return true;
  for (int i = 0; i < SL_CALL_PORTS; i++) {
    const __u16 port = set->ports[i];
    if (port && (port == file->local_port || port == file->remote_port)) return true;
  }
  return false;
}

/* Whether what the call is about meets a test of the set. The record has its name; the caller's text is appended if the
 * set asks for it. */
__noinline int meets_set(__u32 index, __u32 half, __u32 number) {
  struct call_scratch* scratch = scratch_at(index);
  const struct sl_call_set* set = set_of(half, number);
  if (!scratch || !set) return 1;
  const __u64 tests = set->tests;
  if (tests & SL_CALL_TESTS_PORTS) return has_some_port(&scratch->event.file, set);
  const __u32 length = scratch->event.lengths[SL_CALL_TEXT_NAME];
  if (tests & (SL_CALL_TESTS_BEGIN | SL_CALL_TESTS_END) && name_begins_or_ends(scratch, half, number, tests)) return 1;
  if (tests & SL_CALL_TESTS_PARTS && has_some_part(scratch, index, set->parts, 0, length)) return 1;
  if (!(tests & SL_CALL_TESTS_RAW_PARTS)) return 0;
  if (scratch->event.caller == SL_CALL_RING) return 1;
  const __u32 at = scratch->length;
  append_string(index, SL_CALL_TEXT_FIRST, argument_at(&scratch->event, recipe_of(scratch->event.kind)->text[0]));
  if (scratch->event.flags & SL_CALL_TEXT_LOST) return 1;
  return has_some_part(scratch, index, set->raw_parts, at, scratch->event.lengths[SL_CALL_TEXT_FIRST]);
}

/* How a file is opened: by the file, or for a call that failed by its flags. */
static __always_inline __u32 open_bits(const struct sl_call_event* event) {
  __u32 flags = 0;
  switch (event->kind) {
    case SL_CALL_OPEN:
      flags = event->arguments[1];
      break;
    case SL_CALL_OPENAT:
    case SL_CALL_OPEN_BY_HANDLE_AT:
      flags = event->arguments[2];
      break;
    case SL_CALL_OPENAT2:
      flags = event->extra[0];
      break;
    case SL_CALL_CREAT:
      flags = SL_O_WRONLY;
      break;
    default:
      return 0;
  }
  __u32 bits = 0;
  if (event->result >= 0) {
    flags = event->file.open_flags;
    if (event->file.open_mode & SL_FMODE_CREATED) bits = SL_CALL_CREATES | (event->file.mode & 0111 ? SL_CALL_RUNS : 0);
  }
  const __u32 access = flags & SL_O_ACCMODE;
  if (access == 0) return bits | SL_CALL_READS;
  return bits | SL_CALL_WRITES | (access == SL_O_RDWR ? SL_CALL_READS : 0);
}

static __always_inline __u8 class_filter(const struct sl_call_filter* filter, const struct sl_call_event* event) {
  __u32 class = SL_CALL_CLASS((__u32)outcome_of(event->result), event->file.descriptor & 15, open_bits(event));
  barrier_var(class); /* 6.1 knows no bound of what bits are joined to */
  return filter->classes[class & (SL_CALL_CLASSES - 1)];
}

#endif
