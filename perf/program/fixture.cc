#include "perf/program/fixture.h"

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>

#include "perf/network.h"
#include "perf/program/frame.h"
#include "policy/network/compiler.h"

namespace sluice::perf {
namespace {

constexpr std::uint16_t kFirstClientPort = PERF_FIRST_CLIENT_PORT, kServicePort = PERF_FIRST_SERVICE_PORT;
constexpr std::uint32_t kCasePackets = 200000;
// As many as the floors' look-ups have (floors.cc), so that both meet each flow equally often.
constexpr std::uint32_t kManyFlowsFrom = 100000, kManyPackets = 1000000;
constexpr std::uint32_t kFillPackets = 700000;  // of as many flows: fill the flow table
static_assert(kManyFlows <= PERF_CLIENT_PORTS * PERF_SERVICE_PORTS, "the wrapper rotates through no more ports");

sl_packet_hook AbiHook(Hook hook) {
  switch (hook) {
    case Hook::kTcFromPod:
      return SL_HOOK_TC_FROM_POD;
    case Hook::kTcToPod:
      return SL_HOOK_TC_TO_POD;
    case Hook::kXdpUplink:
      return SL_HOOK_XDP_UPLINK;
  }
  return SL_HOOK_COUNT;
}

std::uint32_t ReturnCode(bool xdp, bool forwarded) {
  if (xdp) return forwarded ? XDP_PASS : XDP_DROP;
  return static_cast<std::uint32_t>(forwarded ? TC_ACT_UNSPEC : TC_ACT_SHOT);
}

// The agent's table sizes, larger where the fixture needs it; the agent has an option for each.
bpf::ObjectOptions TablesFor(const TableSize& size) {
  bpf::ObjectOptions options;
  options.event_rate = SL_SECOND_NS;  // all packets are of one workload; no event may be refused by its share
  const auto make_room = [](std::uint32_t* table, std::uint32_t entries) {
    *table = std::max(*table, entries + entries / 8);
  };
  constexpr std::uint32_t kFamilies = 2, kDirections = 2, kPortsOfARule = 3;  // below, within and above its range
  const auto rules = static_cast<std::uint32_t>(size.world.rules), cidrs = static_cast<std::uint32_t>(size.world.cidrs);
  make_room(&options.epoch_addresses, kFamilies * rules);
  make_room(&options.epoch_ports, kDirections * kPortsOfARule * (rules + cidrs));
  make_room(&options.epoch_prefixes, kFamilies * cidrs);
  options.flows = std::max(options.flows, 3 * size.standing_flows);  // so empty that nothing is evicted
  return options;
}

}  // namespace

StatusOr<Interfaces> MakeInterfaces() {
  SL_RETURN_IF_ERROR(EnterOwnNetwork());
  SL_RETURN_IF_ERROR(
      RunIp("link add pod type veth peer name podpeer\nlink add uplink type veth peer name wire\n"
            "link set pod up\nlink set podpeer up\n"));
  Interfaces interfaces;
  SL_ASSIGN_OR_RETURN(interfaces.pod, InterfaceIndex("pod"));
  SL_ASSIGN_OR_RETURN(interfaces.uplink, InterfaceIndex("uplink"));
  return interfaces;
}

StatusOr<std::unique_ptr<Fixture>> Fixture::Create(const TableSize& size, const Interfaces& interfaces,
                                                   const Runner& runner) {
  SL_ASSIGN_OR_RETURN(World world, MakeScenario(size.world, interfaces.pod));
  std::unique_ptr<Fixture> fixture(new Fixture(size, std::move(world), interfaces, runner));
  const bpf::ObjectOptions options = TablesFor(size);  // production clock, no pins
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(options));
  SL_ASSIGN_OR_RETURN(fixture->datapath_, datapath::BpfDatapath::Wrap(std::move(object), options));
  SL_ASSIGN_OR_RETURN(const auto compiled, policy::Compile(fixture->scenario_.snapshot, fixture->datapath_->limits()));
  sl_interface facts{};
  facts.netns = -1;  // the veth's other end is in the same namespace
  facts.address = fixture->scenario_.pod[0].abi();
  SL_RETURN_IF_ERROR(fixture->datapath_->DescribeInterface(interfaces.pod, facts));
  SL_RETURN_IF_ERROR(fixture->datapath_->Configure(SL_SETTING_REDIRECT));
  SL_RETURN_IF_ERROR(fixture->datapath_->Commit(compiled.tables));
  fixture->scenario_.snapshot.reset();  // large, and no longer needed
  return fixture;
}

std::uint32_t Fixture::Packets(const Case& what) {
  // As many as there are different first packets; else whole rounds.
  if (what.traffic == Traffic::kNew) return what.flows;
  return !what.is_new() && what.flows >= kManyFlowsFrom ? kManyPackets : kCasePackets;
}

// A packet of `sender` at `hook`. The initiator is the client; a reply comes from the service.
ProgramRun Fixture::RunOf(const Case& what, Hook hook, Sender sender, std::uint8_t tcp_flags) const {
  const Sender initiator = what.is_opened_by_pod() ? Sender::kPod : Sender::kPeer;
  const policy::Address& pod = scenario_.pod[what.v6];
  const policy::Address& peer =
      what.traffic == Traffic::kDenied ? scenario_.stranger[what.v6] : scenario_.friend_[what.v6];
  ProgramRun run;
  run.program_fd = datapath_->object().program_fd(ProgramName(hook));
  run.xdp = hook == Hook::kXdpUplink;
  run.flows = what.flows;
  run.answer = sender != initiator;
  run.v6 = what.v6;
  run.input.frame = MakeFrame({.source = sender == Sender::kPod ? pod : peer,
                               .destination = sender == Sender::kPod ? peer : pod,
                               .source_port = run.answer ? kServicePort : kFirstClientPort,
                               .destination_port = run.answer ? kFirstClientPort : kServicePort,
                               .flags = tcp_flags});
  run.input.repeat = kCasePackets;
  if (!run.xdp) run.input.ifindex = interfaces_.pod;
  if (hook == Hook::kTcToPod) run.input.ingress_ifindex = interfaces_.uplink;
  return run;
}

StatusOr<Cost> Fixture::RunChecked(const Case& what, Hook hook, const ProgramRun& run, std::uint64_t new_flows) const {
  SL_ASSIGN_OR_RETURN(const auto before, datapath_->ReadCounters());
  SL_ASSIGN_OR_RETURN(const auto output, runner_.Run(run));
  SL_ASSIGN_OR_RETURN(const auto after, datapath_->ReadCounters());
  const auto wrong = [&](const std::string& why) {
    return MakeError(absl::StatusCode::kInternal, "{}: wrong verdict: {}", ProgramName(hook), why);
  };
  const int outcome = what.traffic == Traffic::kDenied ? SL_DROP_POLICY_DENIED : SL_DROP_NONE;
  const std::uint32_t code = ReturnCode(run.xdp, outcome == SL_DROP_NONE);
  if (output.verdict != code) return wrong(fmt::format("returned {}, expected {}", output.verdict, code));
  for (int h = 0; h < SL_HOOK_COUNT; ++h) {
    for (int o = 0; o < SL_OUTCOME_COUNT; ++o) {
      const std::uint64_t expected = h == AbiHook(hook) && o == outcome ? run.input.repeat : 0;
      const std::uint64_t counted = after.packets[h][o].packets - before.packets[h][o].packets;
      if (counted != expected)
        return wrong(
            fmt::format("{} packets counted with outcome {} at hook {}, expected {}", counted, o, h, expected));
    }
  }
  const std::uint64_t opened = after.events[SL_COUNTER_FLOW_NEW] - before.events[SL_COUNTER_FLOW_NEW];
  if (opened != new_flows) return wrong(fmt::format("{} new flows, expected {}", opened, new_flows));
  const std::uint64_t evicted = after.events[SL_COUNTER_FLOW_EVICTED] - before.events[SL_COUNTER_FLOW_EVICTED];
  if (run.first_flow == kFillPackets && evicted < opened * 9 / 10)
    return wrong(fmt::format("{} flows evicted by {} new ones", evicted, opened));
  return output.cost;
}

// Empties the flow tables, then opens the flows that the case's packets belong to.
Status Fixture::Prepare(const Case& what) {
  if (standing_) return OkStatus();
  SL_ASSIGN_OR_RETURN(const auto flows, datapath_->Flows());
  SL_RETURN_IF_ERROR(datapath_->ForgetFlows(flows).status());
  ProgramRun run = RunOf(what, what.hook, SenderOf(what), kSyn);
  switch (what.traffic) {
    case Traffic::kNew:
      return OkStatus();
    case Traffic::kDenied:
      run.input.repeat = what.flows;
      return RunChecked(what, what.hook, run, 0).status();
    case Traffic::kNewIntoFull:
      run.input.repeat = kFillPackets;
      return RunChecked(what, what.hook, run, kFillPackets).status();
    case Traffic::kEstablished:
    case Traffic::kReply:
      break;
  }
  SL_RETURN_IF_ERROR(Answer(what));
  standing_ = size_.standing_flows > 0;
  return OkStatus();
}

// Opens the case's flows with a handshake.
Status Fixture::Answer(const Case& what) const {
  constexpr std::uint8_t segments[] = {kSyn, kSyn | kAck, kAck};
  bool from_pod = what.is_opened_by_pod();
  for (const std::uint8_t flags : segments) {
    const Hook hook = from_pod ? Hook::kTcFromPod : Hook::kTcToPod;
    ProgramRun run = RunOf(what, hook, from_pod ? Sender::kPod : Sender::kPeer, flags);
    run.input.repeat = what.flows;
    SL_RETURN_IF_ERROR(RunChecked(what, hook, run, flags == kSyn ? what.flows : 0).status());
    from_pod = !from_pod;
  }
  return CheckEstablished(what.flows);
}

// Checks that the wrapper made that many flows and that they are established. In a bucket with many of them, one or two
// may stay pending.
Status Fixture::CheckEstablished(std::uint32_t expected) const {
  SL_ASSIGN_OR_RETURN(const auto flows, datapath_->Flows());
  const auto established = std::count_if(flows.begin(), flows.end(), [](const datapath::FlowRecord& flow) {
    return flow.state == datapath::FlowState::kEstablished;
  });
  if (established >= expected - expected / 1000 && flows.size() == expected) return OkStatus();
  return MakeError(absl::StatusCode::kInternal, "{} flows, {} of them established, expected {}", flows.size(),
                   established, expected);
}

StatusOr<Cost> Fixture::Measure(const Case& what) {
  SL_RETURN_IF_ERROR(Prepare(what));
  const bool opens = what.is_new() || what.traffic == Traffic::kDenied;
  ProgramRun run = RunOf(what, what.hook, SenderOf(what), opens ? kSyn : kAck);
  run.input.repeat = Packets(what);
  run.random = !what.is_new();
  if (what.traffic == Traffic::kNewIntoFull) run.first_flow = kFillPackets;
  return RunChecked(what, what.hook, run, what.is_new() ? run.input.repeat : 0);
}

}  // namespace sluice::perf
