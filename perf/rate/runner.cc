#include "perf/rate/runner.h"

#include <algorithm>
#include <set>

#include "perf/cpu.h"
#include "perf/rate/dpdk.h"
#include "perf/rate/event_reader.h"

namespace sluice::perf {
namespace {

constexpr std::uint32_t kBursts = 32;                    // of a sample beside a flood
constexpr std::uint32_t kFitsQueue = 128;                // of the veth
constexpr std::chrono::milliseconds kAgentPause{50};     // as in telemetry/flow/collector.h
constexpr std::uint32_t kNobody = SL_MAX_ENDPOINTS - 1;  // an endpoint number that no workload has

template <typename... Args>
Status Wrong(fmt::format_string<Args...> format, Args&&... args) {
  return Status(absl::StatusCode::kInternal, fmt::format(format, std::forward<Args>(args)...));
}

double RateOf(std::uint64_t packets, const Passage& passage) {
  return static_cast<double>(packets) * 1e6 / static_cast<double>(passage.nanoseconds);
}

}  // namespace

StatusOr<std::unique_ptr<RateRunner>> RateRunner::Create(const RateCase& what) {
  std::unique_ptr<RateRunner> runner(new RateRunner(what));
  SL_RETURN_IF_ERROR(runner->Build());
  return runner;
}

Status RateRunner::Build() {
  SL_ASSIGN_OR_RETURN(topology_, Topology::Create(what_.topology));
  if (what_.setup) SL_RETURN_IF_ERROR(what_.setup(topology_.get()));
  // When the case has no sink: count packets at the receiver, and answers at the sender.
  if (!topology_->HasProgram(Place::kReceiver))
    SL_RETURN_IF_ERROR(topology_->AttachTc("rate_tc_sink", Place::kReceiver));
  if (!topology_->HasProgram(Place::kSender)) SL_RETURN_IF_ERROR(topology_->AttachTc("rate_tc_drop", Place::kSender));
  if (what_.resources) {
    SL_ASSIGN_OR_RETURN(sluice_, SluiceNode::Start(topology_->node(), {.resources = what_.resources(*topology_),
                                                                       .uplink = what_.topology.wire == Wire::kUplink,
                                                                       .redirects = what_.redirects}));
  }
  if (what_.two_cores) {
    SL_ASSIGN_OR_RETURN(const int other, OtherCpu());
    SL_RETURN_IF_ERROR(topology_->ReceiveOn(other));
  }
  // Whatever a first packet waits for is not the steady state: where a host gives its guests memory and page tables as
  // they are touched, it takes tens of microseconds.
  if (!what_.new_flows && !what_.answered && !what_.dpdk_sink) SL_RETURN_IF_ERROR(SendEachFlow(true));
  if (what_.generator != GeneratorKind::kLiveFrames) {
    if (!what_.two_cores) return InvalidError("on one core, only live frames measure their time");
    SL_RETURN_IF_ERROR(topology_->GenerateBy(what_.generator));
  }
  if (what_.opposite.packets == 0) return OkStatus();
  Load opposite = what_.opposite;
  opposite.to_node = what_.load.to_node;
  return SendChecked(opposite, !what_.passes).status();
}

// Sends one packet of each flow.
Status RateRunner::SendEachFlow(bool checked) {
  Load load = what_.load;
  load.random = false;
  // A receiver on another CPU may still be asleep when its queue is full.
  const std::uint32_t at_once = what_.two_cores ? kFitsQueue : load.flows;
  for (; load.first_flow < load.flows; load.first_flow += at_once) {
    load.packets = std::min(at_once, load.flows - static_cast<std::uint32_t>(load.first_flow));
    const auto sent = checked ? SendChecked(load, what_.passes) : topology_->Send(load);
    SL_RETURN_IF_ERROR(sent.status());
  }
  return OkStatus();
}

// Sends each flow's first packet, its answer, and the next packet. Changes nothing for known flows.
Status RateRunner::AnswerFlows() {
  SL_RETURN_IF_ERROR(SendEachFlow(true));
  Load answers = what_.load;
  answers.packets = answers.flows;
  answers.random = false;
  answers.answer = true;
  SL_RETURN_IF_ERROR(topology_->Send(answers).status());
  SL_RETURN_IF_ERROR(SendEachFlow(false));
  const Load& load = what_.load;
  if (sluice_ == nullptr) return OkStatus();
  std::uint32_t established = 0;
  SL_RETURN_IF_ERROR(sluice_->datapath().ForEachFlow(
      [&](const datapath::FlowRecord& flow) { established += flow.state == datapath::FlowState::kEstablished; }));
  if (established == load.flows) return OkStatus();
  return Wrong("{} flows are established, expected {}", established, load.flows);
}

StatusOr<Passage> RateRunner::SendChecked(const Load& load, bool passes) {
  SL_ASSIGN_OR_RETURN(const Passage passage, topology_->Send(load));
  // A packet that finds the node's queue full is lost before the node and not counted. On one core the queue has room.
  const std::uint64_t least = what_.two_cores ? 1 : load.packets - load.packets / 10;
  if (passage.entered > load.packets || passage.entered < least)
    return Wrong("{} packets came to the node, {} were sent", passage.entered, load.packets);
  const std::uint64_t expected = passes ? passage.entered : 0;
  if (passage.arrived == expected) return passage;
  return Wrong("wrong verdict: {} packets of {} arrived, expected {}", passage.arrived, passage.entered, expected);
}

// Each packet is counted once, at the expected hook and outcome. Without redirects, an allowed packet also meets the
// pod's hook.
Status RateRunner::CheckCounters(const datapath::Counters& before, const datapath::Counters& after,
                                 const Expected& packets) const {
  const bool uplink = what_.topology.wire == Wire::kUplink;
  const int hook = uplink ? SL_HOOK_XDP_UPLINK : SL_HOOK_TC_FROM_POD;
  for (int h = 0; h < SL_HOOK_COUNT; ++h) {
    for (int o = 0; o < SL_OUTCOME_COUNT; ++o) {
      const std::uint64_t counted = after.packets[h][o].packets - before.packets[h][o].packets;
      const bool goes_on = o == SL_DROP_NONE && !what_.redirects;
      const bool meets = h == hook || (goes_on && h == SL_HOOK_TC_TO_POD);
      const std::uint64_t of_outcome = o == SL_DROP_NONE            ? packets.passed
                                       : o == SL_DROP_POLICY_DENIED ? packets.denied
                                                                    : 0;
      const std::uint64_t expected = meets ? of_outcome : 0;
      if (counted != expected)
        return Wrong("wrong verdict: {} packets counted with outcome {} at hook {}, expected {}", counted, o, h,
                     expected);
    }
  }
  const int redirect = uplink ? SL_COUNTER_REDIRECT_DEVMAP : SL_COUNTER_REDIRECT_PEER;
  const std::uint64_t redirected = after.events[redirect] - before.events[redirect];
  if (redirected != (what_.redirects ? packets.passed : 0))
    return Wrong("{} packets of {} took the redirect", redirected, packets.passed);
  return OkStatus();
}

// The load of the next sample. Sluice keeps entries for a part of all denied flows; when no unused flow is left, makes
// it forget them.
StatusOr<Load> RateRunner::NextLoad() {
  Load load = what_.load;
  if (!what_.new_flows) return load;
  if (next_flow_ + load.packets > load.flows) {
    SL_ASSIGN_OR_RETURN(const auto flows, sluice_->datapath().Flows());
    SL_RETURN_IF_ERROR(sluice_->datapath().ForgetFlows(flows).status());
    next_flow_ = 0;
  }
  load.first_flow = next_flow_;
  next_flow_ += load.packets;
  return load;
}

// Sends one sample's packets; for Sluice's rows, checks that each was counted correctly.
StatusOr<Passage> RateRunner::SendCounted() {
  if (sluice_ == nullptr) return SendChecked(what_.load, what_.passes);
  SL_ASSIGN_OR_RETURN(const Load load, NextLoad());
  SL_ASSIGN_OR_RETURN(const auto before, sluice_->datapath().ReadCounters());
  SL_ASSIGN_OR_RETURN(const Passage passage, SendChecked(load, what_.passes));
  SL_ASSIGN_OR_RETURN(const auto after, sluice_->datapath().ReadCounters());
  SL_RETURN_IF_ERROR(CheckCounters(
      before, after, what_.passes ? Expected{.passed = passage.entered} : Expected{.denied = passage.entered}));
  events_lost_ = 0;
  for (const int cause : {SL_COUNTER_EVENT_LOST_RING_FULL, SL_COUNTER_EVENT_LOST_SHARE})
    events_lost_ += after.events[cause] - before.events[cause];
  return passage;
}

Status RateRunner::MeasureWatched(std::vector<double>* samples) {
  datapath::BpfDatapath& datapath = sluice_->datapath();
  const bool every_packet = what_.events == Events::kEveryPacket;
  SL_RETURN_IF_ERROR(datapath.Configure(SL_SETTING_REDIRECT | SL_SETTING_EVENTS));
  EventReader reader(&datapath, every_packet ? std::chrono::milliseconds(0) : kAgentPause);
  SL_ASSIGN_OR_RETURN(const Passage passage, SendCounted());
  SL_ASSIGN_OR_RETURN(const std::uint64_t events, reader.Finish());
  SL_RETURN_IF_ERROR(datapath.Configure(SL_SETTING_REDIRECT));
  samples->push_back(RateOf(passage.entered, passage));
  if (!every_packet) return events_lost_ == 0 ? OkStatus() : Wrong("{} events of {} were lost", events_lost_, events);
  samples->push_back(RateOf(events, passage));
  samples->push_back(static_cast<double>(events_lost_));
  if (events + events_lost_ == passage.entered) return OkStatus();
  return Wrong("{} events were read and {} lost, of {} packets", events, events_lost_, passage.entered);
}

// Bursts of the load, alone and each after a burst of the flood. Only the load's own time counts: the flood's effect is
// what it leaves in the tables and the caches.
StatusOr<std::vector<double>> RateRunner::MeasureBesideFlood() {
  std::vector<double> samples;
  Load load = what_.load, flood = what_.flood;
  load.packets /= kBursts;
  flood.packets /= kBursts;
  for (const bool beside : {false, true}) {
    SL_ASSIGN_OR_RETURN(const auto before, sluice_->datapath().ReadCounters());
    Passage sum, dropped;
    for (std::uint32_t i = 0; i < kBursts; ++i) {
      if (beside) {
        SL_ASSIGN_OR_RETURN(const Passage one, SendChecked(flood, false));
        dropped.entered += one.entered;
        flood.first_flow += flood.packets;  // another part of the random numbers
      }
      SL_ASSIGN_OR_RETURN(const Passage one, SendChecked(load, true));
      sum.nanoseconds += one.nanoseconds;
      sum.entered += one.entered;
      load.first_flow += load.packets;
    }
    SL_ASSIGN_OR_RETURN(const auto after, sluice_->datapath().ReadCounters());
    SL_RETURN_IF_ERROR(CheckCounters(before, after, {sum.entered, dropped.entered}));
    if (beside && after.events[SL_COUNTER_FLOW_NEW] != before.events[SL_COUNTER_FLOW_NEW])
      return Wrong("a flow was lost to the flood and opened again");
    samples.push_back(RateOf(sum.entered, sum));
  }
  return samples;
}

// Headers only, in rings of the agent's default size.
Status RateRunner::MeasureCaptured(std::vector<double>* samples) {
  datapath::BpfDatapath& datapath = sluice_->datapath();
  if (rings_ == nullptr) {
    SL_ASSIGN_OR_RETURN(rings_, capture::CaptureRings::Open(datapath.object(), {}, [&datapath](const auto& captured) {
                          return datapath.SetCaptured(captured);
                        }));
  }
  std::set<std::uint32_t> both;
  for (const auto& [ifindex, endpoint] : datapath.EndpointsInForce()) both.insert(endpoint);
  for (const std::set<std::uint32_t>& captured : {std::set{*both.begin()}, both, std::set{kNobody}}) {
    for (const std::uint32_t endpoint : captured) SL_RETURN_IF_ERROR(rings_->Start(endpoint, {}));
    SL_ASSIGN_OR_RETURN(const Passage passage, SendCounted());
    samples->push_back(RateOf(passage.entered, passage));
    for (const std::uint32_t endpoint : captured) {
      SL_ASSIGN_OR_RETURN(const auto reader, rings_->Open(endpoint));
      std::uint64_t records = 0;
      reader->Read([&records](auto, const auto&, auto) { ++records; });
      SL_RETURN_IF_ERROR(rings_->Stop(endpoint));
      if ((records == 0) != (endpoint == kNobody))
        return Wrong("{} packets of endpoint {} were captured", records, endpoint);
    }
  }
  return OkStatus();
}

// The sink polls all the time, so CPU time says nothing; by the clock, the rate is what it takes while more arrives.
StatusOr<std::vector<double>> RateRunner::MeasureDpdkSink() {
  std::optional<DpdkSink> sink;
  SL_RETURN_IF_ERROR(topology_->node().Run([&]() -> Status {
    SL_ASSIGN_OR_RETURN(sink, DpdkSink::Start(topology_->sender().host_interface));
    return OkStatus();
  }));
  SL_ASSIGN_OR_RETURN(const Passage passage, SendChecked(what_.load, false));
  SL_ASSIGN_OR_RETURN(const DpdkSink::Taken taken, sink->Finish());
  if (taken.packets == 0 || taken.packets > passage.entered)
    return Wrong("DPDK took {} packets, {} came to the node", taken.packets, passage.entered);
  return std::vector<double>{static_cast<double>(taken.packets) / taken.seconds / 1000};
}

StatusOr<std::vector<double>> RateRunner::Measure() {
  if (what_.dpdk_sink) return MeasureDpdkSink();
  if (what_.answered) SL_RETURN_IF_ERROR(AnswerFlows());
  if (what_.flood.packets > 0) return MeasureBesideFlood();
  SL_ASSIGN_OR_RETURN(const Passage passage, SendCounted());
  std::vector<double> samples = {RateOf(passage.entered, passage)};
  if (what_.events != Events::kNone) SL_RETURN_IF_ERROR(MeasureWatched(&samples));
  if (what_.captures) SL_RETURN_IF_ERROR(MeasureCaptured(&samples));
  return samples;
}

}  // namespace sluice::perf
