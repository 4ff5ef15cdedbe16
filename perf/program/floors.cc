#include "perf/program/floors.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "perf/program/frame.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kFloorPackets = 1000000;  // the shortest programs need the most
constexpr std::uint32_t kRotateFlows = 100000;
constexpr std::uint32_t kSlotFlows = 100000;

const char* Prefix(bool xdp) { return xdp ? "floor/xdp" : "floor/tc"; }

StatusOr<Cost> Measure(const Runner& runner, const ProgramRun& run) {
  SL_ASSIGN_OR_RETURN(const auto output, runner.Run(run));
  const auto expected = static_cast<std::uint32_t>(run.xdp ? static_cast<int>(XDP_DROP) : TC_ACT_SHOT);
  if (output.verdict != expected)
    return MakeError(absl::StatusCode::kInternal, "returned {}, expected {}", output.verdict, expected);
  return output.cost;
}

struct FloorCase {
  std::string name;
  std::string program;
  bool xdp = false;
  std::uint32_t flows = 1;
};

FloorCase HashFloorCase(bool xdp, std::uint32_t flows) { return {HashFloor(xdp, flows), "hash", xdp, flows}; }

std::vector<FloorCase> AllFloors(const std::vector<std::uint32_t>& flows) {
  std::vector<FloorCase> floors;
  for (const bool xdp : {true, false}) {
    floors.push_back({BareFloor(xdp), "bare", xdp});
    floors.push_back({GeneratorRow(xdp), "bare", xdp, kRotateFlows});
    floors.push_back({fmt::format("{}/parse", Prefix(xdp)), "parse", xdp});
    for (const std::uint32_t count : flows) floors.push_back(HashFloorCase(xdp, count));
  }
  return floors;
}

std::vector<FloorCase> AllSlotFloors() {
  std::vector<FloorCase> floors;
  for (const auto& [slot, program] : {std::pair{"280", "slot280"},
                                      {"280/busy", "busy_slot280"},
                                      {"256/busy", "busy_slot256"},
                                      {"128/busy", "busy_slot128"},
                                      {"64/busy", "busy_slot64"},
                                      {"280/new", "new_slot280"},
                                      {"256/new", "new_slot256"},
                                      {"128/new", "new_slot128"}})
    floors.push_back({fmt::format("{}{}/flows:{}", kSlotFloors, slot, kSlotFlows), program, true, kSlotFlows});
  return floors;
}

std::vector<std::string> NamesOf(const std::vector<FloorCase>& floors) {
  std::vector<std::string> names;
  for (const FloorCase& floor : floors) names.push_back(floor.name);
  return names;
}

ProgramRun RunOf(const Runner& runner, const FloorCase& floor) {
  ProgramRun run;
  run.program_fd = runner.floor_fd((floor.xdp ? "xdp_" : "tc_") + floor.program);
  run.xdp = floor.xdp;
  run.flows = floor.flows;
  const policy::Address source = policy::Address::Parse("10.1.0.1").value();
  const policy::Address destination = policy::Address::Parse("10.0.0.2").value();
  run.input.frame = MakeFrame({.source = source,
                               .destination = destination,
                               .source_port = PERF_FIRST_CLIENT_PORT,
                               .destination_port = PERF_FIRST_SERVICE_PORT});
  return run;
}

Measurement MeasurementOf(const Runner& runner, const FloorCase& floor) {
  Measurement one;
  one.row.name = floor.name;
  if (floor.name != BareFloor(floor.xdp)) one.row.against.push_back(BareFloor(floor.xdp));
  one.packets = kFloorPackets;
  one.measure = [&runner, run = RunOf(runner, floor)]() mutable -> StatusOr<Cost> {
    run.input.repeat = run.flows;  // fills the hash
    run.random = false;
    SL_RETURN_IF_ERROR(Measure(runner, run).status());
    run.input.repeat = kFloorPackets;
    run.random = true;
    return Measure(runner, run);
  };
  return one;
}

std::vector<Measurement> MeasurementsOf(const Runner& runner, const std::vector<FloorCase>& floors) {
  std::vector<Measurement> measurements;
  for (const FloorCase& floor : floors) measurements.push_back(MeasurementOf(runner, floor));
  return measurements;
}

}  // namespace

std::string BareFloor(bool xdp) { return fmt::format("{}/bare", Prefix(xdp)); }
std::string GeneratorRow(bool xdp) { return fmt::format("{}/rotate", Prefix(xdp)); }
std::string HashFloor(bool xdp, std::uint32_t flows) { return fmt::format("{}/hash/flows:{}", Prefix(xdp), flows); }

std::vector<std::string> FloorNames(const std::vector<std::uint32_t>& flows) { return NamesOf(AllFloors(flows)); }
std::vector<std::string> SlotFloorNames() { return NamesOf(AllSlotFloors()); }

std::vector<Measurement> HashFloors(const Runner& runner, std::uint32_t flows) {
  return {MeasurementOf(runner, HashFloorCase(true, flows)), MeasurementOf(runner, HashFloorCase(false, flows))};
}

std::vector<Measurement> Floors(const Runner& runner, const std::vector<std::uint32_t>& flows) {
  return MeasurementsOf(runner, AllFloors(flows));
}

std::vector<Measurement> SlotFloors(const Runner& runner) { return MeasurementsOf(runner, AllSlotFloors()); }

}  // namespace sluice::perf
