// Parts of the API server's JSON as the trees that policy/resource parses. Pure.
#pragma once

#include <memory>
#include <string_view>

#include "ctrl/kube/api_json.h"
#include "policy/resource/yaml.h"

namespace sluice::kube {

using Tree = std::shared_ptr<policy::YamlNode>;

Tree NewMap();
Tree NewSequence();
Tree NewString(std::string_view text);
void AddTo(policy::YamlNode& map, std::string_view key, Tree value);

// The whole value. Null: it is nested deeper than policy::kMaxYamlDepth.
Tree CopyJson(const JsonElement& value);
// Adds the field `key` of `object` to `map`, whole, if it is there and not too deep. False: too deep.
bool CopyField(const JsonElement& object, std::string_view key, policy::YamlNode& map);

}  // namespace sluice::kube
