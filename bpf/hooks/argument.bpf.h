/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Reads a hook's arguments, each by enum sl_hook_read. */
#ifndef SLUICE_ARGUMENT_BPF_H
#define SLUICE_ARGUMENT_BPF_H

#include "bpf/hooks/socket_value.bpf.h"
#include "bpf/hooks/task_facts.bpf.h"

#define SL_REGISTERS 6
#define SL_STEPS_MAX 10
#define SL_BPF_ATTR_PROG_NAME 48 /* offset in union bpf_attr, linux/bpf.h */

static __always_inline __u64 register_at(struct hook_scratch* scratch, __u32 index) {
  if (index == SL_HOOK_INDEX_RETURN) return scratch->return_value;
  barrier_var(index);
  return index < SL_REGISTERS ? scratch->registers[index] : 0;
}

/* The number in the low `size` bytes. */
static __always_inline __u64 resize(__u64 value, __u8 size, bool is_signed) {
  switch (size) {
    case 1:
      return is_signed ? (__u64)(__s8)value : (__u8)value;
    case 2:
      return is_signed ? (__u64)(__s16)value : (__u16)value;
    case 4:
      return is_signed ? (__u64)(__s32)value : (__u32)value;
  }
  return value;
}

/* False: it cannot be read. */
static __always_inline bool load_number(__u64* number, __u64 address, __u32 bytes, bool user) {
  *number = 0;
  barrier_var(bytes);
  if (bytes > sizeof(*number)) return false;
  return (user ? bpf_probe_read_user(number, bytes, (void*)address)
               : bpf_probe_read_kernel(number, bytes, (void*)address)) == 0;
}

static __always_inline __u64 caller_word(struct hook_scratch* scratch, __u32 number) {
  barrier_var(number);
  return number < SL_HOOK_CALLER_WORDS ? scratch->caller[number] : 0;
}

/* Follows the steps from an address or, without a last load, to one. False: something on the way cannot be read. */
static __always_inline bool follow_steps(struct hook_scratch* scratch, __u64* result,
                                         const struct sl_hook_argument* how) {
  __u64 value = *result;
  for (__u32 i = 0; i < SL_STEPS_MAX && i < how->step_count; i++) {
    const __u32 at = how->steps + i;
    const __u64* stored = hook_words_at(at);
    if (!stored) break;
    const __u64 step = *stored;
    const __u32 word = step >> 48 & 0xff, bytes = step >> 32 & 0xf;
    value += (__s32)step;
    if (word) value += caller_word(scratch, word - 1) << (step >> 56 & 3);
    if (step & SL_HOOK_STEP_LOAD && !load_number(&value, value, bytes, step & SL_HOOK_STEP_USER)) return false;
    value = resize(value, bytes, step & SL_HOOK_STEP_SIGNED);
  }
  *result = value;
  return true;
}

/* Where an argument's steps begin. */
static __always_inline __u64 begin_of(struct hook_scratch* scratch, const struct sl_hook_argument* how) {
  if (how->flags & SL_HOOK_ARGUMENT_OF_TASK) return bpf_get_current_task();
  if (how->flags & SL_HOOK_ARGUMENT_OF_RECORD) return scratch->record;
  if (how->flags & SL_HOOK_ARGUMENT_OF_STEPS) return 0;
  return register_at(scratch, how->index);
}

/* What an argument is: a number, or an address. False: it cannot be read. */
static __always_inline bool number_of(struct hook_scratch* scratch, const struct sl_hook_argument* how, __u64* number) {
  *number = begin_of(scratch, how);
  return follow_steps(scratch, number, how);
}

static __always_inline struct file* file_of_number(__u32 number) {
  struct task_struct* task = bpf_get_current_task_btf();
  if (number >= SL_LOAD(task, files, fdt, max_fds)) return NULL;
  struct file** files = SL_LOAD(task, files, fdt, fd);
  struct file* file = NULL;
  bpf_probe_read_kernel(&file, sizeof(file), files + number);
  return file;
}

/* Where a file is. */
struct file_place {
  struct dentry* dentry; /* NULL: not known */
  struct vfsmount* mount;
};

/* Of an argument whose value is a path; `number`: its address, or the file's number. */
static __always_inline struct file_place place_of(__u8 read, __u64 number) {
  struct file_place place = {};
  const void* path = (const void*)number;
  const struct file* file = (const void*)number;
  if (read == SL_HOOK_READ_DENTRY) {
    place.dentry = (void*)number;
    return place;
  }
  if (read == SL_HOOK_READ_FD) file = file_of_number(number);
  if (read == SL_HOOK_READ_BINPRM) file = BPF_CORE_READ((const struct linux_binprm*)number, file);
  if (read == SL_HOOK_READ_KIOCB) file = BPF_CORE_READ((const struct kiocb*)number, ki_filp);
  if (read != SL_HOOK_READ_PATH) {
    if (!file) return place;
    path = __builtin_preserve_access_index(&file->f_path);
  }
  place.dentry = BPF_CORE_READ((const struct path*)path, dentry);
  place.mount = BPF_CORE_READ((const struct path*)path, mnt);
  return place;
}

__noinline int read_path(__u32 index, __u32 argument, __u64 dentry_address, __u64 mount_address) {
  struct hook_scratch* scratch = scratch_at(index);
  struct dentry* dentry = (void*)dentry_address;
  struct path_text text = {.scratch = index};
  if (!scratch || !dentry) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  if (!value) return 0;
  write_file_path(bpf_get_current_task_btf(), dentry, (void*)mount_address, &text, false, false);
  if (!mount_address && text.detached) { /* the walk ended with the root of the file system: "//" before the path */
    text.begin += text.begin + 2 < SL_PATH_END ? 2 : 1;
    text.detached = 0;
  }
  keep_path(scratch, value, &text);
  value->number = BPF_CORE_READ(dentry, d_inode, i_mode);
  return 0;
}

static __always_inline void read_cred(struct hook_scratch* scratch, struct sl_hook_value* value,
                                      const struct cred* cred) {
  struct sl_hook_cred* to = (struct sl_hook_cred*)room(scratch);
  if (!to || !cred) return;
  to->uid = BPF_CORE_READ(cred, uid.val);
  to->gid = BPF_CORE_READ(cred, gid.val);
  to->euid = BPF_CORE_READ(cred, euid.val);
  to->egid = BPF_CORE_READ(cred, egid.val);
  to->suid = BPF_CORE_READ(cred, suid.val);
  to->sgid = BPF_CORE_READ(cred, sgid.val);
  to->fsuid = BPF_CORE_READ(cred, fsuid.val);
  to->fsgid = BPF_CORE_READ(cred, fsgid.val);
  to->secure_bits = BPF_CORE_READ(cred, securebits);
  to->user_namespace = BPF_CORE_READ(cred, user_ns, ns.inum);
  to->effective = capability_set(__builtin_preserve_access_index(&cred->cap_effective));
  to->inheritable = capability_set(__builtin_preserve_access_index(&cred->cap_inheritable));
  to->permitted = capability_set(__builtin_preserve_access_index(&cred->cap_permitted));
  keep(scratch, value, sizeof(*to), 0);
}

/* What is left of the buffer that a read or write is about; of several, the first one. */
static __always_inline void read_iterator(struct hook_scratch* scratch, struct sl_hook_value* value,
                                          const struct iov_iter* iterator) {
  const __u8 type = BPF_CORE_READ(iterator, iter_type);
  const __u64 offset = BPF_CORE_READ(iterator, iov_offset), left = BPF_CORE_READ(iterator, count);
  if (bpf_core_enum_value_exists(enum iter_type, ITER_UBUF) && type == bpf_core_enum_value(enum iter_type, ITER_UBUF)) {
    keep_bytes(scratch, value, BPF_CORE_READ(iterator, ubuf) + offset, left, true);
    return;
  }
  const bool user = type == bpf_core_enum_value(enum iter_type, ITER_IOVEC);
  if (!user && type != bpf_core_enum_value(enum iter_type, ITER_KVEC)) return; /* pages */
  const struct iov_iter___iov* old = (const void*)iterator;
  const struct iov_iter___user_iov* fresh = (const void*)iterator;
  const void* vector =
      bpf_core_field_exists(old->iov) ? (const void*)BPF_CORE_READ(old, iov) : (const void*)BPF_CORE_READ(fresh, __iov);
  __u64 buffer[2] = {}; /* address and size */
  if (bpf_probe_read_kernel(buffer, sizeof(buffer), vector) || buffer[1] < offset) return;
  const __u64 size = buffer[1] - offset;
  keep_bytes(scratch, value, (void*)(buffer[0] + offset), size < left ? size : left, user);
}

/* Texts and structures behind a pointer. */
__noinline int read_pointer(__u32 index, __u32 argument, __u64 address, const struct sl_hook_argument* how) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !how || argument >= SL_HOOK_ARGUMENTS) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  if (!value) return 0;
  const bool user = how->flags & SL_HOOK_ARGUMENT_USER;
  const void* pointer = (void*)address;
  switch (how->read) {
    case SL_HOOK_READ_STRING:
      keep_string(scratch, value, pointer, how->bytes_max, user);
      break;
    case SL_HOOK_READ_DATA_LOC: { /* of its own length, which counts the NUL; the offset is that in the record */
      __u64 place = 0;
      if (!load_number(&place, address, sizeof(__u32), false)) break;
      keep_string(scratch, value, (void*)(scratch->record + (place & 0xffff)), place >> 16 & 0xffff, false);
      break;
    }
    case SL_HOOK_READ_BYTES: {
      __u64 size = SL_HOOK_TEXT_MAX;
      if (how->flags & SL_HOOK_ARGUMENT_SIZE_READ) {
        const struct sl_hook_value* of_size = value_at(scratch, how->size_index);
        if (!of_size || !(of_size->flags & SL_HOOK_VALUE_READ)) break;
        size = of_size->number;
      } else if (how->size_index != 0xff) {
        size = register_at(scratch, how->size_index);
      }
      if ((__s64)size < 0) break;
      if (how->bytes_max && size > how->bytes_max) size = how->bytes_max;
      keep_bytes(scratch, value, pointer, size, user);
      break;
    }
    case SL_HOOK_READ_IOVEC: {
      struct {
        const void* base;
        __u64 size;
      } vector = {};
      if (user ? bpf_probe_read_user(&vector, sizeof(vector), pointer)
               : bpf_probe_read_kernel(&vector, sizeof(vector), pointer))
        break;
      keep_bytes(scratch, value, vector.base, vector.size, true);
      break;
    }
    case SL_HOOK_READ_FILENAME:
      keep_string(scratch, value, BPF_CORE_READ((const struct filename*)pointer, name), SL_HOOK_TEXT_MAX, false);
      break;
    case SL_HOOK_READ_SOCKADDR_UNIX: {
      __u16 family = 0;
      if (user ? bpf_probe_read_user(&family, sizeof(family), pointer)
               : bpf_probe_read_kernel(&family, sizeof(family), pointer))
        break;
      value->number = family;
      keep_string(scratch, value, pointer + sizeof(family), SL_HOOK_TEXT_MAX, user);
      break;
    }
    case SL_HOOK_READ_NET_DEVICE:
      keep_string(scratch, value, __builtin_preserve_access_index(&((const struct net_device*)pointer)->name),
                  SL_HOOK_TEXT_MAX, false);
      break;
    case SL_HOOK_READ_MODULE: {
      const struct module* module = pointer;
      if (!bpf_core_field_exists(module->name)) break; /* a kernel without modules */
      keep_string(scratch, value, __builtin_preserve_access_index(&module->name), SL_HOOK_TEXT_MAX, false);
      break;
    }
    case SL_HOOK_READ_LOAD_INFO: {
      const struct load_info* info = pointer;
      if (!bpf_core_field_exists(info->name)) break;
      keep_string(scratch, value, BPF_CORE_READ(info, name), SL_HOOK_TEXT_MAX, false);
      break;
    }
    case SL_HOOK_READ_BPF_MAP:
      value->number = BPF_CORE_READ((const struct bpf_map*)pointer, map_type);
      keep_string(scratch, value, __builtin_preserve_access_index(&((const struct bpf_map*)pointer)->name),
                  SL_HOOK_TEXT_MAX, false);
      break;
    case SL_HOOK_READ_BPF_PROGRAM: {
      __u32 type = 0;
      if (user ? bpf_probe_read_user(&type, sizeof(type), pointer)
               : bpf_probe_read_kernel(&type, sizeof(type), pointer))
        break;
      value->number = type;
      keep_string(scratch, value, pointer + SL_BPF_ATTR_PROG_NAME, SL_HOOK_TEXT_MAX, user);
      break;
    }
    case SL_HOOK_READ_BPF_OBJECT: {
      const struct bpf_prog* program = pointer;
      const struct bpf_prog_aux* more = BPF_CORE_READ(program, aux);
      value->number = BPF_CORE_READ(program, type);
      keep_string(scratch, value, __builtin_preserve_access_index(&more->name), SL_HOOK_TEXT_MAX, false);
      break;
    }
    case SL_HOOK_READ_IOV_ITER:
      read_iterator(scratch, value, pointer);
      break;
    case SL_HOOK_READ_PERF_EVENT:
      keep_number(value, BPF_CORE_READ((const struct perf_event*)pointer, attr.type));
      break;
    case SL_HOOK_READ_CRED:
      read_cred(scratch, value, pointer);
      break;
  }
  return 0;
}

/* Reads one argument into the event. What cannot be read stays without SL_HOOK_VALUE_READ. */
__noinline int read_argument(__u32 index, __u32 argument, const struct sl_hook_argument* how) {
  struct hook_scratch* scratch = scratch_at(index);
  if (!scratch || !how || argument >= SL_HOOK_ARGUMENTS) return 0;
  struct sl_hook_value* value = value_at(scratch, argument);
  if (!value) return 0;
  *value = (struct sl_hook_value){.read = how->read};
  if (!(how->flags & SL_HOOK_ARGUMENT_AT_RETURN) != !scratch->at_return) return 0;
  const bool user = how->flags & SL_HOOK_ARGUMENT_USER;
  __u64 number = 0;
  if (!number_of(scratch, how, &number)) return 0;
  const void* pointer = (void*)number;
  switch (how->read) {
    case SL_HOOK_READ_NOTHING:
      break;
    case SL_HOOK_READ_NUMBER:
      keep_number(value, resize(number, how->size, how->flags & SL_HOOK_ARGUMENT_SIGNED));
      break;
    case SL_HOOK_READ_FD:
    case SL_HOOK_READ_FILE:
    case SL_HOOK_READ_BINPRM:
    case SL_HOOK_READ_KIOCB:
    case SL_HOOK_READ_PATH:
    case SL_HOOK_READ_DENTRY: {
      const struct file_place place = place_of(how->read, number);
      read_path(index, argument, (__u64)place.dentry, (__u64)place.mount);
      if (how->read == SL_HOOK_READ_FD) value->number = (__u32)number;
      break;
    }
    case SL_HOOK_READ_SOCK:
      read_sock(index, argument, number);
      break;
    case SL_HOOK_READ_SOCKET:
      read_sock(index, argument, (__u64)BPF_CORE_READ((const struct socket*)pointer, sk));
      break;
    case SL_HOOK_READ_SKB:
      read_packet(index, argument, number);
      break;
    case SL_HOOK_READ_SOCKADDR:
      read_address(index, argument, number, user);
      break;
    case SL_HOOK_READ_CAPABILITIES:
      keep_number(value, capability_set(pointer));
      break;
    case SL_HOOK_READ_USER_NAMESPACE:
      keep_number(value, BPF_CORE_READ((const struct user_namespace*)pointer, ns.inum));
      break;
    default:
      read_pointer(index, argument, number, how);
  }
  return 0;
}

static __always_inline bool reads_the_same(const struct sl_hook_argument* a, const struct sl_hook_argument* b) {
  const __u64 *x = (const __u64*)a, *y = (const __u64*)b;
  return x[0] == y[0] && x[1] == y[1];
}

/* Reads all arguments that were not read in the same way for the hook before. */
static __always_inline void read_arguments(struct hook_scratch* scratch, __u32 index, const struct sl_hook* hook) {
  const __u32 before = scratch->read_count, count = hook->argument_count;
  bool same = true;
  for (__u32 i = 0; i < SL_HOOK_ARGUMENTS && (i < count || i < before); i++) {
    if (same && i < before && i < count && reads_the_same(&scratch->read_as[i], &hook->arguments[i])) continue;
    if (same && i < before) scratch->length = scratch->begins[i];
    same = false;
    if (i >= count) {
      scratch->event.arguments[i] = (struct sl_hook_value){};
      continue;
    }
    scratch->begins[i] = scratch->length;
    scratch->read_as[i] = hook->arguments[i];
    read_argument(index, i, &hook->arguments[i]);
  }
  scratch->read_count = count;
}

/* The path of a program, to the data at `offset`. */
__noinline int read_program(__u32 index, bool of_parent) {
  struct hook_scratch* scratch = scratch_at(index);
  struct task_struct* task = bpf_get_current_task_btf();
  struct path_text text = {.scratch = index};
  if (!scratch) return 0;
  if (of_parent) task = task->group_leader ? task->group_leader->real_parent : NULL;
  if (!task) return 0;
  const struct file* file = SL_LOAD(task, mm, exe_file);
  if (!file) return 0;
  write_file_path(task, file->f_path.dentry, file->f_path.mnt, &text, false, true);
  const __u32 offset = of_parent ? SL_HOOK_PARENT_AT : SL_HOOK_BINARY_AT;
  struct hook_text* to = of_parent ? &scratch->parent_binary : &scratch->binary;
  __u8* data = of_parent ? &scratch->data[SL_HOOK_PARENT_AT] : &scratch->data[SL_HOOK_BINARY_AT];
  __u32 length = take_path_text(scratch, &text, data);
  barrier_var(length);
  length &= SL_PATH_END;
  *(__u64*)(data + length) = 0;
  to->offset = offset;
  to->length = length;
  return 0;
}

#endif
