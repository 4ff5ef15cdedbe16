// The options of `observe` as a request. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::client {

struct ObserveOptions {
  bool follow = false;
  std::uint32_t last = 0;
  std::string verdict;
  std::string workload;  // namespace/name
  std::string process;
  std::string type;  // empty: all but forks, which are many and tell little; "all": these too
  std::uint32_t port = 0;
  std::string output = "table";
};

// InvalidArgument names the option that can match nothing.
StatusOr<v1::ObserveRequest> ToRequest(const ObserveOptions& options);

}  // namespace sluice::client
