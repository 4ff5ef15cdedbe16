// The words of an expression in CEL. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace sluice::policy::tracee {

struct CelToken {
  enum class Kind { kEnd, kName, kText, kNumber, kSign } kind = Kind::kEnd;
  std::string text;        // of a text: its value
  std::size_t column = 1;  // in bytes
};

// InvalidArgument: "column 12: WHAT".
Status CelErrorAt(std::size_t column, std::string_view what);

// The last one is the end.
StatusOr<std::vector<CelToken>> SplitCel(std::string_view expression);

}  // namespace sluice::policy::tracee
