#include "ctrl/api/refusal_rate.h"

#include <utility>

namespace sluice::api {

std::optional<std::uint64_t> RefusalRate::Admit(const std::string& share, Clock::time_point now) {
  if (const auto known = shares_.find(share); known != shares_.end()) {
    if (now - known->second.reported < kInterval) {
      known->second.unreported++;
      return std::nullopt;
    }
    known->second.reported = now;
    return std::exchange(known->second.unreported, 0);
  }
  if (shares_.size() >= kMaxShares) {
    std::erase_if(shares_, [&](const auto& one) { return now - one.second.reported >= kInterval; });
    if (shares_.size() >= kMaxShares) return std::nullopt;
  }
  shares_[share].reported = now;
  return 0;
}

}  // namespace sluice::api
