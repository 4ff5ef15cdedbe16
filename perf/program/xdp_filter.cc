#include "perf/program/xdp_filter.h"

#include <arpa/inet.h>
#include <glob.h>
#include <linux/bpf.h>

#include <fstream>
#include <memory>

#include "kernel/bpf/map.h"
#include "kernel/bpf/system.h"
#include "kernel/bpf/testing/program_set.h"
#include "perf/net/allow.h"
#include "perf/program/floors.h"
#include "perf/program/frame.h"
#include "perf/rate/xdp_filter.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kFilterPackets = 1000000;
constexpr char kNeverAllowed[] = "203.0.113.1", kPod[] = "10.0.0.2";

// Searches the directories where distributions install libxdp's objects.
StatusOr<std::string> ObjectBytes(const std::string& object) {
  glob_t found{};
  const std::string pattern = fmt::format("/usr/{{lib/*,lib,lib64}}/bpf/{}.o", object);
  std::string path;
  if (glob(pattern.c_str(), GLOB_BRACE, nullptr, &found) == 0) path = found.gl_pathv[0];
  globfree(&found);
  if (path.empty()) return MakeError(absl::StatusCode::kNotFound, "xdp-filter (xdp-tools) is not installed");
  std::ifstream file(path, std::ios::binary);
  std::string bytes(std::istreambuf_iterator<char>(file), {});
  return file ? StatusOr<std::string>(std::move(bytes)) : ErrnoError(errno, "read {}", path);
}

StatusOr<Cost> Measure(const Runner& runner, int program_fd, const std::string& source, std::uint32_t expected) {
  SL_ASSIGN_OR_RETURN(const auto from, policy::Address::Parse(source));
  SL_ASSIGN_OR_RETURN(const auto to, policy::Address::Parse(kPod));
  ProgramRun run;
  run.program_fd = program_fd;
  run.xdp = true;
  run.input.frame = MakeFrame({.source = from, .destination = to, .flags = kSyn});
  run.input.repeat = kFilterPackets;
  SL_ASSIGN_OR_RETURN(const auto output, runner.Run(run));
  if (output.verdict == expected) return output.cost;
  return MakeError(absl::StatusCode::kInternal, "wrong verdict for {}: returned {}, expected {}", source,
                   output.verdict, expected);
}

}  // namespace

StatusOr<Measurement> XdpFilterPeer(const std::string& name, const Runner& runner) {
  const std::string program = name == kXdpFilter ? "xdpfilt_alw_all" : "xdpfilt_alw_ip";
  SL_ASSIGN_OR_RETURN(const std::string bytes, ObjectBytes(program));
  SL_ASSIGN_OR_RETURN(auto loaded, bpf::ProgramSet::Load(program, bytes));
  const auto object = std::make_shared<bpf::ProgramSet>(std::move(loaded));
  SL_ASSIGN_OR_RETURN(const int cpus, bpf::PossibleCpus());
  const bpf::PerCpuMap<__be32, __u64> sources(object->map_fd("filter_ipv4"), "filter_ipv4", cpus);
  for (int i = 0; i < kXdpFilterAddresses; ++i) {
    const std::string address = ListedAddress(i);
    __be32 key = 0;
    inet_pton(AF_INET, address.c_str(), &key);
    SL_RETURN_IF_ERROR(sources.Put(key, kXdpFilterMatchesSource));
  }
  const int fd = object->program_fd(program);
  SL_RETURN_IF_ERROR(Measure(runner, fd, kNeverAllowed, XDP_PASS).status());
  Measurement one;
  one.row = {.name = name, .against = {BareFloor(true)}};
  one.packets = kFilterPackets;
  one.measure = [&runner, object, fd] { return Measure(runner, fd, kFirstListed, XDP_DROP); };
  return one;
}

}  // namespace sluice::perf
