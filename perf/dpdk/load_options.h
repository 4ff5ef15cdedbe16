// Command-line options that say which packets sluice-traffic sends.
#pragma once

#include <cstdint>
#include <string>

#include "perf/bpf/load.h"
#include "perf/rate/frame.h"

namespace sluice::perf {

struct LoadOptions {
  Ends ends;
  std::uint32_t flows = 1;
  std::uint32_t stride = 0;      // not 0: flows differ by source address, with this distance
  std::uint64_t first_flow = 0;  // in turn: where to begin
  bool random = false;           // each packet of any flow; else in turn
  bool answer = false;           // from the service's ports
  std::string raw;               // replaces all the others: a perf_load's bytes in hexadecimal
};

// InvalidArgument names an address that is invalid or cannot be used.
StatusOr<perf_load> LoadOf(const LoadOptions& options);

}  // namespace sluice::perf
