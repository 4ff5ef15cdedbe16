#include "perf/network.h"

#include <net/if.h>
#include <sched.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace sluice::perf {

Status EnterOwnNetwork() {
  if (unshare(CLONE_NEWNET) != 0) return ErrnoError(errno, "make a network namespace (needs CAP_SYS_ADMIN, or root)");
  return RunIp("link set lo up\n");
}

Status RunIp(const std::string& lines) {
  FILE* const ip = popen("ip -batch -", "w");
  if (ip == nullptr) return ErrnoError(errno, "start ip");
  const bool written = fwrite(lines.data(), 1, lines.size(), ip) == lines.size();
  if (const int status = pclose(ip); status != 0 || !written)
    return MakeError(absl::StatusCode::kInternal, "`ip -batch` (needs CAP_NET_ADMIN and iproute2) ended with {} at: {}",
                     status, lines.substr(0, 200));
  return OkStatus();
}

StatusOr<std::uint32_t> InterfaceIndex(const std::string& name) {
  const std::uint32_t index = if_nametoindex(name.c_str());
  if (index == 0) return ErrnoError(errno, "find the interface {}", name);
  return index;
}

void NameNamespaces() { setenv("SLUICE_TEST_NETNS_PREFIX", "slbench", 0); }

}  // namespace sluice::perf
