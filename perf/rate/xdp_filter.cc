#include "perf/rate/xdp_filter.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>

#include <cerrno>

#include "base/fd.h"
#include "perf/net/allow.h"

namespace sluice::perf {
namespace {

constexpr char kDirectory[] = "/sys/fs/bpf/xdp-filter";

// Input for "bpftool batch": one "xdp-filter ip" for each address would take half a minute.
std::string Updates(int listed) {
  std::string lines;
  for (int i = 0; i < listed; ++i) {
    std::string key = ListedAddress(i);
    for (char& c : key)
      if (c == '.') c = ' ';
    lines += fmt::format("map update pinned {}/filter_ipv4 key {} value {} 0 0 0 0 0 0 0\n", kDirectory, key,
                         kXdpFilterMatchesSource);
  }
  return lines;
}

}  // namespace

Status XdpFilter(Topology* topology, int listed) {
  const std::string& uplink = topology->sender().host_interface;
  return topology->node().Run([&]() -> Status {
    if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("bpf", "/sys/fs/bpf", "bpf", 0, nullptr) != 0)
      return ErrnoError(errno, "mount a BPF file system for xdp-filter");
    SL_RETURN_IF_ERROR(test::RunChecked({"xdp-filter", "load", uplink, "-m", "native", "-f", "ipv4", "-p", "allow"}));
    SL_RETURN_IF_ERROR(test::RunChecked({"bpftool", "batch", "file", "-"}, Updates(listed)));
    Fd mounts(open("/proc/thread-self/ns/mnt", O_RDONLY | O_CLOEXEC));
    if (!mounts.valid()) return ErrnoError(errno, "open the mount namespace of xdp-filter");
    topology->Keep(std::move(mounts));  // its pins there are in use
    return OkStatus();
  });
}

}  // namespace sluice::perf
