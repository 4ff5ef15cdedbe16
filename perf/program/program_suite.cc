#include "perf/program/program_suite.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "bpf/abi/flow_table.h"
#include "perf/cpu.h"
#include "perf/machine.h"
#include "perf/orderly_end.h"
#include "perf/program/cilium.h"
#include "perf/program/fixture.h"
#include "perf/program/floors.h"
#include "perf/program/generator_share.h"
#include "perf/program/rte_acl.h"
#include "perf/program/xdp_filter.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kHashFloors[] = {1, 1000, 100000};  // kManyFlows has a hash of its own
constexpr char kInstructions[] = "instructions";
constexpr char kBytesOfAFlow[] = "flow-table/bytes-a-flow";
constexpr double kBytesOfLargeCases = 4e9;  // sum of all large cases, an upper bound

// A small set that still has every program, family and kind of traffic, and both kinds of policy.
bool IsBrief(const Case& what) {
  if (what.flows == 1000) return true;
  if (what.hook == Hook::kTcToPod) return what.v6 && what.traffic == Traffic::kNewIntoFull;
  return what.hook == Hook::kXdpUplink && what.world.cidrs == 1 &&
         what.traffic == (what.v6 ? Traffic::kDenied : Traffic::kNew);
}

std::vector<Case> CasesOf(bool brief) {
  std::vector<Case> cases = AllCases();
  if (brief) std::erase_if(cases, [](const Case& one) { return !IsBrief(one); });
  return cases;
}

std::vector<Case> Selected(const RunOptions& options) {
  std::vector<Case> cases = CasesOf(options.brief);
  std::erase_if(cases, [&](const Case& one) { return !IsSelected(options, one.Name()); });
  return cases;
}

void LeaveOutWhatDoesNotFit(std::vector<Case>* cases, std::vector<std::string>* left_out) {
  const std::string missing = MissingMemory(kBytesOfLargeCases);
  if (missing.empty()) return;
  for (const Case& one : *cases)
    if (one.is_large()) left_out->push_back(fmt::format("{}: {}", one.Name(), missing));
  std::erase_if(*cases, [](const Case& one) { return one.is_large(); });
}

// The work of xdp-filter: it drops IPv4 packets from known sources.
bool IsWhatPeersDo(const Case& what) { return what.is_xdp() && !what.v6 && what.traffic == Traffic::kDenied; }

// The work of Cilium's rows: one IPv4 flow, by tc, to the pod.
bool IsWhatCiliumDoes(const Case& what) {
  return what.hook == Hook::kTcToPod && !what.v6 && what.traffic == Traffic::kEstablished && what.flows == 1 &&
         what.world.rules == 1;
}

bool HasManyFlows(const RunOptions& options, const std::vector<Case>& cases) {
  if (std::any_of(cases.begin(), cases.end(), [](const Case& one) { return one.flows == kManyFlows; })) return true;
  return !options.brief && IsAnySelected(options, {HashFloor(true, kManyFlows), HashFloor(false, kManyFlows)});
}

Measurement MeasurementOf(const Case& what, Fixture* fixture) {
  Measurement one;
  one.row.name = what.Name();
  one.row.against.push_back(BareFloor(what.is_xdp()));
  if (what.is_new()) {
    Case answered = what;  // shows the cost of the first packet beside that of later ones
    answered.traffic = Traffic::kEstablished;
    answered.flows = 1;
    one.row.against.push_back(answered.Name());
  } else {
    one.row.against.push_back(HashFloor(what.is_xdp(), what.flows));
  }
  if (IsWhatPeersDo(what))
    one.row.against.insert(one.row.against.end(), std::begin(kXdpFilters), std::end(kXdpFilters));
  if (IsWhatCiliumDoes(what))
    one.row.against.insert(one.row.against.end(), std::begin(kCiliumLikeToPod), std::end(kCiliumLikeToPod));
  for (const RteAclCase& peer : RteAclCasesLike(what)) one.row.against.push_back(peer.Name());
  one.packets = Fixture::Packets(what);
  one.measure = [fixture, what] { return fixture->Measure(what); };
  return one;
}

// Selected cases, and cases that a selected one is compared with.
std::vector<RteAclCase> SelectedRteAcl(const RunOptions& options, const std::vector<Case>& cases) {
  std::vector<RteAclCase> peers = RteAclCases(options.brief);
  std::erase_if(peers, [&](const RteAclCase& peer) {
    return !IsSelected(options, peer.Name()) && std::none_of(cases.begin(), cases.end(), [&](const Case& what) {
      const auto like = RteAclCasesLike(what);
      return std::any_of(like.begin(), like.end(), [&](const auto& one) { return one.Name() == peer.Name(); });
    });
  });
  return peers;
}

std::vector<CiliumCase> SelectedCilium(const RunOptions& options, const std::vector<Case>& cases) {
  const bool is_compared = std::any_of(cases.begin(), cases.end(), IsWhatCiliumDoes);
  std::vector<CiliumCase> peers = CiliumCases(options.brief);
  std::erase_if(peers, [&](const CiliumCase& peer) {
    const std::string name = peer.Name();
    return !IsSelected(options, name) &&
           !(is_compared && std::count(std::begin(kCiliumLikeToPod), std::end(kCiliumLikeToPod), name) > 0);
  });
  return peers;
}

Status AddCilium(const RunOptions& options, const std::vector<Case>& cases, const Runner& runner,
                 std::vector<Measurement>* all, std::vector<std::string>* left_out) {
  const std::vector<CiliumCase> peers = SelectedCilium(options, cases);
  if (peers.empty()) return OkStatus();
  if (options.cilium_object.empty()) {
    left_out->push_back(fmt::format("{}: {}", kCilium, kHowToHaveCilium));
    return OkStatus();
  }
  StatusOr<std::vector<Measurement>> measurements = CiliumPeers(options.cilium_object, peers, runner);
  if (!measurements.ok()) return Annotate(measurements.status(), options.cilium_object);
  std::move(measurements->begin(), measurements->end(), std::back_inserter(*all));
  return OkStatus();
}

// An error when a peer is installed but cannot be measured.
Status AddPeers(const RunOptions& options, const std::vector<Case>& cases, const Runner& runner,
                std::vector<Measurement>* all, std::vector<std::string>* left_out) {
  for (const char* const peer : kXdpFilters) {
    if (!IsSelected(options, peer) && std::none_of(cases.begin(), cases.end(), IsWhatPeersDo)) continue;
    StatusOr<Measurement> measurement = XdpFilterPeer(peer, runner);
    if (measurement.ok())
      all->push_back(*std::move(measurement));
    else if (absl::IsNotFound(measurement.status()))
      left_out->push_back(fmt::format("{}: {}", peer, Message(measurement.status())));
    else
      return Annotate(measurement.status(), peer);
  }
  const std::vector<RteAclCase> acl_cases = SelectedRteAcl(options, cases);
  if (acl_cases.empty()) return OkStatus();
  StatusOr<std::vector<Measurement>> measurements = RteAclPeers(acl_cases);
  if (measurements.ok())
    std::move(measurements->begin(), measurements->end(), std::back_inserter(*all));
  else if (absl::IsNotFound(measurements.status()))
    left_out->push_back(fmt::format("{}: {}", kRteAcl, Message(measurements.status())));
  else
    return Annotate(measurements.status(), kRteAcl);
  return OkStatus();
}

// Of the flow table's memory: a slot and its part of a bucket. All of it is allocated at the start.
Row BytesOfAFlow() {
  return {.name = kBytesOfAFlow,
          .samples = {sizeof(sl_flow) + static_cast<double>(sizeof(sl_flow_bucket)) / SL_FLOW_WAYS},
          .unit = "bytes"};
}

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  Report report{.unit = "ns a packet"};
  std::vector<Case> cases = Selected(options);
  LeaveOutWhatDoesNotFit(&cases, &report.left_out);
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  SL_ASSIGN_OR_RETURN(const Interfaces interfaces, MakeInterfaces());
  StatusOr<EventCounter> counter = EventCounter::KernelInstructions();
  if (!counter.ok()) report.left_out.push_back(fmt::format("{}: {}", kInstructions, Message(counter.status())));
  RunnerOptions runner_options{.slots = true, .instructions = counter.ok() ? &*counter : nullptr};
  SL_ASSIGN_OR_RETURN(const Runner runner, Runner::Create(runner_options));
  std::vector<Measurement> all = Floors(runner, {std::begin(kHashFloors), std::end(kHashFloors)});
  for (Measurement& floor : SlotFloors(runner)) all.push_back(std::move(floor));

  // A larger hash would slow down the look-ups of the others, so it has its own map.
  std::optional<Runner> many_runner;
  if (HasManyFlows(options, cases)) {
    runner_options.hash_entries = kManyFlows + kManyFlows / 8;
    runner_options.slots = false;
    SL_ASSIGN_OR_RETURN(many_runner, Runner::Create(runner_options));
    for (Measurement& floor : HashFloors(*many_runner, kManyFlows)) all.push_back(std::move(floor));
  }

  std::map<TableSize, std::unique_ptr<Fixture>> beds;
  SL_RETURN_IF_ERROR(AddPeers(options, cases, runner, &all, &report.left_out));
  SL_RETURN_IF_ERROR(AddCilium(options, cases, runner, &all, &report.left_out));
  for (const Case& what : cases) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    std::unique_ptr<Fixture>& fixture = beds[what.fixture()];
    if (fixture == nullptr) {
      SL_ASSIGN_OR_RETURN(fixture, Fixture::Create(what.fixture(), interfaces, runner));
    }
    all.push_back(MeasurementOf(what, fixture.get()));
  }
  QuietCheck quiet = QuietCheck::Start(options.quiet_check);
  SL_RETURN_IF_ERROR(RunRounds(options.runs, &all, &quiet));
  report.notes = quiet.notes();
  for (Measurement& one : all) report.rows.push_back(std::move(one.row));
  if (IsSelected(options, kBytesOfAFlow)) report.rows.push_back(BytesOfAFlow());
  SubtractGenerator(cases, &report);
  return report;
}

}  // namespace

std::vector<std::string> ProgramRows(bool brief) {
  std::vector<std::string> rows = FloorNames({std::begin(kHashFloors), std::end(kHashFloors)});
  for (std::string& name : SlotFloorNames()) rows.push_back(std::move(name));
  if (!brief) rows.insert(rows.end(), {HashFloor(true, kManyFlows), HashFloor(false, kManyFlows)});
  rows.insert(rows.end(), std::begin(kXdpFilters), std::end(kXdpFilters));
  for (const RteAclCase& peer : RteAclCases(brief)) rows.push_back(peer.Name());
  for (const CiliumCase& peer : CiliumCases(brief)) rows.push_back(peer.Name());
  for (const Case& what : CasesOf(brief)) rows.push_back(what.Name());
  rows.emplace_back(kBytesOfAFlow);
  return rows;
}

StatusOr<Report> RunProgramSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its namespace and CPU affinity end with it
  return report;
}

}  // namespace sluice::perf
