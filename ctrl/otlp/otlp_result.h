// What a collector's answer means for what was sent, by OTLP's rules: which errors are for another attempt, and when.
// Pure.
#pragma once

#include <grpcpp/support/status.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace sluice::otlp {

struct OtlpResult {
  enum class What {
    kTaken,
    kLater,    // to be sent again
    kRefused,  // it would be refused again
  };
  What what = What::kTaken;
  std::string problem;                         // printable; also of kTaken: the collector's warning
  std::uint64_t rejected = 0;                  // kTaken: records or data points that it left out
  std::chrono::milliseconds at_earliest = {};  // kLater: the collector asks for so long a pause; at most kLongestAsked
};

inline constexpr std::chrono::milliseconds kLongestAsked{300'000};

// Later: CANCELLED, DEADLINE_EXCEEDED, ABORTED, OUT_OF_RANGE, UNAVAILABLE, DATA_LOSS; RESOURCE_EXHAUSTED only with
// google.rpc.RetryInfo, which says that the collector expects to have room again.
OtlpResult ResultOf(const grpc::Status& status);
// Of a request with `items` that was taken, but for `rejected`: as the collector says, so any number.
OtlpResult PartialResult(std::int64_t rejected, std::uint64_t items, const std::string& message);

}  // namespace sluice::otlp
