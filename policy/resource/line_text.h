// Where in a text something is, for messages. Pure.
#pragma once

#include <fmt/format.h>

#include <string>

#include "policy/resource/yaml.h"

namespace sluice::policy {

// "line 12: "; empty: it is not from a text, as an object of an API server.
inline std::string LineText(const Place& place) {
  return place.line > 0 ? fmt::format("line {}: ", place.line) : std::string();
}

}  // namespace sluice::policy
