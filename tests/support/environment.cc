#include "tests/support/environment.h"

#include <linux/bpf.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "base/fd.h"
#include "base/status.h"
#include "testbed/command.h"

namespace sluice::test {

std::string MissingNetNsRight() {
  int error = 0;
  std::thread([&] { error = ::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 ? 0 : errno; }).join();
  if (error == 0) return {};
  return Message(ErrnoError(error, "missing right: network namespaces (CAP_SYS_ADMIN); unshare"));
}

std::string MissingBpfRight() {
  bpf_attr attr{};
  attr.map_type = BPF_MAP_TYPE_ARRAY;
  attr.key_size = attr.value_size = sizeof(__u32);
  attr.max_entries = 1;
  const Fd map(static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr))));
  if (map.valid()) return {};
  return Message(ErrnoError(errno, "missing right: BPF (CAP_BPF, CAP_NET_ADMIN); create a map"));
}

std::string MissingPromtool() {
  const auto version = RunCommand({"promtool", "--version"});
  return version.ok() && version->exit_code == 0 ? "" : "promtool (package prometheus) is not installed";
}

bool SkippingIsForbidden() {
  const char* value = std::getenv("SLUICE_REQUIRE_BPF");
  return value != nullptr && std::string_view(value) == "1";
}

}  // namespace sluice::test
