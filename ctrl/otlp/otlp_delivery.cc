#include "ctrl/otlp/otlp_delivery.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sluice::otlp {
namespace {

constexpr std::chrono::seconds kTellAgain{60};

}  // namespace

OtlpDelivery::OtlpDelivery(std::string signal, OtlpPauses pauses, std::unique_ptr<OtlpSender> sender)
    : signal_(std::move(signal)), pauses_(pauses), sender_(std::move(sender)) {
  numbers_.signal = signal_;
}

// When trouble begins and ends, and another trouble in between from time to time.
void OtlpDelivery::TellProblem(const OtlpResult& result) {
  if (result.problem == problem_) return;
  const bool was_well = problem_.empty();
  problem_ = result.problem;
  if (problem_.empty()) return LogInfo("OTLP: {} are sent again", signal_);
  if (!was_well && Clock::now() - told_at_ < kTellAgain) return;
  told_at_ = Clock::now();
  if (result.what == OtlpResult::What::kTaken)
    return LogWarn("OTLP: {}: the collector left out {}: {}", signal_, result.rejected, problem_);
  LogWarn("OTLP: {} are not sent: {}", signal_, problem_);
}

std::chrono::milliseconds OtlpDelivery::Jittered(std::chrono::milliseconds pause) {
  std::uniform_int_distribution<std::int64_t> about(pause.count() * 4 / 5, pause.count() * 6 / 5);
  return std::chrono::milliseconds(about(random_));
}

void OtlpDelivery::Deliver(std::uint64_t items, const std::function<OtlpResult(OtlpSender* sender)>& send) {
  const auto give_up_at = Clock::now() + pauses_.give_up;
  auto pause = pauses_.first;
  std::unique_lock lock(mutex_);
  while (!HasEnded()) {
    lock.unlock();
    const OtlpResult result = send(sender_.get());
    lock.lock();
    TellProblem(result);
    if (result.what == OtlpResult::What::kTaken) {
      numbers_.sent += items - result.rejected;
      numbers_.rejected += result.rejected;
      return;
    }
    numbers_.failures++;
    if (result.what == OtlpResult::What::kRefused) {
      numbers_.refused += items;
      return;
    }
    const auto until = Clock::now() + std::max(Jittered(pause), result.at_earliest);
    if (until >= give_up_at) break;
    pause = std::min(pause * 2, pauses_.longest);
    if (changed_.wait_until(lock, until, [this] { return stopping_; }))
      changed_.wait_until(lock, std::min({end_at_, until, Clock::now() + pauses_.first}), [] { return false; });
  }
  numbers_.given_up += items;
}

void OtlpDelivery::CountNoRoom(std::uint64_t items) {
  const std::lock_guard lock(mutex_);
  numbers_.no_room += items;
}

bool OtlpDelivery::Wait(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, time, [this] { return stopping_; });
}

void OtlpDelivery::Stop(std::chrono::milliseconds time) {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  end_at_ = Clock::now() + time;
  changed_.notify_all();
  changed_.wait_until(lock, end_at_, [this] { return finished_; });
  sender_->Interrupt();
}

void OtlpDelivery::Finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

bool OtlpDelivery::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

bool OtlpDelivery::ended() const {
  const std::lock_guard lock(mutex_);
  return HasEnded();
}

telemetry::OtlpNumbers OtlpDelivery::Numbers() const {
  const std::lock_guard lock(mutex_);
  return numbers_;
}

}  // namespace sluice::otlp
