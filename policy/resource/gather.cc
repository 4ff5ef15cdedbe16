#include "policy/resource/gather.h"

#include <fmt/format.h>

#include <map>

namespace sluice::policy {
namespace {

Problem DefinedTwiceIn(std::string_view first, const Place& place, const std::string& id, const std::string& object) {
  return {.place = place,
          .subject = id,
          .object = object,
          .what = fmt::format("defined twice: {} has it too. Kubernetes would keep the last: remove one", first)};
}

}  // namespace

Status GatheredTexts::FirstError() const {
  if (problems.empty()) return OkStatus();
  std::vector<Problem> of_one;
  for (const Wrong& wrong : problems) {
    if (wrong.origin == problems.front().origin) of_one.push_back(wrong.problem);
  }
  return ToStatus(problems.front().origin, of_one);
}

GatheredTexts Gather(const std::vector<SourceText>& texts, ParseOptions options) {
  const bool says_default = options.default_namespace.empty();
  if (says_default) options.default_namespace = "default";
  GatheredTexts gathered;
  std::map<ResourceId, std::string> first_places;
  for (const SourceText& text : texts) {
    const std::string origin(text.origin);
    ParsedText parsed = ParseText(text.origin, text.text, options);
    for (Problem& problem : parsed.problems) gathered.problems.push_back({origin, std::move(problem)});
    for (const Problem& warning : parsed.warnings) gathered.notices.push_back(WarningText(origin, warning));
    for (const Problem& skipped : parsed.skipped) gathered.notices.push_back(SkippedText(origin, skipped));
    if (parsed.without_namespace != 0 && says_default) {
      gathered.notices.push_back(DefaultNamespaceText(origin, parsed.without_namespace));
    }
    for (std::size_t i = 0; i < parsed.resources.size(); ++i) {
      Resource& resource = parsed.resources[i];
      const Place& place = parsed.places[i];
      const auto [first, added] = first_places.emplace(resource.id, fmt::format("{}:{}", origin, place.line));
      if (added) {
        gathered.resources.push_back(std::move(resource));
        gathered.origins.push_back(origin);
        continue;
      }
      gathered.problems.push_back(
          {origin, DefinedTwiceIn(first->second, place, resource.id.ToString(),
                                  fmt::format("{}/{}", KindName(resource.id.kind), resource.id.name.name))});
    }
  }
  return gathered;
}

}  // namespace sluice::policy
