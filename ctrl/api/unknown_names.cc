#include "ctrl/api/unknown_names.h"

#include "base/nearest.h"

namespace sluice::api {
namespace {

constexpr std::size_t kTold = 5;

std::string Suggestion(const std::vector<std::string>& known, const std::string& word) {
  const std::string nearest = Nearest(known, word);
  return nearest.empty() ? "" : "; did you mean " + nearest + "?";
}

// Empty: it is known.
std::string TellNamespace(const policy::Snapshot& snapshot, const std::string& ns) {
  if (snapshot.namespaces.contains(ns)) return "";
  std::vector<std::string> known;
  for (const auto& [name, labels] : snapshot.namespaces) known.push_back(name);
  return fmt::format("namespace {}: the agent knows none of this name{}", ns, Suggestion(known, ns));
}

std::string TellWorkload(const reconcile::View& view, const policy::ObjectName& workload) {
  for (const policy::Kind kind : {policy::Kind::kWorkload, policy::Kind::kPod}) {
    if (view.resources.contains({kind, workload})) return "";
  }
  std::vector<std::string> known;
  for (const policy::Endpoint& endpoint : view.compiled.snapshot->endpoints) known.push_back(endpoint.name.ToString());
  return fmt::format("workload {}: the agent knows none of this name now{}", workload.ToString(),
                     Suggestion(known, workload.ToString()));
}

}  // namespace

std::vector<std::string> TellUnknownNames(const reconcile::View& view, const std::vector<policy::ObjectName>& names) {
  std::vector<std::string> lines;
  std::size_t more = 0;
  for (const policy::ObjectName& name : names) {
    std::string line = name.name.empty() ? TellNamespace(*view.compiled.snapshot, name.ns) : TellWorkload(view, name);
    if (line.empty()) continue;
    if (lines.size() < kTold) {
      lines.push_back(std::move(line));
    } else {
      more++;
    }
  }
  if (more != 0) lines.push_back(fmt::format("{} more names are not known", more));
  return lines;
}

}  // namespace sluice::api
