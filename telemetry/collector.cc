#include "telemetry/collector.h"

#include <algorithm>

#include "ctrl/base/log.h"

namespace sluice::telemetry {
namespace {

constexpr int kPausePerHarvest = 200;

}  // namespace

Collector::Collector(Options options, datapath::Datapath* datapath, FlowAssembler* assembler, EventHub* hub,
                     Harvester* harvester)
    : options_(options), datapath_(datapath), assembler_(assembler), hub_(hub), harvester_(harvester) {}

std::chrono::milliseconds Collector::HarvestPause(const Options& options, std::chrono::nanoseconds took) {
  const auto wanted = std::chrono::duration_cast<std::chrono::milliseconds>(took * kPausePerHarvest);
  return std::clamp(wanted, options.harvest_interval, std::max(options.harvest_interval, options.max_harvest_interval));
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
  auto next_harvest = std::chrono::steady_clock::now();
  while (true) {
    Poll();
    LookForLosses();
    if (std::chrono::steady_clock::now() >= next_harvest) {
      const auto pause = Harvest();
      next_harvest = std::chrono::steady_clock::now() + pause;
    }
    const auto next_poll = std::chrono::steady_clock::now() + options_.poll_interval;
    const bool watched = hub_->watched();
    std::unique_lock lock(mutex_);
    wake_.wait_until(lock, watched ? std::min(next_poll, next_harvest) : next_harvest,
                     [this] { return stopping_ || woken_; });
    woken_ = false;
    if (stopping_) return;
  }
}

// What waits while nobody follows is from before the last follower left: it goes to nobody.
void Collector::Poll() {
  std::optional<FlowContext> context;
  const auto polled = datapath_->PollEvents([&](const sl_flow_event& kernel_event) {
    if (!hub_->watched()) return;
    if (!context) context = assembler_->Capture();
    auto event = std::make_shared<v1::Event>();
    *event->mutable_flow() = context->Assemble(FromEvent(kernel_event));
    hub_->Publish(event);
  });
  if (!polled.ok()) LogWarn("reading flow events: {}", Message(polled.status()));
}

// Returns how long to wait for the next.
std::chrono::milliseconds Collector::Harvest() {
  const auto begin = std::chrono::steady_clock::now();
  if (const Status status = harvester_->Harvest(); !status.ok()) LogWarn("ending idle flows: {}", Message(status));
  return HarvestPause(options_, std::chrono::steady_clock::now() - begin);
}

void Collector::LookForLosses() {
  const auto counters = datapath_->ReadEventCounters();
  if (!counters.ok()) return LogWarn("looking for lost events: {}", Message(counters.status()));
  const std::uint64_t lost = (*counters)[SL_COUNTER_EVENT_LOST_RING_FULL];
  if (known_lost_ && lost > *known_lost_) hub_->PublishLoss("RING_FULL", lost - *known_lost_);
  known_lost_ = lost;
}

}  // namespace sluice::telemetry
