#include "perf/rate/xdp_filter.h"

#include <unistd.h>

#include "perf/net/allow.h"

namespace sluice::perf {
namespace {

constexpr char kDirectory[] = "/sys/fs/bpf/xdp-filter";

// For "bpftool batch": one "xdp-filter ip" an address would take half a minute.
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

bool XdpFilterIsInUse() { return access(kDirectory, F_OK) == 0; }

Status XdpFilter(Lane* lane, int listed) {
  const std::string& uplink = lane->sender().host_interface;
  SL_RETURN_IF_ERROR(lane->Command({"xdp-filter", "load", uplink, "-m", "native", "-f", "ipv4", "-p", "allow"}));
  return lane->Command({"bpftool", "batch", "file", "-"}, Updates(listed));
}

Status UnloadXdpFilter(const Lane& lane) {
  return lane.Command({"xdp-filter", "unload", lane.sender().host_interface});
}

}  // namespace sluice::perf
