// What a fake was asked for, as texts, and where a test lets it fail.
//   RecordedCalls calls;
//   calls.FailNext("Put files", Status(...));
//   SL_RETURN_IF_ERROR(calls.Call("Put files"));
#pragma once

#include <deque>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"

namespace sluice::test {

class RecordedCalls {
 public:
  // The next such call returns `error`.
  void FailNext(const std::string& call, Status error) { failures_[call].push_back(std::move(error)); }
  // Oldest first.
  std::vector<std::string> Take() { return std::exchange(calls_, {}); }
  Status Call(const std::string& call) {
    calls_.push_back(call);
    auto& failures = failures_[call];
    if (failures.empty()) return OkStatus();
    Status error = std::move(failures.front());
    failures.pop_front();
    return error;
  }

 private:
  std::map<std::string, std::deque<Status>> failures_;
  std::vector<std::string> calls_;
};

}  // namespace sluice::test
