// The options of `observe` as a request. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

// A filter flag with a value, as it was typed.
struct Condition {
  std::string flag;   // "--port"
  std::string value;  // perhaps several, by commas
  bool negated = false;
};

struct ObserveOptions {
  bool follow = false;
  std::optional<std::uint32_t> last;
  bool all = false;
  bool host = false;
  bool all_namespaces = false;
  std::string since;
  std::string until;
  std::vector<Condition> conditions;
  bool dangling_not = false;  // --not, and no flag after it
  std::string output = "compact";
  std::string fields;
};

// InvalidArgument names the option that can match nothing. `now`: --since 5m is relative to it.
StatusOr<v1::ObserveRequest> ToRequest(const ObserveOptions& options, std::chrono::system_clock::time_point now);

}  // namespace sluice::client
