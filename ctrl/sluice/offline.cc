#include "ctrl/sluice/offline.h"

#include <algorithm>

#include "base/printable.h"
#include "policy/lsm/parser.h"

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
  policy::ParseOptions options = ParseOptionsOf(args);
  options.pod_templates = true;
  options.checked_kinds = policy::lsm::CheckedKinds();
  options.lenient = args.lenient;
  policy::GatheredTexts gathered = policy::Gather(resources::TextsOf(files), std::move(options));
  OfflineResources read{
      .resources = {}, .checked = gathered.checked, .problems = {}, .notices = std::move(gathered.notices)};
  for (policy::Resource& resource : gathered.resources) read.resources[resource.id] = std::move(resource);
  for (const auto& [origin, problem] : gathered.problems) read.problems.push_back(CheckLine(origin, problem));
  return read;
}

}  // namespace sluice::client
