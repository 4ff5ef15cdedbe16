#include "telemetry/flow/collector.h"

#include <algorithm>

#include "base/log.h"

namespace sluice::telemetry {
namespace {

constexpr int kPausePerSweep = 200;
constexpr std::size_t kMaxHeld = 32768;

}  // namespace

Collector::Collector(Options options, datapath::PathReader* datapath, FlowAssembler* assembler, History* history,
                     EventHub* hub, FlowSweeper* sweeper)
    : options_(options),
      datapath_(datapath),
      assembler_(assembler),
      history_(history),
      hub_(hub),
      sweeper_(sweeper),
      held_(kMaxHeld, [this](const sl_flow_key& key, std::uint64_t id) -> std::optional<sl_flow_entry> {
        const auto found = datapath_->FindFlow(key, id);
        if (found.ok() && *found) return (*found)->entry;
        ReadEvents();  // the record's END event may have come meanwhile
        return std::nullopt;
      }) {}

std::chrono::milliseconds Collector::SweepPause(const Options& options, std::chrono::nanoseconds took) {
  const auto wanted = std::chrono::duration_cast<std::chrono::milliseconds>(took * kPausePerSweep);
  return std::clamp(wanted, options.sweep_interval, std::max(options.sweep_interval, options.max_sweep_interval));
}

void Collector::Start() { thread_ = std::thread(&Collector::Run, this); }

void Collector::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Collector::Wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  wake_.notify_all();
}

void Collector::Run() {
  auto next_sweep = std::chrono::steady_clock::now();
  while (true) {
    assembler_->FollowClock();
    Poll();
    LookForLosses();
    if (std::chrono::steady_clock::now() >= next_sweep) {
      const auto pause = Sweep();
      next_sweep = std::chrono::steady_clock::now() + pause;
    }
    const auto pause = hub_->watched() ? options_.poll_interval : options_.idle_interval;
    const auto next_poll = std::chrono::steady_clock::now() + pause;
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, std::min(next_poll, next_sweep), [this] { return stopping_ || woken_; });
    woken_ = false;
    if (stopping_) return;
  }
}

// Drops events from before the first follower, except END events.
void Collector::ReadEvents() {
  const auto polled = datapath_->PollEvents([this](const sl_flow_event& event) {
    if (event.type == SL_FLOW_END) sweeper_->Note(FromEvent(event));
    if (event.type == SL_FLOW_END || hub_->watched()) held_.Push(event);
  });
  if (!polled.ok()) LogWarn("reading flow events: {}", Message(polled.status()));
}

void Collector::Poll() {
  ReadEvents();
  if (held_.empty()) return;
  const FlowContext context = assembler_->Capture();
  const std::uint64_t hold_ns = catch_up_ ? std::chrono::nanoseconds(options_.hold).count() : 0;
  std::vector<sl_flow_event> events;
  while (const auto event = held_.Pop(context.now_ns(), hold_ns)) events.push_back(*event);
  if (catch_up_ && !events.empty()) catch_up_();  // so that the processes in the events are known
  for (const sl_flow_event& event : events) Tell(event, context);
}

void Collector::Tell(const sl_flow_event& event, const FlowContext& context) {
  auto told = std::make_shared<v1::Event>();
  *told->mutable_flow() = context.Assemble(FromEvent(event));
  if (event.type == SL_FLOW_END) history_->Push(told);
  if (hub_->watched()) hub_->Publish(told);
}

// Returns how long to wait before the next sweep.
std::chrono::milliseconds Collector::Sweep() {
  const auto begin = std::chrono::steady_clock::now();
  if (const Status status = sweeper_->Sweep(); !status.ok()) LogWarn("sweeping the flow table: {}", Message(status));
  return SweepPause(options_, std::chrono::steady_clock::now() - begin);
}

void Collector::LookForLosses() {
  const auto counters = datapath_->ReadEventCounters();
  if (!counters.ok()) return LogWarn("reading counts of lost events: {}", Message(counters.status()));
  const std::uint64_t lost = (*counters)[SL_COUNTER_EVENT_LOST_RING_FULL];
  if (known_lost_ && lost > *known_lost_) hub_->PublishLoss("RING_FULL", lost - *known_lost_);
  known_lost_ = lost;
  const std::uint64_t refused = (*counters)[SL_COUNTER_EVENT_LOST_SHARE];
  if (known_refused_ == refused) return;
  if (const Status status = TellShares(); !status.ok())
    return LogWarn("reading counts of lost events: {}", Message(status));
  known_refused_ = refused;
}

// Reports losses by workload, if the endpoint number still belongs to a workload.
Status Collector::TellShares() {
  SL_ASSIGN_OR_RETURN(const auto refused, datapath_->ReadLostEvents());
  const auto names = assembler_->Capture().EndpointNames();
  for (const auto& [endpoint, count] : refused) {
    std::uint64_t& known = known_refused_of_[endpoint];
    const auto name = names.find(endpoint);
    if (count < known) known = 0;  // the number belongs to another workload now
    if (known_refused_ && count > known)
      hub_->PublishLoss("WORKLOAD_SHARE", name == names.end() ? policy::ObjectName() : name->second, "flow",
                        count - known);
    known = count;
  }
  return OkStatus();
}

}  // namespace sluice::telemetry
