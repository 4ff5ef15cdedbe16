#include <sched.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "perf/own_directory.h"
#include "perf/rate/generator.h"
#include "tests/support/command.h"

namespace sluice::perf {
namespace {

std::string Program() { return OwnDirectory() + "/sluice-traffic"; }

std::string HexOf(const perf_load& load) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&load);
  std::string hex;
  for (std::size_t i = 0; i < sizeof(load); ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

// DPDK starts once in a process and keeps its CPU, hence the child.
class Dpdk : public Generator {
 public:
  explicit Dpdk(std::string port) : port_(std::move(port)) {}

  StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) override {
    // DPDK waits for a thread that it starts on this CPU, and never for long enough to let it run with this priority.
    const sched_param none{};
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    SL_ASSIGN_OR_RETURN(const auto result,
                        test::RunCommand({Program(), "generate", "--port", port_, "--load", HexOf(load), "--count",
                                          std::to_string(packets), "--json"}));
    const std::size_t begin = result.output.find("{\n");  // behind what libraries say
    const auto json =
        nlohmann::json::parse(result.output.substr(std::min(begin, result.output.size())), nullptr, false);
    if (result.exit_code != 0 || !json.is_object() || json["sent"]["packets"] != packets || json["dropped"] != 0)
      return MakeError(absl::StatusCode::kInternal, "sluice-traffic, {} packets by {}: exit code {}: {}", packets,
                       port_, result.exit_code, result.output);
    return std::uint64_t{0};
  }

 private:
  const std::string port_;
};

}  // namespace

StatusOr<std::unique_ptr<Generator>> MakeDpdk(const std::string& driver) {
  return std::make_unique<Dpdk>(driver + "0,iface=eth0");
}

bool HasDpdk() { return access(Program().c_str(), X_OK) == 0; }

}  // namespace sluice::perf
