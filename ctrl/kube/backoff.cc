#include "ctrl/kube/backoff.h"

#include <algorithm>
#include <utility>

namespace sluice::kube {

Backoff::Backoff(const Timing& timing, std::function<double()> random)
    : first_(timing.backoff_first), last_(timing.backoff_last), healthy_(timing.healthy), random_(std::move(random)) {}

Timing::Duration Backoff::Next(TimePoint now) {
  if (works_since_ && now - *works_since_ >= healthy_) failures_ = 0;
  works_since_.reset();
  const std::size_t doublings = std::min<std::size_t>(failures_++, 30);
  const Timing::Duration limit = std::min(last_, first_ * (std::int64_t{1} << doublings));
  return std::chrono::duration_cast<Timing::Duration>(limit * random_());
}

void Backoff::Works(TimePoint now) {
  if (!works_since_) works_since_ = now;
}

}  // namespace sluice::kube
