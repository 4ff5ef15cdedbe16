#include "ctrl/sluiced/rights.h"

#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>

namespace sluice {
namespace {

struct Needed {
  int number;
  const char* name;
  const char* use;
};

constexpr Needed kNeeded[] = {
    {CAP_DAC_READ_SEARCH, "CAP_DAC_READ_SEARCH", "network namespaces and programs of other users' processes"},
    {CAP_NET_BROADCAST, "CAP_NET_BROADCAST", "hearing of addresses that change inside pods"},
    {CAP_NET_ADMIN, "CAP_NET_ADMIN", "attaching programs to interfaces and cgroups"},
    {CAP_SYS_PTRACE, "CAP_SYS_PTRACE", "network namespaces by /proc/PID/ns/net"},
    {CAP_SYS_NICE, "CAP_SYS_NICE", "a change that does not wait for who keeps a CPU busy"},
    {CAP_SYS_ADMIN, "CAP_SYS_ADMIN", "entering network namespaces; asking the kernel for what is attached, by number"},
    {CAP_PERFMON, "CAP_PERFMON", "programs that see processes"},
    {CAP_BPF, "CAP_BPF", "maps and programs"},
};

constexpr std::uint64_t Bit(int capability) { return std::uint64_t{1} << capability; }

std::uint64_t NeededMask() {
  std::uint64_t mask = 0;
  for (const Needed& needed : kNeeded) mask |= Bit(needed.number);
  return mask;
}

using CapabilityData = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

StatusOr<CapabilityData> ReadCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  CapabilityData data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return ErrnoError(errno, "capget");
  return data;
}

std::uint64_t Effective(const CapabilityData& data) {
  return data[0].effective | static_cast<std::uint64_t>(data[1].effective) << 32;
}

// The calls of a kind that no part of the agent makes. Names that this architecture does not have are left out.
constexpr const char* kRefusedCalls[] = {
    // other programs, other processes
    "execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    // mounts and roots
    "mount", "umount", "umount2", "move_mount", "open_tree", "fsopen", "fsmount", "fsconfig", "fspick", "mount_setattr",
    "pivot_root", "chroot", "unshare", "quotactl", "quotactl_fd", "swapon", "swapoff", "open_by_handle_at",
    "name_to_handle_at",
    // the kernel itself
    "init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "syslog", "acct",
    "nfsservctl", "lookup_dcookie",
    // clocks
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex", "stime",
    // who it is
    "setuid", "setuid32", "setgid", "setgid32", "setreuid", "setregid", "setresuid", "setresgid", "setgroups",
    "setfsuid", "setfsgid", "sethostname", "setdomainname",
    // keys, raw I/O and what was a way out before
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

int AddRules(scmp_filter_ctx filter) {
  const auto refuse = static_cast<std::uint32_t>(SCMP_ACT_ERRNO(EPERM));
  for (const char* const name : kRefusedCalls) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number == __NR_SCMP_ERROR) continue;
    if (const int rc = seccomp_rule_add(filter, refuse, number, 0); rc != 0 && rc != -EDOM) return rc;
  }
  // Flags of clone3 lie in memory, where a filter cannot look: libc takes clone instead.
  if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0); rc != 0) return rc;
  for (const int flag : kNamespaceFlags) {
    const auto bit = static_cast<scmp_datum_t>(static_cast<unsigned int>(flag));
    const scmp_arg_cmp has_flag = SCMP_A0_64(SCMP_CMP_MASKED_EQ, bit, bit);
    if (const int rc = seccomp_rule_add(filter, refuse, SCMP_SYS(clone), 1, has_flag); rc != 0) return rc;
  }
  const scmp_arg_cmp is_not_net = SCMP_A1_32(SCMP_CMP_NE, static_cast<std::uint32_t>(CLONE_NEWNET));
  if (const int rc = seccomp_rule_add(filter, refuse, SCMP_SYS(setns), 1, is_not_net); rc != 0) return rc;
  for (int family = 0; family < kMostAddressFamilies; family++) {
    if (IsAddressFamilyUsed(family)) continue;
    const scmp_arg_cmp is_family = SCMP_A0_32(SCMP_CMP_EQ, static_cast<std::uint32_t>(family));
    if (const int rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, is_family); rc != 0)
      return rc;
  }
  const scmp_arg_cmp is_beyond = SCMP_A0_32(SCMP_CMP_GE, static_cast<std::uint32_t>(kMostAddressFamilies));
  return seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, is_beyond);
}

}  // namespace

const std::vector<Right>& NeededRights() {
  static const auto* const rights = [] {
    auto* all = new std::vector<Right>();
    for (const Needed& needed : kNeeded) all->push_back({needed.name, needed.use});
    return all;
  }();
  return *rights;
}

Status GiveUpOtherRights() {
  Status status = OkStatus();
  const std::uint64_t needed = NeededMask();
  // While there is still the right to change it.
  for (int capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; capability++) {
    if ((needed & Bit(capability)) != 0 || prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 0) continue;
    if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0) {
      status.Update(ErrnoError(errno, "drop capability {} from the bounding set", capability));
    }
  }
  if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) {
    status.Update(ErrnoError(errno, "clear the ambient capabilities"));
  }
  SL_ASSIGN_OR_RETURN(CapabilityData data, ReadCapabilities());
  for (std::size_t word = 0; word < data.size(); word++) {
    const auto mask = static_cast<std::uint32_t>(needed >> (32 * word));
    data[word].effective &= mask;
    data[word].permitted &= mask;
    data[word].inheritable = 0;
  }
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  if (syscall(SYS_capset, &header, data.data()) != 0) status.Update(ErrnoError(errno, "capset"));
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) status.Update(ErrnoError(errno, "no new privileges"));
  return status;
}

Status RefuseSystemCalls() {
  const std::unique_ptr<void, void (*)(scmp_filter_ctx)> filter(seccomp_init(SCMP_ACT_ALLOW), seccomp_release);
  if (filter == nullptr) return MakeError(absl::StatusCode::kInternal, "system call filter: cannot be made");
  int rc = AddRules(filter.get());
  // A tree instead of a list: a call costs a few comparisons and not a hundred.
  if (rc == 0) rc = seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2);
  if (rc == 0) rc = seccomp_load(filter.get());
  return rc == 0 ? OkStatus() : ErrnoError(rc, "system call filter");
}

std::vector<Right> HeldRights() {
  std::vector<Right> held;
  const auto data = ReadCapabilities();
  if (!data.ok()) return held;
  for (int capability = 0; capability < 64; capability++) {
    if ((Effective(*data) & Bit(capability)) == 0) continue;
    const auto* const needed = std::find_if(std::begin(kNeeded), std::end(kNeeded),
                                            [&](const Needed& one) { return one.number == capability; });
    if (needed != std::end(kNeeded)) {
      held.push_back({needed->name, needed->use});
    } else {
      held.push_back({fmt::format("capability {}", capability), "nothing: it could not be given up"});
    }
  }
  return held;
}

std::vector<std::string> Confinement() {
  std::vector<std::string> on;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) on.emplace_back("no new privileges");
  if (prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2) on.emplace_back("system call filter");
  return on;
}

}  // namespace sluice
