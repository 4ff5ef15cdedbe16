#include "ctrl/sluiced/call_sensors.h"

#include <chrono>
#include <utility>

#include "ctrl/hooks/local_subjects.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// Of a ring that is not full; the programs wake the reader before it is.
constexpr auto kPollCalls = 20ms;
constexpr auto kPollNothing = 1s;  // while nothing is attached; Require wakes
constexpr auto kTellLostCalls = 1s;
// How long events wait for the record of their process.
constexpr auto kCatchUpCalls = 100ms;

}  // namespace

CallSensors::CallSensors(Options options, std::unique_ptr<calls::CallStore> store)
    : options_(std::move(options)),
      store_(std::move(store)),
      cgroup_paths_(hooks::CgroupRoot()),
      source_(
          {.node = options_.node,
           .owner = [this](const telemetry::ProcessInstance& instance) { return OwnerOf(instance); },
           .catch_up =
               [processes = options_.processes] {
                 if (processes != nullptr) processes->CatchUp(kCatchUpCalls);
               },
           .names = [services = options_.services](const policy::Address& address) { return services->Find(address); },
           .cgroup_path = [this](std::uint32_t pid, std::uint64_t cgroup) { return cgroup_paths_.Find(pid, cgroup); }},
          store_.get(), options_.processes == nullptr ? &no_tree_ : &options_.processes->tree(),
          [this](const policy::rules::Event& event, const telemetry::ProcessInstance* instance,
                 const telemetry::CallOwner& owner) {
            options_.detector->OnEvent(event, instance, owner.workload);
            options_.recordings->OnEvent(event, owner.workload);
          }) {}

StatusOr<std::unique_ptr<CallSensors>> CallSensors::Start(Options options) {
  const int processes = options.processes == nullptr ? -1 : options.processes->map_fd("processes");
  SL_ASSIGN_OR_RETURN(auto store, calls::CallStore::Create({.processes_fd = processes}));
  std::unique_ptr<CallSensors> sensors(new CallSensors(std::move(options), std::move(store)));
  sensors->thread_ = std::thread(&CallSensors::Run, sensors.get());
  return sensors;
}

CallSensors::~CallSensors() {
  stopping_ = true;
  store_->Wake();
  if (thread_.joinable()) thread_.join();
}

Status CallSensors::Require(const detect::Rulesets& rulesets) {
  Status required = store_->Require(rulesets);
  store_->Wake();
  return required;
}

telemetry::CallOwner CallSensors::OwnerOf(const telemetry::ProcessInstance& instance) const {
  telemetry::CallOwner owner;
  // Without its cgroup it is not known whether a process is in a container.
  if (instance.cgroup_path != nullptr) {
    const auto found = options_.containers->Find(telemetry::ContainerId(*instance.cgroup_path));
    owner.container = found.container;
    owner.final = found.final;
  }
  if (options_.processes != nullptr) {
    if (auto workload = options_.processes->events().WorkloadOf(instance)) owner.workload = *std::move(workload);
  }
  return owner;
}

void CallSensors::Run() {
  auto tell_lost_at = std::chrono::steady_clock::now() + kTellLostCalls;
  std::uint64_t containers = 0;
  while (!stopping_) {
    if (const std::uint64_t now = options_.containers->version(); now != containers) {
      containers = now;
      store_->ForgetPlaces();
    }
    store_->Wait(store_->attached() ? kPollCalls : kPollNothing);
    store_->Drain([this](const void* record, std::size_t size) { source_.Consume(record, size); });
    source_.Tick();
    if (const auto now = std::chrono::steady_clock::now(); now >= tell_lost_at) {
      tell_lost_at = now + kTellLostCalls;
      TellLosses();
    }
  }
}

void CallSensors::TellLosses() {
  for (const telemetry::CallSource::Loss& loss : source_.TakeLosses()) {
    policy::rules::EventSet types;
    if (loss.type) {
      types.set(*loss.type);
    } else {
      types = policy::rules::AllEventTypes();  // it may be any
    }
    options_.detector->NoteMissed(types, loss.workload, loss.count);
    lost_ += loss.count;
  }
}

}  // namespace sluice
