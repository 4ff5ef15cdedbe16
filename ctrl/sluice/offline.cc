#include "ctrl/sluice/offline.h"

#include <algorithm>

#include "base/printable.h"
#include "policy/resource/parser.h"

namespace sluice::client {
namespace {

std::string CheckLine(const std::string& file, const policy::Problem& problem) {
  const std::string object = problem.object.empty() ? problem.subject : problem.object;
  std::string line =
      fmt::format("{}:{}:{}: ", file, std::max(problem.place.line, 1), std::max(problem.place.column, 1));
  if (!object.empty()) line += object + ": ";
  return Printable(line + problem.what);
}

}  // namespace

OfflineResources ReadOffline(const std::vector<resources::ResourceFile>& files, const ResourceArgs& args) {
  policy::ParseOptions options{.skip_unknown = args.skip_unknown, .pod_templates = true};
  if (!args.default_namespace.empty()) options.default_namespace = args.default_namespace;
  OfflineResources read;
  std::map<policy::ResourceId, std::string> origins;
  for (const resources::ResourceFile& file : files) {
    policy::ParsedText parsed = policy::ParseText(file.path, file.text, options);
    for (const policy::Problem& problem : parsed.problems) read.problems.push_back(CheckLine(file.path, problem));
    for (const policy::Problem& skipped : parsed.skipped) {
      read.notices.push_back(policy::SkippedText(file.path, skipped));
    }
    if (parsed.without_namespace != 0 && args.default_namespace.empty()) {
      read.notices.push_back(policy::DefaultNamespaceText(file.path, parsed.without_namespace));
    }
    for (std::size_t i = 0; i < parsed.resources.size(); ++i) {
      policy::Resource& resource = parsed.resources[i];
      const policy::Place& place = parsed.places[i];
      const auto [first, added] = origins.emplace(resource.id, fmt::format("{}:{}", file.path, place.line));
      if (added) {
        read.resources.insert_or_assign(resource.id, std::move(resource));
        continue;
      }
      read.problems.push_back(CheckLine(
          file.path, {.place = place,
                      .object = fmt::format("{}/{}", policy::KindName(resource.id.kind), resource.id.name.name),
                      .what = fmt::format("defined twice: {} has it too. Kubernetes would keep the last: remove one",
                                          first->second)}));
    }
  }
  return read;
}

}  // namespace sluice::client
