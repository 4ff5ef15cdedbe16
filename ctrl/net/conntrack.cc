#include "ctrl/net/conntrack.h"

#include <cstdint>
#include <fstream>
#include <optional>

namespace sluice::net {
namespace {

// These files show the namespace of who opens them.
std::optional<std::uint64_t> ReadNumber(const char* path) {
  std::ifstream file(path);
  std::uint64_t number = 0;
  return file >> number ? std::optional(number) : std::nullopt;
}

}  // namespace

bool TracksTcpWindows() {
  const auto entries = ReadNumber("/proc/sys/net/netfilter/nf_conntrack_count");
  const auto liberal = ReadNumber("/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal");
  return entries.value_or(0) > 0 && liberal.value_or(0) == 0;
}

}  // namespace sluice::net
