// How often refused callers are reported: each user or host once in ten seconds, so that none can fill the log and the
// history of events. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace sluice::api {

class RefusalRate {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kInterval{10};
  static constexpr std::size_t kMaxShares = 64;  // those beyond are not reported until others are forgotten

  // Nothing: this refusal is not to be reported. Otherwise how many of the same share were not, since the last report.
  // `share`: as Caller.
  std::optional<std::uint64_t> Admit(const std::string& share, Clock::time_point now);

 private:
  struct Share {
    Clock::time_point reported;
    std::uint64_t unreported = 0;
  };
  std::map<std::string, Share> shares_;
};

}  // namespace sluice::api
