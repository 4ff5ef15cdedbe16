// A limit on a rate. Pure, for one thread.
#pragma once

#include <algorithm>

#include "ctrl/kube/environment.h"

namespace sluice::kube {

class TokenBucket {
 public:
  // Full at first. `rate`: tokens a second.
  TokenBucket(double rate, double burst, TimePoint now) : rate_(rate), burst_(burst), tokens_(burst), filled_(now) {}

  // False: none is left.
  bool Take(TimePoint now) {
    Fill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // When the next token can be taken; not before `now`.
  TimePoint Next(TimePoint now) {
    Fill(now);
    if (tokens_ >= 1) return now;
    // One millisecond more than computed, so that rounding cannot make the caller come too early.
    const auto wait = std::chrono::duration<double>((1 - tokens_) / rate_) + std::chrono::milliseconds(1);
    return now + std::chrono::duration_cast<TimePoint::duration>(wait);
  }

 private:
  void Fill(TimePoint now) {
    tokens_ = std::min(burst_, tokens_ + std::chrono::duration<double>(now - filled_).count() * rate_);
    filled_ = now;
  }

  double rate_;
  double burst_;
  double tokens_;
  TimePoint filled_;
};

}  // namespace sluice::kube
