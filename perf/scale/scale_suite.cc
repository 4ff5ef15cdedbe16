#include "perf/scale/scale_suite.h"

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "perf/cpu.h"
#include "perf/elapsed.h"
#include "perf/machine.h"
#include "perf/orderly_end.h"
#include "perf/program/floors.h"
#include "perf/report.h"
#include "perf/scale/agent.h"
#include "perf/scale/fixture.h"
#include "perf/scale/nft.h"
#include "policy/network/compiler.h"
#include "policy/network/diff.h"

namespace sluice::perf {
namespace {

constexpr double kMega = 1e6;
constexpr std::uint32_t kActiveFlows = 1000;  // for rows whose cost should not grow
constexpr std::uint32_t kNewFlows = 100000;   // fit the flow table
constexpr std::uint32_t kLoaded = 100000;     // policy entries, and addresses of the nft set
constexpr std::string_view kXdpFloors = "floor/xdp/";
constexpr std::uint32_t kHashFloors[] = {1, 1000, 100000};
constexpr double kBytesOfAnIdentity = 8000;  // during compilation, an upper bound
constexpr double kBytesOfAFlow = 1000;       // room for three, and the list of flows to forget

struct Point {
  Grows what;
  std::uint32_t size;
};

struct Sizes {
  std::vector<Point> points;
  std::vector<std::uint32_t> flows;
  std::vector<std::uint32_t> starts;
  std::uint32_t new_flows;
  std::uint32_t loaded;
  int idle_workloads;
  double idle_seconds;
  bool idle_without_sensors;
};

Sizes SizesOf(bool brief) {
  if (brief) return {{{Grows::kIdentities, 1000}}, {1000}, {}, 5000, 1000, 5, 0.2, false};
  Sizes sizes{{}, {1000, 10000, 100000, 1000000, 4000000}, {1000, 10000, 100000}, kNewFlows, kLoaded, 100, 10, true};
  for (const std::uint32_t size : {1000, 10000, 100000, 1000000}) sizes.points.push_back({Grows::kIdentities, size});
  for (const std::uint32_t size : {10, 100, 1000, 8000}) sizes.points.push_back({Grows::kRulesets, size});
  for (const std::uint32_t size : {100, 1000, 10000, 100000, 1000000}) sizes.points.push_back({Grows::kCidrs, size});
  for (const std::uint32_t size : {10, 1000, 100000}) sizes.points.push_back({Grows::kRules, size});
  return sizes;
}

std::vector<std::string> Named(const std::string& prefix, std::initializer_list<const char*> ends) {
  std::vector<std::string> names;
  for (const char* const end : ends) names.push_back(prefix + end);
  return names;
}
std::vector<std::string> PointRows(const std::string& name) {
  return Named(name, {"/compile", "/commit", "/maps", "/established", "/new"});
}
std::vector<std::string> FlowRows(const std::string& name) { return Named(name, {"/maps", "/established", "/scan"}); }
std::vector<std::string> LoadRows(std::uint32_t entries) {
  std::vector<std::string> rows = {fmt::format("load/nft-set:{}", entries)};
  for (const char* const part : {"", "/with-compilation", "/computing"})
    rows.push_back(fmt::format("load/policy-entries:{}{}", entries, part));
  return rows;
}
std::vector<std::string> StartRows(std::uint32_t identities) {
  return Named(fmt::format("identities:{}", identities), {"/start", "/restart", "/resident"});
}
std::vector<std::string> IdleRows(const Sizes& sizes) {
  const std::string name = fmt::format("idle/workloads:{}", sizes.idle_workloads);
  if (!sizes.idle_without_sensors) return Named(name, {"/cpu", "/resident", "/resident/bpf-maps"});
  return Named(name, {"/cpu", "/resident", "/resident/bpf-maps", "/cpu/sensors-off", "/resident/sensors-off"});
}

std::string NameOf(const Point& point) { return fmt::format("{}:{}", ToString(point.what), point.size); }
std::string FlowsName(std::uint32_t flows) { return fmt::format("flows:{}", flows); }

class Scale {
 public:
  Scale(const RunOptions& options, const Interfaces& interfaces, const Runner& runner)
      : options_(options), sizes_(SizesOf(options.brief)), interfaces_(interfaces), runner_(runner) {
    for (Measurement& floor : Floors(runner, {std::begin(kHashFloors), std::end(kHashFloors)}))
      if (floor.row.name.starts_with(kXdpFloors)) floors_.push_back(std::move(floor));
  }

  StatusOr<Report> Measure() {
    for (const Point& point : sizes_.points) SL_RETURN_IF_ERROR(MeasurePoint(point));
    for (const std::uint32_t flows : sizes_.flows) SL_RETURN_IF_ERROR(MeasureFlows(flows));
    SL_RETURN_IF_ERROR(MeasureLoading());
    for (const std::uint32_t identities : sizes_.starts) {
      if (!IsAnySelected(options_, StartRows(identities))) continue;
      LogInfo("scale: agent with {} identities", identities);
      SL_RETURN_IF_ERROR(MeasureAgentStart(identities, std::min(options_.runs, 3), &rows_));
    }
    if (IsAnySelected(options_, IdleRows(sizes_))) {
      LogInfo("scale: idle agent");
      SL_RETURN_IF_ERROR(MeasureIdleAgent({.workloads = sizes_.idle_workloads,
                                           .seconds = sizes_.idle_seconds,
                                           .runs = options_.runs,
                                           .without_sensors = sizes_.idle_without_sensors},
                                          &rows_));
    }
    left_out_.insert(left_out_.end(),
                     {"rulesets above 8,190: a node has at most 4,095 local workloads, with one ruleset a direction",
                      "agent start with 1,000,000 identities: a million YAML documents"});
    Report report{.unit = "ns a packet", .rows = std::move(rows_).Take(options_), .left_out = std::move(left_out_)};
    SubtractGenerator(&report);
    return report;
  }

 private:
  // A round measures all floors, then the caller's rows.
  Status MeasureFloors() {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    for (const Measurement& floor : floors_) {
      SL_ASSIGN_OR_RETURN(const Cost cost, floor.measure());
      rows_.Add(floor.row.name, "", cost.nanoseconds, floor.row.against);
    }
    return OkStatus();
  }

  bool Fits(const std::string& name, double bytes) {
    const std::string missing = MissingMemory(bytes);
    if (!missing.empty()) left_out_.push_back(fmt::format("{}: {}", name, missing));
    return missing.empty();
  }

  Status MeasurePoint(const Point& point) {
    const std::string name = NameOf(point);
    if (!IsAnySelected(options_, PointRows(name))) return OkStatus();
    if (!Fits(name, point.size * kBytesOfAnIdentity)) return OkStatus();
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    LogInfo("scale: {}", name);
    SL_ASSIGN_OR_RETURN(const ScaleScenario world, MakeScaleScenario(point.what, point.size, interfaces_.pod));
    const auto created =
        ScaleFixture::Create(world, RoomFor(point.what, point.size), interfaces_, runner_, name, &rows_);
    if (absl::IsResourceExhausted(created.status())) {
      left_out_.push_back(fmt::format("{}: {}", name, Message(created.status())));
      return OkStatus();
    }
    SL_RETURN_IF_ERROR(created.status());
    const auto& fixture = *created;
    SL_ASSIGN_OR_RETURN(const double bytes, fixture->MapBytes());
    rows_.Add(name + "/maps", "MB", bytes / kMega);
    for (int run = 0; run < options_.runs; ++run) {
      SL_RETURN_IF_ERROR(MeasureFloors());
      SL_RETURN_IF_ERROR(Annotate(fixture->Establish(kActiveFlows), name));
      SL_ASSIGN_OR_RETURN(const double established, fixture->MeasureEstablished());
      rows_.Add(name + "/established", "", established, {BareFloor(true), HashFloor(true, kActiveFlows)});
      SL_ASSIGN_OR_RETURN(const double opened, fixture->MeasureNew(sizes_.new_flows));
      rows_.Add(name + "/new", "", opened, {BareFloor(true), HashFloor(true, 100000)});
    }
    return OkStatus();
  }

  Status MeasureFlows(std::uint32_t flows) {
    const std::string name = FlowsName(flows);
    if (!IsAnySelected(options_, FlowRows(name))) return OkStatus();
    if (!Fits(name, flows * kBytesOfAFlow)) return OkStatus();
    LogInfo("scale: {}", name);
    SL_ASSIGN_OR_RETURN(const ScaleScenario world, MakeScaleScenario(Grows::kRules, 10, interfaces_.pod));
    Rows unused;  // loading ten rules is not the point
    SL_ASSIGN_OR_RETURN(const auto fixture,
                        ScaleFixture::Create(world, RoomForFlows(flows), interfaces_, runner_, name, &unused));
    SL_ASSIGN_OR_RETURN(const double bytes, fixture->MapBytes());
    rows_.Add(name + "/maps", "MB", bytes / kMega);
    SL_RETURN_IF_ERROR(Annotate(fixture->Establish(flows), name));
    for (int run = 0; run < options_.runs; ++run) {
      SL_RETURN_IF_ERROR(MeasureFloors());
      SL_ASSIGN_OR_RETURN(const double established, fixture->MeasureEstablished());
      rows_.Add(name + "/established", "", established, {BareFloor(true), HashFloor(true, 100000)});
      SL_ASSIGN_OR_RETURN(const double scan, fixture->MeasureScan());
      rows_.Add(name + "/scan", "ms", scan);
    }
    return OkStatus();
  }

  // Loads policy entries into a new packet path, beside nftables.
  Status MeasureLoading() {
    const std::string name = fmt::format("load/policy-entries:{}", sizes_.loaded);
    if (!IsAnySelected(options_, LoadRows(sizes_.loaded))) return OkStatus();
    LogInfo("scale: {}", name);
    const std::string nft = fmt::format("load/nft-set:{}", sizes_.loaded);
    SL_ASSIGN_OR_RETURN(const ScaleScenario world, MakeScaleScenario(Grows::kRules, sizes_.loaded, interfaces_.pod));
    const bpf::ObjectOptions options = RoomFor(Grows::kRules, sizes_.loaded);
    Clock::time_point start = Clock::now();
    SL_ASSIGN_OR_RETURN(const policy::CompiledPolicy compiled,
                        policy::Compile(world.snapshot, {.ports = options.epoch_ports}));
    const double compilation = MillisecondsSince(start);
    for (int run = 0; run < options_.runs; ++run) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      const Status loaded = MeasureNftSet(sizes_.loaded, 1, &rows_);
      if (absl::IsNotFound(loaded)) {
        if (run == 0) left_out_.push_back(fmt::format("{}: {}", nft, Message(loaded)));
      } else {
        SL_RETURN_IF_ERROR(loaded);
      }
      SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(options));
      SL_ASSIGN_OR_RETURN(const auto datapath, datapath::BpfDatapath::Wrap(std::move(object), options));
      start = Clock::now();
      SL_RETURN_IF_ERROR(datapath->Commit(compiled.tables));
      const double commit = MillisecondsSince(start);
      rows_.Add(name, "ms", commit, {nft});
      rows_.Add(name + "/with-compilation", "ms", compilation + commit, {nft});
      // The part without system calls: finding the edits, and storing the epoch's new content.
      start = Clock::now();
      const std::size_t edits = policy::Diff({}, compiled.tables).size();
      const policy::Tables copy = compiled.tables;
      rows_.Add(name + "/computing", "ms", MillisecondsSince(start));
      if (edits < sizes_.loaded || copy.peers.size() < sizes_.loaded)
        return MakeError(absl::StatusCode::kInternal, "{}: only {} entries", name, copy.peers.size());
    }
    return OkStatus();
  }

  // The cost that the wrapper adds to the program behind it.
  static void SubtractGenerator(Report* report) {
    const Row* const bare = FindRow(*report, BareFloor(true));
    const Row* const rotate = FindRow(*report, GeneratorRow(true));
    if (bare == nullptr || rotate == nullptr) return;
    const double share = FiguresOf(*rotate).median - FiguresOf(*bare).median;
    for (Row& row : report->rows) {
      const bool rotates = row.name.ends_with("/established") || row.name.ends_with("/new") ||
                           (row.name.find("/hash/") != std::string::npos && !row.name.ends_with("flows:1"));
      if (rotates) row.generator = share;
    }
  }

  const RunOptions& options_;
  const Sizes sizes_;
  const Interfaces interfaces_;
  const Runner& runner_;
  std::vector<Measurement> floors_;
  Rows rows_;
  std::vector<std::string> left_out_;
};

StatusOr<Report> RunOnThisThread(const RunOptions& options) {
  SL_ASSIGN_OR_RETURN(const Interfaces interfaces, MakeInterfaces());
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  SL_ASSIGN_OR_RETURN(const Runner runner, Runner::Create());
  return Scale(options, interfaces, runner).Measure();
}

}  // namespace

std::vector<std::string> ScaleRows(bool brief) {
  const Sizes sizes = SizesOf(brief);
  std::vector<std::string> rows = FloorNames({std::begin(kHashFloors), std::end(kHashFloors)});
  std::erase_if(rows, [](const std::string& name) { return !name.starts_with(kXdpFloors); });
  const auto add = [&](const std::vector<std::string>& more) { rows.insert(rows.end(), more.begin(), more.end()); };
  for (const Point& point : sizes.points) add(PointRows(NameOf(point)));
  for (const std::uint32_t flows : sizes.flows) add(FlowRows(FlowsName(flows)));
  add(LoadRows(sizes.loaded));
  for (const std::uint32_t identities : sizes.starts) add(StartRows(identities));
  add(IdleRows(sizes));
  return rows;
}

StatusOr<Report> RunScaleSuite(const RunOptions& options) {
  StatusOr<Report> report = InvalidError("not run");
  std::thread([&] { report = RunOnThisThread(options); }).join();  // its namespace and CPU affinity end with it
  return report;
}

}  // namespace sluice::perf
