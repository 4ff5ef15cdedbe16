#include "ctrl/rights/rights.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <map>
#include <span>
#include <sstream>

#include "base/capability.h"

namespace sluice::rights {
namespace {

struct Needed {
  int number;
  const char* use;
};

constexpr Needed kOfAgent[] = {
    {CAP_DAC_READ_SEARCH, "network namespaces and programs of other users' processes"},
    {CAP_NET_BROADCAST, "hearing of addresses that change inside pods"},
    {CAP_NET_ADMIN, "attaching programs to interfaces and cgroups"},
    {CAP_SYS_PTRACE, "network namespaces and file systems of workloads by /proc/PID/ns/net and /proc/PID/root"},
    {CAP_SYS_NICE, "changes that do not wait for busy CPUs"},
    {CAP_SYSLOG, "names of the kernel's functions in stack traces: addresses in /proc/kallsyms"},
    {CAP_PERFMON, "programs that see processes"},
    {CAP_BPF, "maps and programs"},
};

constexpr Needed kOfHelper[] = {
    {CAP_SYS_ADMIN,
     "netlink sockets inside network namespaces; what is attached, by number; events of kprobes, uprobes and "
     "tracepoints"},
    {CAP_KILL, "ending processes of any user, when a Response says so"},
};

std::span<const Needed> NeededBy(Whose whose) {
  if (whose == Whose::kHelper) return kOfHelper;
  return kOfAgent;
}

constexpr std::uint64_t Bit(int capability) { return std::uint64_t{1} << capability; }

using CapabilityData = std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3>;

StatusOr<CapabilityData> ReadCapabilities() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  CapabilityData data{};
  if (syscall(SYS_capget, &header, data.data()) != 0) return ErrnoError(errno, "capget");
  return data;
}

}  // namespace

Status GiveUpOtherRights(Whose whose) {
  Status status = OkStatus();
  std::uint64_t needed = 0;
  for (const Needed& one : NeededBy(whose)) needed |= Bit(one.number);
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

StatusOr<Held> ReadHeld(pid_t pid, Whose whose) {
  const std::string path = fmt::format("/proc/{}/status", pid);
  std::ifstream file(path);
  std::map<std::string, std::string> fields;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string name, value;
    if (words >> name >> value) fields[name] = value;
  }
  if (!fields.contains("CapEff:")) return MakeError(absl::StatusCode::kNotFound, "{} cannot be read", path);
  const std::uint64_t effective = std::stoull("0" + fields["CapEff:"], nullptr, 16);
  Held held;
  for (int capability = 0; capability < 64; capability++) {
    if ((effective & Bit(capability)) == 0) continue;
    const auto needed = NeededBy(whose);
    const auto one = std::ranges::find(needed, capability, &Needed::number);
    held.rights.push_back(
        {CapabilityName(capability), one == needed.end() ? "nothing: it could not be given up" : one->use});
  }
  if (fields["NoNewPrivs:"] == "1") held.confinement.emplace_back("no new privileges");
  if (fields["Seccomp:"] == "2") held.confinement.emplace_back("system call filter");
  return held;
}

}  // namespace sluice::rights
