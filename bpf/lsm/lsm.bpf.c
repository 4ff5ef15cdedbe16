/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The programs of KubeArmor policies. Each is attached while a policy needs its section.
 *
 *   process          execute, executed
 *   file             open_file, and those for calls that change files or names without opening them
 *   network          create_socket
 *   capabilities     use_capability
 *   system calls     call
 *   code             map_code, protect_code
 */
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "bpf/lib/lsm_protocols.h"
#include "bpf/lsm/arguments.bpf.h"
#include "bpf/lsm/on_exec.bpf.h"
#include "bpf/lsm/on_path.bpf.h"

#define SL_FMODE_WRITE 0x2
#define SL_FMODE_EXEC 0x20            /* in f_flags, too: the kernel opens a program */
#define SL_FMODE_NOACCOUNT 0x20000000 /* a file system opens a file behind its own: the process has opened that one */
#define SL_CAP_OPT_NOAUDIT 0x2
#define SL_PROT_EXEC 0x4
#define SL_VM_EXEC 0x4

/* An argument of the hook as a number. The verifier would take it for a pointer that is never NULL, and lets no number
 * be made of it. */
static __always_inline __u64 argument(const unsigned long long* ctx, int n) {
  __u64 value = 0;
  bpf_probe_read_kernel(&value, sizeof(value), ctx + n);
  return value;
}

static __always_inline __u64 mount_of(__u64 path) { return (__u64)BPF_CORE_READ((const struct path*)path, mnt); }
static __always_inline __u64 dentry_of(__u64 path) { return (__u64)BPF_CORE_READ((const struct path*)path, dentry); }

SEC("lsm/bprm_check_security")
int execute(unsigned long long* ctx) {
  const struct linux_binprm* bprm = (void*)argument(ctx, 0);
  struct lsm_run run;
  __u32 index = 0;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile) return 0;
  const struct sl_lsm_rules_of* process = &profile->sections[SL_LSM_PROCESS];
  if (!((process->flags | profile->sections[SL_LSM_SYSCALL_PATHS].flags) & SL_LSM_HAS_RULES)) return 0;
  if (!start(&run, SL_LSM_PROCESS, &index)) return can_block(process) ? -SL_EPERM : 0;
  const bool by_name = BPF_CORE_READ(bprm, interp) == BPF_CORE_READ(bprm, filename);
  const int error = on_execute(index, (__u64)BPF_CORE_READ(bprm, file), by_name);
  return end_run(index, error);
}

SEC("lsm/bprm_committed_creds")
int executed(unsigned long long* ctx) {
  const struct linux_binprm* bprm = (void*)argument(ctx, 0);
  struct lsm_run run;
  __u32 index = 0;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile || !profile->argument_sets) return 0;
  const struct lsm_task* known = bpf_task_storage_get(&lsm_tasks, bpf_get_current_task_btf(), NULL, 0);
  const __u32 pending = known ? known->pending : 1;
  if (!start_executed(&run, known, &index)) {
    bpf_send_signal(SL_KILL);
    return 0;
  }
  on_executed(index, (__u64)BPF_CORE_READ(bprm, file), BPF_CORE_READ(bprm, p), BPF_CORE_READ(bprm, argc), pending);
  release(index);
  return 0;
}

SEC("lsm/file_open")
int BPF_PROG(open_file, struct file* file) {
  if (file->f_flags & SL_FMODE_EXEC || file->f_mode & SL_FMODE_NOACCOUNT) return 0;
  const __u32 facts = file->f_mode & SL_FMODE_WRITE ? LSM_WRITES : 0;
  const struct file* opened = (void*)argument(ctx, 0);
  return judge_operation((__u64)BPF_CORE_READ(opened, f_path.dentry), (__u64)BPF_CORE_READ(opened, f_path.mnt),
                         SL_LSM_OPEN, facts);
}

SEC("lsm/path_unlink")
int unlink_path(unsigned long long* ctx) {
  return judge_operation(argument(ctx, 1), mount_of(argument(ctx, 0)), SL_LSM_UNLINK, LSM_WRITES);
}

SEC("lsm/path_mkdir")
int make_directory(unsigned long long* ctx) {
  return judge_operation(argument(ctx, 1), mount_of(argument(ctx, 0)), SL_LSM_MAKE_DIRECTORY,
                         LSM_WRITES | LSM_IS_NEW | LSM_DIRECTORY);
}

SEC("lsm/path_rmdir")
int rm_directory(unsigned long long* ctx) {
  return judge_operation(argument(ctx, 1), mount_of(argument(ctx, 0)), SL_LSM_REMOVE_DIRECTORY, LSM_WRITES);
}

/* Also for a file that open(2) creates: then open_file reports it. */
SEC("lsm/path_mknod")
int make_node(unsigned long long* ctx) {
  const __u32 kind = argument(ctx, 2) & SL_S_IFMT;
  return judge_operation(argument(ctx, 1), mount_of(argument(ctx, 0)), SL_LSM_CREATE,
                         LSM_WRITES | LSM_IS_NEW | (!kind || kind == SL_S_IFREG ? LSM_QUIET : 0));
}

SEC("lsm/path_symlink")
int make_symlink(unsigned long long* ctx) {
  return judge_operation(argument(ctx, 1), mount_of(argument(ctx, 0)), SL_LSM_SYMLINK, LSM_WRITES | LSM_IS_NEW);
}

SEC("lsm/path_link")
int make_link(unsigned long long* ctx) {
  const __u64 mount = mount_of(argument(ctx, 1)); /* both are on it */
  return judge_two(argument(ctx, 0), mount, argument(ctx, 2), mount, SL_LSM_LINK, LSM_WRITES | LSM_IS_NEW);
}

SEC("lsm/path_rename")
int rename_path(unsigned long long* ctx) {
  const struct dentry* from = (void*)argument(ctx, 1);
  const struct dentry* to = (void*)argument(ctx, 3);
  const bool is_directory = (BPF_CORE_READ(from, d_inode, i_mode) & SL_S_IFMT) == SL_S_IFDIR;
  return judge_two((__u64)from, mount_of(argument(ctx, 0)), (__u64)to, mount_of(argument(ctx, 2)), SL_LSM_RENAME,
                   LSM_WRITES | (BPF_CORE_READ(to, d_inode) ? 0 : LSM_IS_NEW) | (is_directory ? LSM_DIRECTORY : 0));
}

SEC("lsm/path_truncate")
int truncate_path(unsigned long long* ctx) {
  const __u64 path = argument(ctx, 0);
  return judge_operation(dentry_of(path), mount_of(path), SL_LSM_TRUNCATE, LSM_WRITES);
}

SEC("lsm/path_chmod")
int change_mode(unsigned long long* ctx) {
  const __u64 path = argument(ctx, 0);
  return judge_operation(dentry_of(path), mount_of(path), SL_LSM_CHANGE_MODE, LSM_WRITES);
}

SEC("lsm/path_chown")
int change_owner(unsigned long long* ctx) {
  const __u64 path = argument(ctx, 0);
  return judge_operation(dentry_of(path), mount_of(path), SL_LSM_CHANGE_OWNER, LSM_WRITES);
}

/* The whole of a hook that is about one number of a section. */
static __always_inline int judge_number_of(__u32 section, __u32 operation, __u32 number) {
  struct lsm_run run;
  __u32 index = 0;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile || !(profile->sections[section].flags & SL_LSM_HAS_RULES) || is_entering(&run)) return 0;
  struct lsm_scratch* scratch = start(&run, section, &index);
  if (!scratch) return can_block(&profile->sections[section]) ? -SL_EPERM : 0;
  scratch->operation = operation;
  scratch->number = number;
  judge_one_number(index, number);
  const int error = report(index, false);
  return end_run(index, error);
}

SEC("lsm/socket_create")
int BPF_PROG(create_socket, int family, int type, int protocol, int kern) {
  const __u32 protocols = sl_lsm_protocols_of(family, type, protocol);
  if (kern || !protocols) return 0;
  struct lsm_run run;
  __u32 index = 0;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile) return 0;
  const struct sl_lsm_rules_of* network = &profile->sections[SL_LSM_NETWORK];
  if (!(network->flags & SL_LSM_HAS_RULES) || is_entering(&run)) return 0;
  struct lsm_scratch* scratch = start(&run, SL_LSM_NETWORK, &index);
  if (!scratch) return can_block(network) ? -SL_EPERM : 0;
  scratch->operation = SL_LSM_CREATE_SOCKET;
  scratch->event.family = family;
  scratch->event.type = type;
  scratch->event.protocol = protocol;
  judge_numbers(index, protocols);
  const int error = report(index, false);
  return end_run(index, error);
}

/* After the kernel's own check: the process has the capability. Only what it does with its own credentials counts. */
SEC("lsm/capable")
int BPF_PROG(use_capability, const struct cred* cred, void* namespace, int capability, unsigned int options) {
  const struct cred* own = bpf_get_current_task_btf()->cred;
  if (options & SL_CAP_OPT_NOAUDIT || argument(ctx, 0) != (__u64)own) return 0;
  return judge_number_of(SL_LSM_CAPABILITIES, SL_LSM_USE_CAPABILITY, capability);
}

static __always_inline int judge_code(void) {
  struct lsm_run run;
  __u32 index = 0;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile) return 0;
  const struct sl_lsm_preset_rules rules = profile->presets[SL_LSM_PRESET_ANON_MAP_EXEC];
  if ((!rules.block && !rules.audit) || is_entering(&run)) return 0;
  struct lsm_scratch* scratch = start(&run, SL_LSM_NO_SECTION, &index);
  if (!scratch) return rules.block ? -SL_EPERM : 0;
  scratch->operation = SL_LSM_MAP_CODE;
  scratch->presets = 1 << SL_LSM_PRESET_ANON_MAP_EXEC;
  judge_presets(index);
  const int error = report(index, false);
  return end_run(index, error);
}

SEC("lsm/mmap_file")
int map_code(unsigned long long* ctx) {
  const __u64 file = argument(ctx, 0), protection = argument(ctx, 2);
  return protection & SL_PROT_EXEC && !file ? judge_code() : 0;
}

SEC("lsm/file_mprotect")
int BPF_PROG(protect_code, struct vm_area_struct* area, unsigned long wanted, unsigned long protection) {
  if (!(protection & SL_PROT_EXEC) || area->vm_flags & SL_VM_EXEC || area->vm_file) return 0;
  return judge_code();
}

SEC("tp_btf/sys_enter")
int BPF_PROG(call, struct pt_regs* registers, long number) {
  struct task_struct* task = bpf_get_current_task_btf();
#if defined(__TARGET_ARCH_x86)
  if (task->thread_info.status & SL_TS_COMPAT) return 0; /* a 32-bit program, whose calls have other numbers */
#endif
  struct lsm_run run;
  __u32 index = 0;
  const __u64 call = number;
  const struct sl_lsm_profile* profile = find_profile(&run);
  if (!profile || call >= SL_LSM_SYSTEM_CALLS) return 0;
  if (!(profile->calls[call / 64 % (SL_LSM_SYSTEM_CALLS / 64)] >> (call % 64) & 1) || is_entering(&run)) return 0;
  struct lsm_scratch* scratch = start(&run, SL_LSM_SYSCALLS, &index);
  if (!scratch) return 0;
  scratch->operation = SL_LSM_SYSTEM_CALL;
  scratch->number = call;
  judge_one_number(index, call);
  report(index, false);
  release(index);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
