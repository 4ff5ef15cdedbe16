// What Responses did. A value.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sluice::telemetry {

struct ResponseNumbers {
  struct Answers {
    std::string action;   // "QUARANTINE"
    std::string outcome;  // "DONE", "FAILED", "DRY_RUN"
    std::uint64_t count = 0;
  };
  struct Response {
    std::string name;
    std::vector<Answers> answers;  // of every Response the same actions and outcomes, in one order
    std::uint64_t spared = 0;
    std::uint64_t limited = 0;
  };
  std::vector<Response> responses;
  std::uint64_t events_lost = 0;  // that may have had an answer
  std::uint64_t forensic_bytes = 0;
  std::uint64_t forensic_files = 0;
  std::uint64_t forensic_removed = 0;  // files
};

using ResponsesNow = std::function<ResponseNumbers()>;  // thread-safe

}  // namespace sluice::telemetry
