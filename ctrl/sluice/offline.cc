#include "ctrl/sluice/offline.h"

#include <algorithm>
#include <set>

#include "base/printable.h"
#include "policy/tracee/detector.h"
#include "policy/tracee/policy.h"

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
  std::vector<policy::SourceText> texts;
  OfflineResources read;
  std::vector<policy::tracee::DetectorFile> policies, detectors;
  for (const resources::ResourceFile& file : files) {
    const bool has_policies = policy::tracee::IsPolicyText(file.text);
    const bool has_detectors = policy::tracee::IsDetectorText(file.text);
    if (has_policies) policies.push_back({.path = file.path, .text = file.text});
    if (has_detectors) detectors.push_back({.path = file.path, .text = file.text});
    if (!has_policies && !has_detectors) texts.push_back({file.path, file.text});
  }
  const policy::tracee::LoadedDetectors detected = policy::tracee::LoadDetectors(detectors);
  read.detection_policies += detected.detectors + detected.lists;
  for (const policy::tracee::DetectorFile& file : policies) {
    const policy::tracee::LoadedPolicies loaded = policy::tracee::LoadPolicies(file.path, file.text, detected.events);
    read.detection_policies += loaded.policies;
    for (const policy::Problem& problem : loaded.problems) read.problems.push_back(CheckLine(file.path, problem));
  }
  for (const policy::tracee::FileProblem& one : detected.problems)
    read.problems.push_back(CheckLine(one.file, one.problem));
  policy::GatheredTexts gathered = policy::Gather(texts, std::move(options));
  read.notices = std::move(gathered.notices);
  for (policy::Resource& resource : gathered.resources) read.resources[resource.id] = std::move(resource);
  for (const auto& [origin, problem] : gathered.problems) read.problems.push_back(CheckLine(origin, problem));
  return read;
}

std::string PodsOf(const policy::ResourceMap& resources, const std::string& end) {
  const std::size_t slash = end.find('/');
  if (slash == std::string::npos) return end;
  std::set<std::string> found;
  for (const policy::Kind kind : {policy::Kind::kWorkload, policy::Kind::kPod}) {
    if (resources.contains({kind, {end.substr(0, slash), end.substr(slash + 1)}})) return end;
    for (const auto& [id, resource] : resources.of(kind)) {
      if (id.name.ns == end.substr(0, slash) && id.name.name.ends_with(end.substr(slash)))
        found.insert(id.name.ToString());
    }
  }
  return found.size() == 1 ? *found.begin() : end;
}

}  // namespace sluice::client
