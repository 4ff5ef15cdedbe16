// YAML text -> resources, or one error that names file, document, line, field and value.
//   auto r = ParseResources("web.yaml", text);   // all documents or nothing
// Pure: no files are opened here. The only user of yaml-cpp (policy/yaml.h).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "policy/model.h"

namespace sluice::policy {

// Larger texts are refused before they are parsed.
inline constexpr std::size_t kMaxResourceBytes = 32U << 20U;

// Every document of `text` in order; empty documents are skipped; `List` kinds (v1 List) are unfolded.
// `origin` (a file name, "stdin", ...) starts each error:
//   web.yaml:12: NetworkPolicy shop/db: spec.ingress[0].ports[0].endPort: 79 is below port 80
StatusOr<std::vector<Resource>> ParseResources(std::string_view origin, std::string_view text);

// One document as JSON text, for `get -o json`.
StatusOr<std::string> YamlToJson(std::string_view yaml);

}  // namespace sluice::policy
