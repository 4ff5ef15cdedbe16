#include "telemetry/process/process_instance.h"

#include <fmt/format.h>

#include <cctype>

namespace sluice::telemetry {
namespace {

constexpr std::size_t kIdLength = 64;

// A run of exactly 64 digits. A container's monitor (conmon) has its own scope with the container's id in its name.
std::string IdIn(std::string_view part) {
  if (part.find("conmon") != std::string_view::npos) return {};
  std::size_t begin = 0;
  for (std::size_t at = 0; at <= part.size(); ++at) {
    if (at < part.size() && std::isxdigit(static_cast<unsigned char>(part[at])) != 0) continue;
    if (at - begin == kIdLength) return std::string(part.substr(begin, kIdLength));
    begin = at + 1;
  }
  return {};
}

}  // namespace

std::string ContainerId(const std::string& cgroup_path) {
  std::string_view rest = cgroup_path;
  while (!rest.empty()) {
    const std::size_t slash = rest.rfind('/');
    if (std::string id = IdIn(rest.substr(slash == std::string_view::npos ? 0 : slash + 1)); !id.empty()) return id;
    rest = slash == std::string_view::npos ? std::string_view() : rest.substr(0, slash);
  }
  return {};
}

std::string ExecId(const std::string& node, const ProcessInstance& instance) {
  return fmt::format("{}:{}:{}", node, instance.pid, instance.start_ns);
}

}  // namespace sluice::telemetry
