// JSON text -> plain trees: the adapter of nlohmann::json for reading.
#pragma once

#include "policy/resource/tree_builder.h"

namespace sluice::policy {

// The values of `text` in order, objects and arrays one after the other with nothing but white space between them and
// before; `line` is that of its first character. False: it is not JSON (YAML's flow style begins likewise), and nothing
// is in `documents`. Throws TreeError where it is JSON that policy/resource/yaml.h refuses.
bool ReadJson(std::string_view text, int line, TreeBuilder& builder, std::vector<TreeBuilder::Node>& documents);

}  // namespace sluice::policy
