// How long to wait after a failure: exponential backoff with full jitter. Pure, for one thread.
#pragma once

#include <functional>
#include <optional>

#include "ctrl/kube/environment.h"
#include "ctrl/kube/options.h"

namespace sluice::kube {

class Backoff {
 public:
  // `random` as in Environment.
  Backoff(const Timing& timing, std::function<double()> random);

  // After a failure: a random time up to the limit, which doubles for the next failure.
  Timing::Duration Next(TimePoint now);
  // It works from now on. The limit starts anew when it still works Timing::healthy later.
  void Works(TimePoint now);

  std::size_t failures() const { return failures_; }  // since the limit started anew

 private:
  Timing::Duration first_;
  Timing::Duration last_;
  Timing::Duration healthy_;
  std::function<double()> random_;
  std::size_t failures_ = 0;
  std::optional<TimePoint> works_since_;
};

}  // namespace sluice::kube
