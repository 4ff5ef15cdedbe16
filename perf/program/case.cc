#include "perf/program/case.h"

#include <fmt/format.h>

namespace sluice::perf {
namespace {

constexpr std::uint32_t kNewFlows = 100000;           // fit the flow table
constexpr std::uint32_t kFlowsOverTheTable = 900000;  // do not fit

const char* TrafficName(Traffic traffic) {
  switch (traffic) {
    case Traffic::kDenied:
      return "denied";
    case Traffic::kNew:
      return "new";
    case Traffic::kNewIntoFull:
      return "new-into-full";
    case Traffic::kEstablished:
      return "established";
    case Traffic::kReply:
      return "reply";
  }
  return "?";
}

std::string ScenarioName(const ScenarioSize& world) {
  return world.cidrs > 0 ? fmt::format("cidrs:{}", world.cidrs) : fmt::format("rules:{}", world.rules);
}

}  // namespace

const char* ProgramName(Hook hook) {
  switch (hook) {
    case Hook::kTcFromPod:
      return "tc_from_pod";
    case Hook::kTcToPod:
      return "tc_to_pod";
    case Hook::kXdpUplink:
      return "xdp_uplink";
  }
  return "?";
}

std::string Case::Name() const {
  return fmt::format("{}/{}/{}/flows:{}/{}", ProgramName(hook), v6 ? "v6" : "v4", TrafficName(traffic), flows,
                     ScenarioName(world));
}

TableSize Case::fixture() const {
  if (!is_answered() || flows < kManyFlows) return {.world = world};
  return {.world = world, .standing_flows = flows, .pod_opened = is_opened_by_pod()};
}

std::vector<Case> AllCases() {
  std::vector<Case> cases;
  constexpr Traffic kRepeated[] = {Traffic::kDenied, Traffic::kEstablished, Traffic::kReply};
  constexpr ScenarioSize kSmall = {.rules = 1};
  constexpr ScenarioSize kOthers[] = {{.rules = 100}, {.rules = 10000}, {.cidrs = 1}, {.cidrs = 100}, {.cidrs = 10000}};
  constexpr ScenarioSize kLargest[] = {{.rules = kLargeScenario}, {.cidrs = kLargeScenario}};
  for (const Hook hook : {Hook::kXdpUplink, Hook::kTcToPod, Hook::kTcFromPod}) {
    for (const bool v6 : {false, true}) {
      for (const Traffic traffic : kRepeated)
        for (const std::uint32_t flows : {1U, 1000U, 100000U}) cases.push_back({hook, v6, traffic, flows, kSmall});
      if (!v6)
        for (const Traffic traffic : kRepeated) cases.push_back({hook, v6, traffic, kManyFlows, kSmall});
      cases.push_back({hook, v6, Traffic::kNew, kNewFlows, kSmall});
      cases.push_back({hook, v6, Traffic::kNewIntoFull, kFlowsOverTheTable, kSmall});
      for (const ScenarioSize& world : kOthers) {
        for (const Traffic traffic : kRepeated) cases.push_back({hook, v6, traffic, 1, world});
        cases.push_back({hook, v6, Traffic::kNew, kNewFlows, world});
      }
      if (hook == Hook::kTcFromPod) continue;  // the rows above show the cost of both directions; saves time
      for (const ScenarioSize& world : kLargest) {
        for (const Traffic traffic : {Traffic::kDenied, Traffic::kEstablished})
          cases.push_back({hook, v6, traffic, 1, world});
        cases.push_back({hook, v6, Traffic::kNew, kNewFlows, world});
      }
    }
  }
  return cases;
}

}  // namespace sluice::perf
