#include "perf/scale/fixture.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <chrono>
#include <fstream>

#include "kernel/bpf/testing/test_hooks.h"
#include "perf/elapsed.h"
#include "perf/program/frame.h"
#include "policy/network/compiler.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kPackets = 200000;
constexpr std::uint32_t kPortsOfAnAddress = PERF_CLIENT_PORTS * PERF_SERVICE_PORTS;
constexpr std::uint32_t kAtOnce = 50000;  // opened before they are answered

StatusOr<double> MemoryOfMap(int fd) {
  std::ifstream info(fmt::format("/proc/self/fdinfo/{}", fd));
  for (std::string word; info >> word;) {
    double bytes = 0;
    if (word == "memlock:" && info >> bytes) return bytes;
  }
  return MakeError(absl::StatusCode::kInternal, "the kernel does not say how much memory the map of fd {} has", fd);
}

}  // namespace

bpf::ObjectOptions RoomFor(Grows what, std::uint32_t size) {
  bpf::ObjectOptions options;
  const auto make_room = [](std::uint32_t* table, std::uint32_t entries) {
    *table = std::max(*table, entries + entries / 8);
  };
  if (what == Grows::kIdentities) make_room(&options.epoch_addresses, size);
  if (what == Grows::kCidrs) make_room(&options.epoch_prefixes, size);
  if (what == Grows::kRules) make_room(&options.epoch_ports, 3 * size);  // below, within and above the rule's ports
  make_room(&options.epoch_peers, size);
  return options;
}

bpf::ObjectOptions RoomForFlows(std::uint32_t flows) {
  bpf::ObjectOptions options;
  options.flows = std::max(options.flows, 3 * flows);  // so empty that nothing is evicted
  return options;
}

StatusOr<std::unique_ptr<ScaleFixture>> ScaleFixture::Create(const ScaleScenario& world,
                                                             const bpf::ObjectOptions& options,
                                                             const Interfaces& interfaces, const Runner& runner,
                                                             const std::string& name, Rows* rows) {
  std::unique_ptr<ScaleFixture> fixture(new ScaleFixture(world, interfaces, runner));
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(options));
  SL_ASSIGN_OR_RETURN(fixture->datapath_, datapath::BpfDatapath::Wrap(std::move(object), options));
  Clock::time_point start = Clock::now();
  SL_ASSIGN_OR_RETURN(const auto compiled, policy::Compile(world.snapshot, fixture->datapath_->limits()));
  rows->Add(name + "/compile", "ms", MillisecondsSince(start));
  sl_interface facts{};
  facts.netns = -1;  // the veth's other end is in the same namespace
  facts.address = world.pod.abi();
  SL_RETURN_IF_ERROR(fixture->datapath_->DescribeInterface(interfaces.pod, facts));
  start = Clock::now();
  SL_RETURN_IF_ERROR(fixture->datapath_->Commit(compiled.tables));
  rows->Add(name + "/commit", "ms", MillisecondsSince(start));
  return fixture;
}

StatusOr<double> ScaleFixture::MapBytes() const {
  double sum = 0;
  for (const std::string& map : bpf::TestHooks(datapath_->object()).MapNames()) {
    SL_ASSIGN_OR_RETURN(const double bytes, MemoryOfMap(datapath_->object().map_fd(map)));
    sum += bytes;
  }
  return sum;
}

// Packets of flows between friend and pod; at tc_from_pod, the pod's answers.
ProgramRun ScaleFixture::RunOf(sl_packet_hook hook, std::uint8_t tcp_flags) const {
  ProgramRun run;
  run.xdp = hook == SL_HOOK_XDP_UPLINK;
  run.program_fd = datapath_->object().program_fd(run.xdp ? "xdp_uplink" : "tc_from_pod");
  run.answer = !run.xdp;
  const std::uint16_t client = PERF_FIRST_CLIENT_PORT, service = PERF_FIRST_SERVICE_PORT;
  run.input.frame = MakeFrame({.source = run.answer ? scenario_.pod : scenario_.friend_,
                               .destination = run.answer ? scenario_.friend_ : scenario_.pod,
                               .source_port = run.answer ? service : client,
                               .destination_port = run.answer ? client : service,
                               .flags = tcp_flags});
  if (!run.xdp) run.input.ifindex = interfaces_.pod;
  return run;
}

// More flows than one pair of addresses can have use all allowed addresses.
AddressRotation ScaleFixture::FriendsOf(std::uint32_t flows, bool answer) const {
  if (flows <= kPortsOfAnAddress) return {};
  AddressRotation friends = scenario_.new_flows;
  friends.destination = answer;
  return friends;
}

// Checks that all packets were forwarded and opened the expected number of flows.
StatusOr<double> ScaleFixture::RunChecked(sl_packet_hook hook, const ProgramRun& run, std::uint64_t new_flows) const {
  SL_ASSIGN_OR_RETURN(const auto before, datapath_->ReadCounters());
  SL_ASSIGN_OR_RETURN(const auto output, runner_.Run(run));
  SL_ASSIGN_OR_RETURN(const auto after, datapath_->ReadCounters());
  const std::uint64_t passed = after.packets[hook][SL_DROP_NONE].packets - before.packets[hook][SL_DROP_NONE].packets;
  const std::uint64_t opened = after.events[SL_COUNTER_FLOW_NEW] - before.events[SL_COUNTER_FLOW_NEW];
  const std::uint32_t code = run.xdp ? static_cast<std::uint32_t>(XDP_PASS) : static_cast<std::uint32_t>(TC_ACT_UNSPEC);
  if (output.verdict != code || passed != run.input.repeat || opened != new_flows)
    return MakeError(absl::StatusCode::kInternal,
                     "hook {}: wrong verdict: {} of {} packets passed, the last with {}; {} flows opened, expected {}",
                     hook, passed, run.input.repeat, output.verdict, opened, new_flows);
  return output.cost.nanoseconds;
}

Status ScaleFixture::ForgetAll() {
  SL_ASSIGN_OR_RETURN(const auto flows, datapath_->Flows());
  return datapath_->ForgetFlows(flows).status();
}

Status ScaleFixture::Establish(std::uint32_t flows) {
  SL_RETURN_IF_ERROR(ForgetAll());
  for (std::uint32_t begin = 0; begin < flows; begin += kAtOnce) {
    const std::uint32_t count = std::min(kAtOnce, flows - begin);
    for (const std::uint8_t flags : {kSyn, static_cast<std::uint8_t>(kSyn | kAck), kAck}) {
      const bool answer = flags == (kSyn | kAck);
      ProgramRun run = RunOf(answer ? SL_HOOK_TC_FROM_POD : SL_HOOK_XDP_UPLINK, flags);
      run.flows = flows;
      run.first_flow = begin;
      run.input.repeat = count;
      run.addresses = FriendsOf(flows, answer);
      SL_RETURN_IF_ERROR(
          RunChecked(answer ? SL_HOOK_TC_FROM_POD : SL_HOOK_XDP_UPLINK, run, flags == kSyn ? count : 0).status());
    }
  }
  std::uint64_t established = 0, all = 0;
  SL_RETURN_IF_ERROR(datapath_->ForEachFlow([&](const datapath::FlowRecord& flow) {
    ++all;
    established += flow.state == datapath::FlowState::kEstablished;
  }));
  // In a bucket with many of them, one or two may stay pending.
  if (established < flows - flows / 1000 || all != flows)
    return MakeError(absl::StatusCode::kInternal, "{} flows, {} of them established, expected {}", all, established,
                     flows);
  flows_ = flows;
  return OkStatus();
}

StatusOr<double> ScaleFixture::MeasureEstablished() const {
  ProgramRun run = RunOf(SL_HOOK_XDP_UPLINK, kAck);
  run.flows = flows_;
  run.random = true;
  run.input.repeat = kPackets;
  run.addresses = FriendsOf(flows_, false);
  return RunChecked(SL_HOOK_XDP_UPLINK, run, 0);
}

StatusOr<double> ScaleFixture::MeasureNew(std::uint32_t flows) {
  SL_RETURN_IF_ERROR(ForgetAll());
  flows_ = 0;
  ProgramRun run = RunOf(SL_HOOK_XDP_UPLINK, kSyn);
  run.flows = std::max(flows, scenario_.new_flows.count);
  run.input.repeat = flows;
  run.addresses = scenario_.new_flows;
  return RunChecked(SL_HOOK_XDP_UPLINK, run, flows);
}

StatusOr<double> ScaleFixture::MeasureScan() const {
  const Clock::time_point start = Clock::now();
  std::uint64_t seen = 0;
  SL_RETURN_IF_ERROR(datapath_->ForEachFlow([&seen](const datapath::FlowRecord&) { ++seen; }));
  const double milliseconds = MillisecondsSince(start);
  if (seen != flows_) return MakeError(absl::StatusCode::kInternal, "{} flows seen, expected {}", seen, flows_);
  return milliseconds;
}

}  // namespace sluice::perf
