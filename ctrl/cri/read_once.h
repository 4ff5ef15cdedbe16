// What is known of things that a list names and that never change: each is read once. What could not be read is tried
// again after 200 ms, then after twice as long each time, 30 s at most. Not thread-safe.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sluice::cri {

template <typename Value>
class ReadOnce {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Forgets everything that is not among the keys of `listed`. Answers which of them should be read now. `gone`: a
  // known value was forgotten.
  template <typename Item>
  std::vector<std::string> Listed(const std::map<std::string, Item>& listed, Time now, bool* gone) {
    *gone = std::erase_if(known_, [&](const auto& entry) { return !listed.contains(entry.first); }) != 0;
    std::erase_if(failed_, [&](const auto& entry) { return !listed.contains(entry.first); });
    std::vector<std::string> due;
    for (const auto& [id, item] : listed) {
      if (known_.contains(id)) continue;
      const auto failed = failed_.find(id);
      if (failed == failed_.end() || failed->second.again <= now) due.push_back(id);
    }
    return due;
  }

  void Read(const std::string& id, Value value) {
    failed_.erase(id);
    known_.insert_or_assign(id, std::move(value));
  }

  // True: for the first time.
  bool Failed(const std::string& id, std::string error, Time now) {
    const auto [failed, first] = failed_.try_emplace(id);
    failed->second.wait = first ? kFirstWait : std::min(2 * failed->second.wait, kLongestWait);
    failed->second.again = now + failed->second.wait;
    failed->second.error = std::move(error);
    return first;
  }

  const std::map<std::string, Value>& known() const { return known_; }
  std::size_t failed() const { return failed_.size(); }
  std::string an_error() const { return failed_.empty() ? "" : failed_.begin()->second.error; }

  // When the next of what failed is due; nothing: nothing failed.
  std::optional<Time> again() const {
    std::optional<Time> first;
    for (const auto& [id, failed] : failed_) first = first ? std::min(*first, failed.again) : failed.again;
    return first;
  }

 private:
  static constexpr std::chrono::milliseconds kFirstWait{200};
  static constexpr std::chrono::milliseconds kLongestWait{30'000};

  struct Failure {
    std::chrono::milliseconds wait{};
    Time again;
    std::string error;
  };

  std::map<std::string, Value> known_;
  std::map<std::string, Failure> failed_;
};

}  // namespace sluice::cri
