#include "kernel/calls/call_store.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/calls/call_kinds.h"
#include "kernel/calls/wanted_classes.h"

namespace sluice::calls {
namespace {

using policy::rules::Container;
using policy::rules::EventSet;
using policy::rules::Prefilter;
using policy::rules::Ruleset;

constexpr std::size_t kMostContainers = 4096;  // whose kinds are remembered

}  // namespace

struct CallStore::Wanted {
  WantedClasses classes;
  CallNumberTables numbers;
};

StatusOr<std::unique_ptr<CallStore>> CallStore::Create(const CallStoreOptions& options) {
  return std::unique_ptr<CallStore>(new CallStore(options));
}

CallStore::~CallStore() = default;

const EventSet& CallStore::SupportedTypes() {
  static const EventSet types = [] {
    EventSet made;
    for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) made.set(TypeOf(static_cast<sl_call_kind>(i)));
    return made;
  }();
  return types;
}

// What is added is in the filters before calls are looked at; what goes is looked at until the filters leave it out.
Status CallStore::Require(const std::vector<std::shared_ptr<const Ruleset>>& rulesets) {
  auto prefilter = std::make_shared<const Prefilter>(rulesets);
  Wanted wanted{.classes = ComputeWantedClasses(*prefilter), .numbers = {}};
  wanted.numbers = TablesOf(wanted.classes.kinds);
  const std::lock_guard lock(mutex_);
  if (wanted.classes.kinds == 0 && programs_ == nullptr) return OkStatus();
  if (programs_ == nullptr) {
    SL_ASSIGN_OR_RETURN(
        auto made, bpf::CallPrograms::Load({.processes_fd = options_.processes_fd, .ring_bytes = options_.ring_bytes}));
    made->SetParts(shares_);
    programs_ = std::move(made);
    wake_.notify_all();
  }
  SL_RETURN_IF_ERROR(Apply(wanted));
  prefilter_ = std::move(prefilter);
  kinds_ = wanted.classes.kinds;
  container_kinds_.clear();
  return OkStatus();
}

Status CallStore::Apply(const Wanted& wanted) {
  if (wanted.classes.kinds == 0) {
    programs_->SetKinds({}, {});
    programs_->Detach();
    return OkStatus();
  }
  SL_RETURN_IF_ERROR(programs_->SetFilters(wanted.classes.filters, wanted.classes.name_sets, wanted.classes.names));
  const bool rings = std::ranges::any_of(wanted.numbers.rings, [](std::uint8_t kind) { return kind != SL_CALL_NONE; });
  SL_RETURN_IF_ERROR(programs_->Attach(rings));
  SL_RETURN_IF_ERROR(programs_->SwapHalves());
  programs_->SetKinds(wanted.numbers.kinds, wanted.numbers.rings);
  return OkStatus();
}

std::uint64_t CallStore::KindsIn(const std::shared_ptr<const Container>& container) {
  if (container == nullptr || prefilter_ == nullptr) return ~std::uint64_t{0};
  if (const auto known = container_kinds_.find(container); known != container_kinds_.end()) return known->second;
  std::uint64_t kinds = 0;
  for (std::size_t i = 1; i < SL_CALL_KIND_COUNT; ++i) {
    if ((kinds_ >> i & 1) != 0 && prefilter_->Wants(TypeOf(static_cast<sl_call_kind>(i)), container.get()))
      kinds |= std::uint64_t{1} << i;
  }
  if (container_kinds_.size() >= kMostContainers) container_kinds_.clear();
  container_kinds_.emplace(container, kinds);
  return kinds;
}

void CallStore::SetPlace(const sl_call_place_key& place, const std::shared_ptr<const Container>& container,
                         std::uint32_t share) {
  const std::lock_guard lock(mutex_);
  if (programs_ == nullptr) return;
  const sl_call_place known{
      .kinds = KindsIn(container), .epoch = programs_->epoch(), .share = share < SL_CALL_SHARES ? share : 0};
  // Without an entry everything is wanted.
  if (const Status put = programs_->places().Put(place, known); !put.ok()) LogDebug("{}", Message(put));
}

void CallStore::ForgetPlaces() {
  const std::lock_guard lock(mutex_);
  container_kinds_.clear();
  if (programs_ != nullptr) programs_->ForgetPlaces();
}

void CallStore::SetShares(std::uint32_t count) {
  const std::lock_guard lock(mutex_);
  shares_ = std::max<std::uint32_t>(count, 1);
  if (programs_ != nullptr) programs_->SetParts(shares_);
}

std::shared_ptr<bpf::CallPrograms> CallStore::loaded_now() const {
  const std::lock_guard lock(mutex_);
  return programs_;
}

int CallStore::Drain(const Consume& consume) {
  const auto programs = loaded_now();
  return programs == nullptr ? 0 : programs->Drain(consume);
}

void CallStore::Wait(std::chrono::milliseconds timeout) const {
  if (const auto programs = loaded_now()) return programs->Wait(timeout);
  std::unique_lock lock(mutex_);
  wake_.wait_for(lock, timeout, [this] { return woken_ || programs_ != nullptr; });
  woken_ = false;
}

void CallStore::Wake() const {
  const std::lock_guard lock(mutex_);
  if (programs_ != nullptr) return programs_->Wake();
  woken_ = true;
  wake_.notify_all();
}

std::vector<CallLoss> CallStore::TakeLosses() {
  const std::lock_guard lock(mutex_);
  std::vector<CallLoss> losses;
  if (programs_ == nullptr) return losses;
  const Status read = programs_->losses().ForEach([&](const sl_call_loss_key& key, const std::uint64_t& count) {
    std::uint64_t& known = known_losses_[{key.share, key.kind}];
    if (count == known) return;
    CallLoss loss{.share = key.share < SL_CALL_SHARES ? key.share : 0, .count = count - known};
    if (key.kind > SL_CALL_NONE && key.kind < SL_CALL_KIND_COUNT)
      loss.type = TypeOf(static_cast<sl_call_kind>(key.kind));
    known = count;
    losses.push_back(loss);
  });
  if (!read.ok()) LogWarn("losses of the sensors of system calls: {}", Message(read));
  return losses;
}

bool CallStore::attached() const {
  const std::lock_guard lock(mutex_);
  return programs_ != nullptr && programs_->attached();
}

std::uint64_t CallStore::bytes() const {
  const auto programs = loaded_now();
  return programs == nullptr ? 0 : programs->bytes();
}

std::string CallStore::missing() const {
  const auto programs = loaded_now();
  if (programs == nullptr || programs->has_rings()) return "";
  return "operations of io_uring: this kernel lacks its tracepoints";
}

}  // namespace sluice::calls
