// The part of kubectl's JSONPath that names values: `.metadata.name`, `.status.ips[0]`, `.items[*].metadata.name`,
// `.metadata.labels['app.kubernetes.io/name']` or `.metadata.labels.app\.kubernetes\.io/name`. Pure.
//   SL_ASSIGN_OR_RETURN(const JsonPath path, JsonPath::Parse(".metadata.name"));
//   path.Find(object);
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"

namespace sluice::client {

using Json = nlohmann::ordered_json;

class JsonPath {
 public:
  // With or without the first dot. InvalidArgument says what is not supported, and what is.
  static StatusOr<JsonPath> Parse(std::string_view text);

  // The values that are there, in order. They live as long as `root`.
  std::vector<const Json*> Find(const Json& root) const;

 private:
  struct All {};  // [*]
  using Step = std::variant<std::string, std::int64_t, All>;
  std::vector<Step> steps_;
};

// A template: text, paths in braces and strings in braces: `{.metadata.name}{"\n"}`.
class JsonTemplate {
 public:
  static StatusOr<JsonTemplate> Parse(std::string_view text);
  std::string Fill(const Json& root) const;

 private:
  std::vector<std::variant<std::string, JsonPath>> parts_;
};

// Strings as they are, everything else as JSON; joined by `separator`.
std::string ValuesText(const std::vector<const Json*>& values, std::string_view separator);

}  // namespace sluice::client
