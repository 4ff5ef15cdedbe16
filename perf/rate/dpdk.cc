#include "perf/rate/dpdk.h"

#include <sched.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "perf/cpu.h"
#include "perf/own_directory.h"
#include "perf/rate/generator.h"

namespace sluice::perf {
namespace {

std::string Program() { return OwnDirectory() + "/sluice-traffic"; }

std::string HexOf(const perf_load& load) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&load);
  std::string hex;
  for (std::size_t i = 0; i < sizeof(load); ++i) hex += fmt::format("{:02x}", bytes[i]);
  return hex;
}

// The JSON line that it printed after the libraries' messages, when it succeeded.
StatusOr<nlohmann::json> JsonOf(const test::CommandResult& result) {
  const std::size_t begin = result.output.find("{\n");
  if (result.exit_code == 0 && begin != std::string::npos)
    if (auto json = nlohmann::json::parse(result.output.substr(begin), nullptr, false); json.is_object()) return json;
  return MakeError(absl::StatusCode::kInternal, "sluice-traffic: exit code {}: {}", result.exit_code, result.output);
}

// A child process, because DPDK starts only once in a process and keeps its CPU.
class Dpdk : public Generator {
 public:
  explicit Dpdk(std::string port) : port_(std::move(port)) {}

  StatusOr<std::uint64_t> Send(const perf_load& load, std::uint32_t packets) override {
    // DPDK busy-waits for a thread that it starts on this CPU; with real-time priority that thread would never run.
    const sched_param none{};
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    SL_ASSIGN_OR_RETURN(const auto result,
                        test::RunCommand({Program(), "generate", "--port", port_, "--load", HexOf(load), "--count",
                                          std::to_string(packets), "--json"}));
    SL_ASSIGN_OR_RETURN(const auto json, JsonOf(result));
    const std::uint64_t sent = json["sent"]["packets"], dropped = json["dropped"];
    if (sent == packets && dropped == 0) return std::uint64_t{0};
    return MakeError(absl::StatusCode::kInternal, "{} sent {} packets and dropped {}, of {}", port_, sent, dropped,
                     packets);
  }

 private:
  const std::string port_;
};

}  // namespace

StatusOr<std::unique_ptr<Generator>> MakeDpdk(const std::string& driver) {
  return std::make_unique<Dpdk>(driver + "0,iface=eth0");
}

bool HasDpdk() { return access(Program().c_str(), X_OK) == 0; }

StatusOr<DpdkSink> DpdkSink::Start(const std::string& interface) {
  SL_ASSIGN_OR_RETURN(const int cpu, OtherCpu());
  SL_ASSIGN_OR_RETURN(
      auto child, test::ChildProcess::Start({Program(), "sink", "--port", "net_af_xdp0,iface=" + interface, "--cpus",
                                             std::to_string(cpu), "--json"}));
  SL_RETURN_IF_ERROR(child.WaitForOutput("receives at").status());
  GoFirst(child.pid());
  return DpdkSink(std::move(child));
}

StatusOr<DpdkSink::Taken> DpdkSink::Finish() {
  SL_RETURN_IF_ERROR(child_.Signal(SIGINT));
  SL_ASSIGN_OR_RETURN(const auto result, child_.Wait());
  SL_ASSIGN_OR_RETURN(const auto json, JsonOf(result));
  return Taken{.packets = json["received"]["packets"], .seconds = json["received"]["seconds"]};
}

}  // namespace sluice::perf
