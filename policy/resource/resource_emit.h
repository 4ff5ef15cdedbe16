// A tree as YAML text in one normal form. Pure.
#pragma once

#include <string>

#include "policy/resource/yaml.h"

namespace sluice::policy {

// Block style, two spaces, aliases expanded, strings quoted where they would be read as something else.
// ParseYaml reads the same tree from it.
std::string EmitYaml(const YamlNode& map);

}  // namespace sluice::policy
