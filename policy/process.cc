#include "policy/process.h"

#include <algorithm>

#include "policy/glob.h"

namespace sluice::policy {
namespace {

bool MatchesAny(const std::vector<std::string>& patterns, const std::string& path) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return GlobMatches(pattern, path); });
}

}  // namespace

Met Meets(const Process& process, const ProcessMatch& match) {
  const bool binary = match.binaries.empty() || MatchesAny(match.binaries, process.binary) ||
                      (!process.script.empty() && MatchesAny(match.binaries, process.script));  // 43
  if (!binary) return Met::kNo;
  const bool ancestor = match.ancestors.empty() ||
                        std::any_of(process.ancestors.begin(), process.ancestors.end(),
                                    [&](const std::string& path) { return MatchesAny(match.ancestors, path); });  // 44
  if (ancestor) return Met::kYes;
  return process.more_ancestors ? Met::kNotKnown : Met::kNo;  // 46
}

bool MatchesUnknown(const NetworkPolicy& policy, const Rule& rule) {
  const bool closed = policy.unknown_processes == UnknownProcesses::kDeny;
  return closed == (rule.action != RuleAction::kAllow);  // 47
}

}  // namespace sluice::policy
