#include "ctrl/sluiced/hook_events.h"

#include <chrono>

#include "ctrl/hooks/local_subjects.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// Of a ring that is not full; the programs wake the reader before it is.
constexpr auto kPoll = 20ms;
constexpr auto kTellLost = 1s;
// How long events wait for the record of their process.
constexpr auto kCatchUp = 100ms;

telemetry::HookEventReader::Options ReaderOptions(hooks::KernelHooks* kernel, telemetry::HookStacks* stacks,
                                                  telemetry::ProcessSensor* sensor) {
  telemetry::HookEventReader::Options options;
  options.stacks = stacks;
  options.describe = [kernel](std::uint32_t hook, std::uint32_t life) -> std::optional<telemetry::HookDescription> {
    auto described = kernel->tables().Describe(hook, life);
    if (!described) return std::nullopt;
    return telemetry::HookDescription{.policy = std::move(described->policy), .hook = described->hook};
  };
  options.subject = [kernel](std::uint32_t subject) -> std::optional<policy::ObjectName> {
    const std::string key = kernel->tables().KeyOf(subject);
    return key.empty() ? std::nullopt : std::optional(hooks::WorkloadOfKey(key));
  };
  if (sensor != nullptr) options.catch_up = [sensor] { sensor->CatchUp(kCatchUp); };
  return options;
}

}  // namespace

HookEvents::HookEvents(hooks::KernelHooks* kernel, telemetry::Telemetry* telemetry, const std::string& node)
    : kernel_(kernel),
      no_events_(node, &no_tree_, {}, telemetry::ReadBootClock),
      stacks_([kernel](std::int32_t stack) { return kernel->programs().ReadStack(stack); }),
      reader_(ReaderOptions(kernel, &stacks_, telemetry->processes()),
              telemetry->processes() == nullptr ? &no_tree_ : &telemetry->processes()->tree(),
              telemetry->processes() == nullptr ? &no_events_ : &telemetry->processes()->events(), &telemetry->hub(),
              &telemetry->history()) {}

StatusOr<std::unique_ptr<HookEvents>> HookEvents::Start(hooks::KernelHooks* kernel, telemetry::Telemetry* telemetry,
                                                        const std::string& node) {
  std::unique_ptr<HookEvents> events(new HookEvents(kernel, telemetry, node));
  HookEvents* const self = events.get();
  SL_RETURN_IF_ERROR(kernel->programs().ReadEvents(
      [self](const void* record, std::size_t size) { self->reader_.Consume(record, size); }));
  events->thread_ = std::thread(&HookEvents::Run, self);
  return events;
}

HookEvents::~HookEvents() {
  stopping_ = true;
  if (!thread_.joinable()) return;
  kernel_->programs().Wake();
  thread_.join();
}

telemetry::HookRecordNumbers HookEvents::Numbers() const {
  const telemetry::HookEventReader::Counters counters = reader_.counters();
  return {.events = counters.events,
          .malformed = counters.malformed,
          .policy_gone = counters.unknown_hooks,
          .cut_arguments = counters.cut_arguments,
          .calls_alone = counters.calls_alone,
          .returns_alone = counters.returns_alone,
          .runs_missed = kernel_->programs().RunsMissed().value_or(0)};
}

void HookEvents::Run() {
  auto tell_lost_at = std::chrono::steady_clock::now() + kTellLost;
  while (!stopping_) {
    kernel_->programs().Wait(kPoll);
    kernel_->programs().Drain();
    reader_.Tick(telemetry::ReadBootClock().monotonic_ns);
    if (const auto now = std::chrono::steady_clock::now(); now >= tell_lost_at) {
      tell_lost_at = now + kTellLost;
      TellLost();
    }
  }
}

// A policy that is replaced counts from 0 again.
void HookEvents::TellLost() {
  std::uint64_t more = 0;
  std::map<policy::ObjectName, std::uint64_t> lost;
  for (const hooks::PolicyInfo& info : kernel_->tables().List()) {
    const auto counts = kernel_->tables().Counts(info.name);
    if (!counts.ok()) continue;  // it is gone since
    std::uint64_t sum = 0;
    for (const hooks::SelectorCounts& selector : *counts) sum += selector.counts.counts[SL_HOOK_COUNT_LOST];
    lost[info.name] = sum;
    const auto told = lost_.find(info.name);
    more += told == lost_.end() || told->second > sum ? sum : sum - told->second;
  }
  lost_ = std::move(lost);
  reader_.TellLost(more);
}

}  // namespace sluice
