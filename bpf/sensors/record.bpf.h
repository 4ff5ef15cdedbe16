/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Builds a record in scratch memory, as it is too long for the stack and its length is not known in advance. */
#ifndef SLUICE_RECORD_BPF_H
#define SLUICE_RECORD_BPF_H

#include "bpf/sensors/event_share.bpf.h"
#include "bpf/sensors/process_class.bpf.h"
#include "bpf/sensors/process_table.bpf.h"

#define SL_APPEND_MAX (SL_PAGE - 1)

/* A wake-up costs more than the rest of an event: the reader polls, and is woken only when the ring fills up. */
static __always_inline __u64 wake_up(void) {
  return bpf_ringbuf_query(&process_events, BPF_RB_AVAIL_DATA) >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* Room for an event of a fixed length. Null: lost and counted. */
static __always_inline void* reserve_event(__u32 size, __u8 event, __u32 share, __u64 cgroup) {
  if (!may_send(share, size)) {
    count_loss(SL_PROCESS_LOSS_SHARE, event, cgroup);
    return NULL;
  }
  void* room = bpf_ringbuf_reserve(&process_events, size, 0);
  if (!room) count_loss(SL_PROCESS_LOSS_RING_FULL, event, cgroup);
  return room;
}

static __always_inline void fill_header(struct sl_process_header* header, struct task_struct* task, bool known,
                                        __u8 event, const struct sl_process* process) {
  header->id = process->id;
  header->parent = process->parent;
  header->start_ns = process->start_ns;
  header->birth_ns = process->birth_ns;
  header->cgroup = process->cgroup;
  header->pid = SL_READ(known, task, tgid);
  header->parent_pid = SL_READ(known, task, group_leader, real_parent, tgid);
  header->flags = process->flags;
  header->event = event;
  header->pad[0] = header->pad[1] = header->pad[2] = 0;
}

static __always_inline void fill_start(struct sl_process_start* start, struct task_struct* task, bool known, __u8 event,
                                       const struct sl_process* process) {
  __builtin_memset(start, 0, sizeof(*start));
  fill_header(&start->header, task, known, event, process);
  start->tid = SL_READ(known, task, pid);
  start->ns_tid = start->ns_pid = task_ns_pid(task, known, &start->namespaces.pid); /* the leader's, in all events */
  task_credentials(task, known, start);
  task_namespaces(task, known, start);
  task_name(task, known, start->comm);
}

/* Takes the scratch memory for an event of `process`; new programs and classes count in `share`. Null: this event
 * interrupted another one on the same CPU. */
static __always_inline struct sl_scratch* take_scratch(__u32 index, const struct sl_process* process, __u32 share) {
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &index);
  if (!scratch || __sync_lock_test_and_set(&scratch->busy, 1) != 0) return NULL;
  scratch->length = 0;
  scratch->home = process->home;
  scratch->share = share;
  return scratch;
}

/* Appends the text in the path buffer; returns its length. */
static __always_inline __u16 append_path(struct sl_scratch* scratch, const struct path_text* text) {
  const __u32 begin = text->begin & SL_PATH_END;
  __u32 length = SL_PATH_END - begin, offset = scratch->length;
  barrier_var(length);
  barrier_var(offset);
  length &= SL_APPEND_MAX;
  if (offset > SL_PROCESS_DATA_MAX - SL_PAGE) return 0;
  bpf_probe_read_kernel(&scratch->data[offset], length, &scratch->text.path[begin]);
  scratch->length = offset + length;
  return length;
}

static __always_inline void append_binary(struct sl_scratch* scratch, struct task_struct* task,
                                          struct path_text* text) {
  if (!write_binary_path(task, text, false)) return;
  scratch->start.binary_length = append_path(scratch, text);
  if (text->truncated) scratch->start.header.flags |= SL_PROCESS_BINARY_TRUNCATED;
  if (text->detached)
    scratch->start.header.flags |= SL_PROCESS_FROM_MEMORY;
  else if (scratch->mounts != scratch->home)
    scratch->start.header.flags |= SL_PROCESS_OTHER_MOUNTS;
  if (SL_LOAD(task, mm, exe_file, f_inode, i_nlink) == 0) scratch->start.header.flags |= SL_PROCESS_UNLINKED;
}

static __always_inline void append_cwd(struct sl_scratch* scratch, __u32 index, struct task_struct* task) {
  struct path_text text = {.scratch = index};
  struct fs_struct* fs = task->fs;
  if (!fs) return;
  write_file_path(task, fs->pwd.dentry, fs->pwd.mnt, &text, false, true);
  scratch->start.cwd_length = append_path(scratch, &text);
  if (text.truncated) scratch->start.header.flags |= SL_PROCESS_CWD_TRUNCATED;
}

static __always_inline void append_cgroup(struct sl_scratch* scratch, __u32 index, struct task_struct* task) {
  struct path_text text = {.scratch = index};
  write_cgroup_path(task, &text);
  scratch->start.cgroup_length = append_path(scratch, &text);
  if (text.truncated) scratch->start.header.flags |= SL_PROCESS_CGROUP_TRUNCATED;
}

struct arguments_copy {
  __u64 from;
  __u32 left;
  __u32 offset; /* in the data */
  __u32 scratch;
};

/* Copies the rest of one page. If a page is not in memory, the copy ends before it. */
static long copy_arguments(__u32 page, void* context) {
  struct arguments_copy* copy = context;
  struct sl_scratch* scratch = bpf_map_lookup_elem(&process_scratch, &copy->scratch);
  if (!scratch || !copy->left) return 1;
  __u32 chunk = SL_PAGE - (copy->from & (SL_PAGE - 1));
  __u32 offset = copy->offset;
  if (chunk > copy->left) chunk = copy->left;
  barrier_var(chunk); /* the compiler knows the bounds, but the verifier needs the comparisons */
  barrier_var(offset);
  if (chunk > SL_PAGE || offset > SL_PROCESS_DATA_MAX - SL_PAGE) return 1;
  if (bpf_probe_read_user(&scratch->data[offset], chunk, (void*)copy->from) != 0) return 1;
  copy->from += chunk;
  copy->left -= chunk;
  copy->offset = offset + chunk;
  return 0;
}

/* `foreign`: the arguments of another task, by a read that may sleep. */
static __always_inline void append_arguments(struct sl_scratch* scratch, __u32 index, struct task_struct* task,
                                             bool foreign) {
  struct mm_struct* mm = task->mm;
  if (!mm) return;
  const __u64 from = mm->arg_start, size = mm->arg_end - from;
  __u32 length = size > SL_PROCESS_ARGUMENTS_MAX ? SL_PROCESS_ARGUMENTS_MAX : size;
  __u32 offset = scratch->length;
  if (foreign) {
    barrier_var(length);
    barrier_var(offset);
    if (length > SL_PROCESS_ARGUMENTS_MAX || offset > SL_PROCESS_DATA_MAX - SL_PROCESS_ARGUMENTS_MAX) return;
    if (bpf_copy_from_user_task(&scratch->data[offset], length, (void*)from, task, 0) == 0) offset += length;
  } else {
    struct arguments_copy copy = {.from = from, .left = length, .offset = offset, .scratch = index};
    bpf_loop(SL_PROCESS_ARGUMENTS_MAX / SL_PAGE + 1, copy_arguments, &copy, 0);
    offset = copy.offset;
  }
  const __u32 read = offset - scratch->length;
  if (read < size) scratch->start.header.flags |= SL_PROCESS_ARGUMENTS_TRUNCATED;
  scratch->start.arguments_length = read;
  scratch->length = offset;
}

/* Sends the record in `scratch`, and releases it. */
static __always_inline void send_scratch(struct sl_scratch* scratch, __u8 event) {
  __u32 length = scratch->length;
  if (length > SL_PROCESS_DATA_MAX) length = SL_PROCESS_DATA_MAX;
  const __u32 size = sizeof(scratch->start) + length;
  if (event != SL_PROCESS_EVENT_SEED && !may_send(scratch->share, size))
    count_loss(SL_PROCESS_LOSS_SHARE, event, scratch->start.header.cgroup);
  else if (bpf_ringbuf_output(&process_events, &scratch->start, size, wake_up()) != 0)
    count_loss(SL_PROCESS_LOSS_RING_FULL, event, scratch->start.header.cgroup);
  __sync_lock_test_and_set(&scratch->busy, 0);
}

#endif
