// Any bytes as a resource file: no crash, no hang, and accepted resources are read back equal from their normal form.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "policy/resource/parser.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using sluice::policy::ParseResources;
  using sluice::policy::YamlToJson;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto json = YamlToJson(text);
  const auto resources = ParseResources("fuzz", text);
  if (!resources.ok()) return 0;
  for (const auto& resource : *resources) {
    const auto again = ParseResources("fuzz", resource.yaml);
    if (!again.ok() || again->size() != 1) std::abort();
    if (again->front().id != resource.id || again->front().yaml != resource.yaml) std::abort();
    if (!YamlToJson(resource.yaml).ok()) std::abort();
  }
  return 0;
}
