#include "ctrl/rights/system_calls.h"

#include <linux/bpf.h>
#include <linux/netlink.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>
#include <memory>

namespace sluice::rights {
namespace {

// Calls that no part of the agent makes. Names that this architecture does not have are left out.
constexpr const char* kRefusedCalls[] = {
    // other programs, other processes
    "execve", "execveat", "ptrace", "perf_event_open", "process_vm_readv", "process_vm_writev", "process_madvise",
    "pidfd_getfd", "kcmp",
    // mounts and roots
    "mount", "umount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr",
    "pivot_root", "chroot", "unshare", "setns", "quotactl", "quotactl_fd", "swapon", "swapoff", "open_by_handle_at",
    "name_to_handle_at",
    // the kernel itself
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "syslog", "acct",
    "nfsservctl", "lookup_dcookie",
    // clocks
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime",
    // identity
    "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
    "setfsuid", "setfsgid", "sethostname", "setdomainname",
    // keys, raw I/O, and calls known from past exploits
    "add_key", "request_key", "keyctl", "iopl", "ioperm", "personality", "modify_ldt", "userfaultfd", "io_uring_setup",
    "io_uring_enter", "io_uring_register", "vhangup", "mknod", "mknodat", "uselib", "ustat", "sysfs", "_sysctl",
    "create_module", "get_kernel_syms", "query_module", "vm86", "vm86old"};

constexpr int kAddressFamilies[] = {AF_UNIX, AF_INET, AF_INET6, AF_NETLINK};
constexpr int kMostAddressFamilies = 64;

constexpr int kNamespaceFlags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                   CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

bool IsAddressFamilyUsed(int family) {
  for (const int used : kAddressFamilies) {
    if (family == used) return true;
  }
  return false;
}

int AddRefusals(scmp_filter_ctx filter) {
  const auto refuse = static_cast<std::uint32_t>(SCMP_ACT_ERRNO(EPERM));
  for (const char* const name : kRefusedCalls) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;
    if (const int rc = seccomp_rule_add(filter, refuse, number, 0); rc != 0 && rc != -EDOM) return rc;
  }
  // A filter cannot read the flags of clone3, which are in memory: libc then uses clone.
  if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); rc != 0) return rc;
  for (const int flag : kNamespaceFlags) {
    const auto bit = static_cast<scmp_datum_t>(static_cast<unsigned int>(flag));
    const scmp_arg_cmp has_flag = SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit);
    if (const int rc = seccomp_rule_add(filter, refuse, SCMP_SYS(clone), 1, has_flag); rc != 0) return rc;
  }
  for (int family = 0; family < kMostAddressFamilies; family++) {
    if (IsAddressFamilyUsed(family)) continue;
    const scmp_arg_cmp is_family = SCMP_A0_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(family));
    if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, is_family); rc != 0)
      return rc;
  }
  const scmp_arg_cmp is_beyond = SCMP_A0_32(SCMP_CMP_GE, static_cast<std::uint32_t>(kMostAddressFamilies));
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, is_beyond);
}

// Allowed with any arguments.
constexpr const char* kHelperCalls[] = {"recvmsg", "sendmsg", "close",        "fstatfs", "perf_event_open",
                                        "munmap",  "brk",     "rt_sigreturn", "exit",    "exit_group",
                                        "fcntl"};

constexpr bpf_cmd kHelperBpfCommands[] = {BPF_LINK_GET_NEXT_ID, BPF_LINK_GET_FD_BY_ID, BPF_PROG_GET_FD_BY_ID,
                                          BPF_BTF_GET_FD_BY_ID, BPF_ITER_CREATE};

int AddHelperCalls(scmp_filter_ctx filter) {
  for (const char* const name : kHelperCalls) {
    const int number = seccomp_syscall_resolve_name(name);
    if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0); rc != 0) return rc;
  }
  for (const bpf_cmd command : kHelperBpfCommands) {
    const scmp_arg_cmp is_command = SCMP_A0_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(command));
    if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1, is_command); rc != 0) return rc;
  }
  const scmp_arg_cmp is_kill = SCMP_A1_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(SIGKILL));
  if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(pidfd_send_signal), 1, is_kill); rc != 0)
    return rc;
  const scmp_arg_cmp is_net = SCMP_A1_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(CLONE_NEWNET));
  if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(setns), 1, is_net); rc != 0) return rc;
  const scmp_arg_cmp is_netlink = SCMP_A0_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(AF_NETLINK));
  for (const int protocol : {NETLINK_ROUTE, NETLINK_SOCK_DIAG}) {
    const scmp_arg_cmp is_used = SCMP_A2_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(protocol));
    if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2, is_netlink, is_used); rc != 0)
      return rc;
  }
  const scmp_arg_cmp is_no_code = SCMP_A2_32(SCMP_CMP_MASKED_EQ, static_cast<std::uint32_t>(PROT_EXEC), 0U);
  return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, is_no_code);
}

Status Load(std::uint32_t otherwise, int (*add_rules)(scmp_filter_ctx)) {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(otherwise), seccomp_release);
  if (filter == nullptr) return MakeError(absl::StatusCode::kInternal, "system call filter: cannot be made");
  int rc = add_rules(filter.get());
  // A tree instead of a list: a few comparisons for each call, not a hundred.
  if (rc == 0) rc = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (rc == 0) rc = seccomp_load(filter.get());
  return rc == 0 ? OkStatus() : ErrnoError(rc, "system call filter");
}

}  // namespace

Status RefuseSystemCalls() { return Load(SCMP_ACT_ALLOW, AddRefusals); }

Status AllowHelperCallsOnly() { return Load(SCMP_ACT_ERRNO(EPERM), AddHelperCalls); }

}  // namespace sluice::rights
