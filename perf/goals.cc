#include "perf/goals.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "perf/report.h"

namespace sluice::perf {
namespace {

constexpr auto kAtMost = Goal::Is::kAtMost;
constexpr auto kAtLeast = Goal::Is::kAtLeast;
constexpr char kProgram[] = "program", kRate[] = "rate", kTcp[] = "tcp", kExec[] = "exec", kUpdate[] = "update",
               kScale[] = "scale";
constexpr char kNoCilium[] = "Cilium's BPF objects are not in Debian, and building them needs its sources";

constexpr Goal kGoals[] = {
    // What one packet costs.
    {"established, hot, XDP / bare XDP_DROP",
     {kProgram, "xdp_uplink/v4/established/flows:1/rules:1"},
     {kProgram, "floor/xdp/bare"},
     kAtMost,
     3},
    {"established, hot, tc to the pod / bare tc return",
     {kProgram, "tc_to_pod/v4/established/flows:1/rules:1"},
     {kProgram, "floor/tc/bare"},
     kAtMost,
     3.5},
    {"established, hot, tc from the pod / bare tc return",
     {kProgram, "tc_from_pod/v4/established/flows:1/rules:1"},
     {kProgram, "floor/tc/bare"},
     kAtMost,
     3.5},
    {"established, tc / Cilium's objects",
     {kProgram, "tc_to_pod/v4/established/flows:1/rules:1"},
     {},
     kAtMost,
     0.3,
     kNoCilium},
    {"denied, hot, XDP / bare XDP_DROP",
     {kProgram, "xdp_uplink/v4/denied/flows:1/rules:1"},
     {kProgram, "floor/xdp/bare"},
     kAtMost,
     4.5},
    {"denied, hot, tc / bare tc return",
     {kProgram, "tc_to_pod/v4/denied/flows:1/rules:1"},
     {kProgram, "floor/tc/bare"},
     kAtMost,
     4.5},
    {"denied, hot, XDP / xdp-filter",
     {kProgram, "xdp_uplink/v4/denied/flows:1/rules:1"},
     {kProgram, "peer/xdp-filter"},
     kAtMost,
     0.9},
    {"random over 100 k flows, XDP / one cold look-up",
     {kProgram, "xdp_uplink/v4/established/flows:100000/rules:1"},
     {kProgram, "floor/xdp/hash/flows:100000"},
     kAtMost,
     1.5},
    {"random over 100 k flows, tc / one cold look-up",
     {kProgram, "tc_to_pod/v4/established/flows:100000/rules:1"},
     {kProgram, "floor/tc/hash/flows:100000"},
     kAtMost,
     1.5},
    {"10 to 100 k rules, same active flows",
     {kScale, "rules:100000/established"},
     {kScale, "rules:10/established"},
     kAtMost,
     1.1},
    {"new flow / established, XDP",
     {kProgram, "xdp_uplink/v4/new/flows:100000/rules:1"},
     {kProgram, "xdp_uplink/v4/established/flows:1/rules:1"},
     kAtMost,
     8},
    {"new flow / established, tc",
     {kProgram, "tc_to_pod/v4/new/flows:100000/rules:1"},
     {kProgram, "tc_to_pod/v4/established/flows:1/rules:1"},
     kAtMost,
     8},
    // Packet rates.
    {"XDP, established, 1 k flows / bare XDP_DROP",
     {kRate, "sluice/uplink/as-drop/flows:1000"},
     {kRate, "xdp/drop/bare"},
     kAtLeast,
     0.9},
    {"XDP, established, 100 k flows / bare XDP_DROP",
     {kRate, "sluice/uplink/as-drop/flows:100000"},
     {kRate, "xdp/drop/bare"},
     kAtLeast,
     0.4},
    {"XDP deny at 10 k addresses / nft netdev set",
     {kRate, "sluice/uplink/denied/pods:10000"},
     {kRate, "nft/netdev/drop/addresses:10000"},
     kAtLeast,
     3},
    {"XDP deny at 10 k CIDRs / nft interval set",
     {kRate, "sluice/uplink/denied/cidrs:10000"},
     {kRate, "nft/netdev/drop/cidrs:10000"},
     kAtLeast,
     5},
    {"XDP policy + devmap redirect / bare redirect",
     {kRate, "sluice/uplink/redirect/flows:1000"},
     {kRate, "xdp/redirect/bare"},
     kAtLeast,
     0.85},
    {"XDP policy + devmap redirect / nft conntrack + 10 k set",
     {kRate, "sluice/uplink/redirect/flows:1000"},
     {kRate, "nft/forward-ct/addresses:10000"},
     kAtLeast,
     6},
    {"pod to pod / bare redirect_peer",
     {kRate, "pods/sluice/redirect-peer/flows:1000"},
     {kRate, "pods/redirect-peer/bare"},
     kAtLeast,
     0.92},
    {"pod to pod / plain routing",
     {kRate, "pods/sluice/redirect-peer/flows:1000"},
     {kRate, "pods/kernel/forward/flows:1000"},
     kAtLeast,
     1.7},
    {"pod to pod / nft conntrack + 10 k set",
     {kRate, "pods/sluice/redirect-peer/flows:1000"},
     {kRate, "pods/nft/forward-ct/addresses:10000"},
     kAtLeast,
     3},
    {"drop events, every packet: thousand events read a second",
     {kRate, "sluice/uplink/denied/all-new/an-event-each/events-read"},
     {},
     kAtLeast,
     2000},
    {"drop events, every packet: lost",
     {kRate, "sluice/uplink/denied/all-new/an-event-each/events-lost"},
     {},
     kAtMost,
     0},
    {"drop events aggregated / none",
     {kRate, "sluice/uplink/denied/pods:10000/watched"},
     {kRate, "sluice/uplink/denied/pods:10000"},
     kAtLeast,
     0.97},
    // TCP with 10 k rules.
    {"TCP stream / plain routing",
     {kTcp, "sluice/rules:10000/stream Mbit/s"},
     {kTcp, "route/stream Mbit/s"},
     kAtLeast,
     1},
    {"TCP request/response / plain routing",
     {kTcp, "sluice/rules:10000/request/response a second"},
     {kTcp, "route/request/response a second"},
     kAtLeast,
     1},
    {"TCP connect/close / plain routing",
     {kTcp, "sluice/rules:10000/connect/close a second"},
     {kTcp, "route/connect/close a second"},
     kAtLeast,
     1},
    // Sensors.
    {"exec sensors, paired overhead on /bin/true, %", {kExec, "true/overhead/on"}, {}, kAtMost, 1},
    {"exec sensors, kernel time an event, ns", {kExec, "kernel-time/all"}, {}, kAtMost, 1500},
    {"exec sensors, events lost", {kExec, "lost/on"}, {}, kAtMost, 0},
    {"exec sensors, events lost with a slow reader", {kExec, "lost/slow-reader"}, {}, kAtMost, 0},
    // Control plane.
    {"load 100 k policy entries / nft -f of a 100 k set",
     {kScale, "load/policy-entries:100000"},
     {kScale, "load/nft-set:100000"},
     kAtMost,
     0.2},
    {"one rule, 10,000 workloads, 1,000 policies: until enforced, ms", {kUpdate, "enforced/one-rule"}, {}, kAtMost, 10},
    {"updates a second beside traffic", {kUpdate, "traffic/updates:1000/s/achieved"}, {}, kAtLeast, 1000},
    {"packets lost meanwhile", {kUpdate, "traffic/updates:1000/s/lost"}, {}, kAtMost, 0},
    {"idle agent, 100 workloads, MB resident", {kScale, "idle/workloads:100/resident"}, {}, kAtMost, 60},
    {"idle agent, 100 workloads, % of a core", {kScale, "idle/workloads:100/cpu"}, {}, kAtMost, 0.5},
};

const Row* Find(const Reports& reports, const RowName& name) {
  if (name.suite == nullptr) return nullptr;
  for (const auto& [suite, report] : reports)
    if (suite == name.suite) return FindRow(report, name.row);
  return nullptr;
}

struct Reached {
  std::optional<double> figure;
  std::string missing;  // why there is no figure
  bool met = false;
};

Reached Judge(const Goal& goal, const Reports& reports) {
  if (goal.why_not_here != nullptr) return {.missing = goal.why_not_here};
  const Row* const row = Find(reports, goal.figure);
  const Row* const unit = Find(reports, goal.unit);
  for (const auto& [name, found] : {std::pair(&goal.figure, row), std::pair(&goal.unit, unit)})
    if (name->suite != nullptr && found == nullptr)
      return {.missing = fmt::format("no row {} of suite {}", name->row, name->suite)};
  const Figures figures = FiguresOf(*row);
  double figure = goal.goal == 0 ? figures.max : figures.median;  // none at all means in no sample
  if (unit != nullptr) {
    const double divisor = FiguresOf(*unit).median;
    if (divisor <= 0) return {.missing = fmt::format("{} is not above 0", goal.unit.row)};
    figure /= divisor;
  }
  return {.figure = figure, .met = goal.is == kAtMost ? figure <= goal.goal : figure >= goal.goal};
}

std::string GoalText(const Goal& goal) { return fmt::format("{} {:g}", goal.is == kAtMost ? "<=" : ">=", goal.goal); }

}  // namespace

std::span<const Goal> Goals() { return kGoals; }

void PrintGoals(const Reports& reports, std::ostream& out) {
  std::size_t width = 0;
  for (const Goal& goal : kGoals) width = std::max(width, std::string_view(goal.what).size());
  out << fmt::format("goals\n{:<{}} {:>10} {:>10}\n", "name", width, "figure", "goal");
  for (const Goal& goal : kGoals) {
    const Reached reached = Judge(goal, reports);
    const std::string figure = reached.figure ? fmt::format("{:.2f}", *reached.figure) : "-";
    const std::string result = reached.figure ? (reached.met ? "met" : "MISSED") : "not measured: " + reached.missing;
    out << fmt::format("{:<{}} {:>10} {:>10}  {}\n", goal.what, width, figure, GoalText(goal), result);
  }
}

nlohmann::json GoalsToJson(const Reports& reports) {
  nlohmann::json json = nlohmann::json::array();
  for (const Goal& goal : kGoals) {
    const Reached reached = Judge(goal, reports);
    nlohmann::json one = {{"name", goal.what}, {"goal", GoalText(goal)}};
    if (reached.figure) {
      one["figure"] = *reached.figure;
      one["met"] = reached.met;
    } else {
      one["notMeasured"] = reached.missing;
    }
    json.push_back(std::move(one));
  }
  return json;
}

}  // namespace sluice::perf
