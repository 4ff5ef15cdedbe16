// JSON text -> plain trees: the adapter of nlohmann::json for reading.
#pragma once

#include "policy/resource/tree_builder.h"

namespace sluice::policy {

// Reads the objects and arrays of `text` in order; only white space may separate them. `line` is the line of the first
// character. False: the text is not JSON (YAML's flow style looks the same at first), and `documents` is empty. Throws
// TreeError for JSON that policy/resource/yaml.h refuses.
bool ReadJson(std::string_view text, int line, TreeBuilder& builder, std::vector<TreeBuilder::Node>& documents);

}  // namespace sluice::policy
