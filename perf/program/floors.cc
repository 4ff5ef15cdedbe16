#include "perf/program/floors.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "perf/program/frame.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kPackets = 1000000;  // the shortest programs need the most
constexpr std::uint32_t kRotateFlows = 100000;

const char* Prefix(bool xdp) { return xdp ? "floor/xdp" : "floor/tc"; }

StatusOr<double> Measure(const Runner& runner, const ProgramRun& run) {
  SL_ASSIGN_OR_RETURN(const auto output, runner.Run(run));
  const auto expected = static_cast<std::uint32_t>(run.xdp ? static_cast<int>(XDP_DROP) : TC_ACT_SHOT);
  if (output.verdict != expected)
    return MakeError(absl::StatusCode::kInternal, "returned {}, expected {}", output.verdict, expected);
  return output.nanoseconds;
}

ProgramRun RunOf(const Runner& runner, const std::string& program, bool xdp, std::uint32_t flows) {
  ProgramRun run;
  run.program_fd = runner.floor_fd((xdp ? "xdp_" : "tc_") + program);
  run.xdp = xdp;
  run.flows = flows;
  const policy::Address source = policy::Address::Parse("10.1.0.1").value();
  const policy::Address destination = policy::Address::Parse("10.0.0.2").value();
  run.input.frame = MakeFrame({.source = source,
                               .destination = destination,
                               .source_port = PERF_FIRST_CLIENT_PORT,
                               .destination_port = PERF_FIRST_SERVICE_PORT});
  return run;
}

Measurement Floor(const Runner& runner, std::string name, const std::string& program, bool xdp, std::uint32_t flows) {
  Measurement floor;
  floor.row.name = std::move(name);
  floor.packets = kPackets;
  floor.measure = [&runner, run = RunOf(runner, program, xdp, flows)]() mutable -> StatusOr<double> {
    run.input.repeat = run.flows;  // fills the hash
    run.random = false;
    SL_RETURN_IF_ERROR(Measure(runner, run).status());
    run.input.repeat = kPackets;
    run.random = true;
    return Measure(runner, run);
  };
  return floor;
}

}  // namespace

std::string BareFloor(bool xdp) { return fmt::format("{}/bare", Prefix(xdp)); }
std::string GeneratorRow(bool xdp) { return fmt::format("{}/rotate", Prefix(xdp)); }
std::string HashFloor(bool xdp, std::uint32_t flows) { return fmt::format("{}/hash/flows:{}", Prefix(xdp), flows); }

std::vector<Measurement> Floors(const Runner& runner, const std::vector<std::uint32_t>& flows) {
  std::vector<Measurement> floors;
  for (const bool xdp : {true, false}) {
    floors.push_back(Floor(runner, BareFloor(xdp), "bare", xdp, 1));
    floors.push_back(Floor(runner, GeneratorRow(xdp), "bare", xdp, kRotateFlows));
    floors.push_back(Floor(runner, fmt::format("{}/parse", Prefix(xdp)), "parse", xdp, 1));
    for (const std::uint32_t count : flows) floors.push_back(Floor(runner, HashFloor(xdp, count), "hash", xdp, count));
    for (std::size_t i = floors.size() - flows.size() - 2; i < floors.size(); ++i)
      floors[i].row.against.push_back(BareFloor(xdp));
  }
  return floors;
}

}  // namespace sluice::perf
