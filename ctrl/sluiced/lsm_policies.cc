#include "ctrl/sluiced/lsm_policies.h"

#include <chrono>
#include <random>

#include "base/log.h"
#include "kernel/bpf/system_call.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// Of a ring that is not full; the programs wake the reader before it is.
constexpr auto kPollAlerts = 20ms;
constexpr auto kTellLostAlerts = 1s;
// How long alerts wait for the record of their process.
constexpr auto kCatchUpAlerts = 100ms;

telemetry::AlertReader::Options ReaderOptions(lsm::LsmStore* store, telemetry::ProcessSensor* sensor,
                                              LsmAlerts::LabelsOf labels) {
  telemetry::AlertReader::Options options;
  options.describe = [store](std::uint64_t generation,
                             std::uint32_t rule) -> std::optional<telemetry::AlertDescription> {
    const auto described = store->Describe(generation, rule);
    if (!described) return std::nullopt;
    return telemetry::AlertDescription{.policy = described->policy, .rule = described->rule};
  };
  options.subject = [store](std::uint32_t subject) -> std::optional<policy::ObjectName> {
    const std::string key = store->KeyOf(subject);
    if (key.empty()) return std::nullopt;
    return hooks::WorkloadOfKey(key);
  };
  options.labels = std::move(labels);
  if (sensor != nullptr) options.catch_up = [sensor] { sensor->CatchUp(kCatchUpAlerts); };
  return options;
}

policy::lsm::CompileOptions CompileOptionsOfHost() {
  std::random_device random;
  return {.seed = std::uint64_t{random()} << 32U | random(),
          .syscall_number = [](std::string_view name) { return bpf::FindSystemCall(name).number; }};
}

}  // namespace

LsmAlerts::LsmAlerts(lsm::LsmStore* store, telemetry::Telemetry* telemetry, const std::string& node, LabelsOf labels)
    : store_(store),
      no_events_(node, &no_tree_, {}, telemetry::ReadBootClock),
      reader_(ReaderOptions(store, telemetry->processes(), std::move(labels)),
              telemetry->processes() == nullptr ? &no_tree_ : &telemetry->processes()->tree(),
              telemetry->processes() == nullptr ? &no_events_ : &telemetry->processes()->events(), &telemetry->hub(),
              &telemetry->history()),
      thread_(&LsmAlerts::Run, this) {}

LsmAlerts::~LsmAlerts() {
  stopping_ = true;
  store_->Wake();
  thread_.join();
}

void LsmAlerts::Run() {
  auto tell_lost_at = std::chrono::steady_clock::now() + kTellLostAlerts;
  while (!stopping_) {
    store_->Wait(kPollAlerts);
    store_->Drain([this](const void* record, std::size_t size) { reader_.Consume(record, size); });
    reader_.Tick();
    if (const auto now = std::chrono::steady_clock::now(); now >= tell_lost_at) {
      tell_lost_at = now + kTellLostAlerts;
      TellLost();
    }
  }
}

void LsmAlerts::TellLost() {
  std::uint64_t lost = 0;
  for (const lsm::PolicyCounts& policy : store_->Counts()) lost += policy.counts.counts[SL_LSM_COUNT_LOST];
  if (lost > lost_) reader_.TellLost(lost - lost_);
  lost_ = std::max(lost, lost_);
}

LsmPolicies::LsmPolicies(Options options)
    : options_(std::move(options)),
      controller_({.check_kernel = lsm::CheckKernel,
                   .open = [this] { return Open(); },
                   .end_earlier = [root = options_.bpf_root]() -> Status {
                     SL_ASSIGN_OR_RETURN(const auto store, lsm::LsmStore::Create({.pin_root = root}));
                     return store->EndOthers();
                   },
                   .compile = CompileOptionsOfHost(),
                   .node = options_.node,
                   .waits = true}) {}

Status LsmPolicies::Begin(telemetry::Telemetry* telemetry) {
  {
    const std::lock_guard lock(mutex_);
    telemetry_ = telemetry;
  }
  return controller_.Begin();
}

void LsmPolicies::Stop() {
  const std::lock_guard lock(mutex_);
  telemetry_ = nullptr;
  alerts_.reset();
}

// Enforcement does not need the alerts.
StatusOr<std::unique_ptr<lsm::LsmEnforcer>> LsmPolicies::Open() {
  const std::lock_guard lock(mutex_);
  if (telemetry_ == nullptr) return MakeError(absl::StatusCode::kUnavailable, "the agent is ending");
  const telemetry::ProcessSensor* const sensor = telemetry_->processes();
  SL_ASSIGN_OR_RETURN(auto kernel,
                      lsm::KernelLsm::Open({.pin_root = options_.bpf_root,
                                            .processes_fd = sensor == nullptr ? -1 : sensor->map_fd("processes")}));
  store_ = &kernel->store();
  alerts_ = std::make_unique<LsmAlerts>(store_, telemetry_, options_.node, options_.labels);
  return kernel;
}

telemetry::LsmNumbers LsmPolicies::Numbers() const {
  telemetry::LsmNumbers numbers;
  for (const auto& [id, report] : controller_.reports()) {
    numbers.policies.push_back({.kind = policy::KindName(id.kind),
                                .name = id.name,
                                .in_force = report.problem.empty(),
                                .blocked = report.blocked,
                                .audited = report.audited,
                                .lost = report.lost});
  }
  const std::lock_guard lock(mutex_);
  if (store_ == nullptr) return numbers;
  numbers.memory_bytes = store_->bytes();
  for (const lsm::TableFill& table : store_->Fill()) numbers.tables.push_back({table.name, table.used, table.capacity});
  if (const auto progress = store_->Progress(); progress.ok()) {
    numbers.not_judged = progress->not_judged;
    numbers.unreadable = progress->unreadable;
  }
  return numbers;
}

}  // namespace sluice
