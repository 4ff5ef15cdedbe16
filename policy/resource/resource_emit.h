// A tree as YAML text in one normal form. Pure.
#pragma once

#include <string>

#include "policy/resource/yaml.h"

namespace sluice::policy {

// Block style, two spaces, aliases expanded, strings quoted where they could be read as another type.
// ParseYaml reads the same tree back.
std::string EmitYaml(const YamlNode& map);

}  // namespace sluice::policy
