#include "policy/network/process.h"

#include <algorithm>

#include "policy/network/glob.h"

namespace sluice::policy {
namespace {

bool MatchesAny(const std::vector<std::string>& patterns, const std::string& path) {
  return !path.empty() && std::any_of(patterns.begin(), patterns.end(),
                                      [&](const std::string& pattern) { return GlobMatches(pattern, path); });
}

}  // namespace

Met Meets(const Process& process, const ProcessMatch& match) {
  const bool by_binary = match.binaries.empty() || MatchesAny(match.binaries, process.binary) ||
                         (!process.script.empty() && MatchesAny(match.binaries, process.script));  // 43
  const bool by_ancestor = match.ancestors.empty() || std::any_of(process.ancestors.begin(), process.ancestors.end(),
                                                                  [&](const std::string& path) {
                                                                    return MatchesAny(match.ancestors, path);
                                                                  });                            // 44
  const bool knows_binary = !process.binary.empty(), knows_ancestors = !process.more_ancestors;  // 46
  if ((!by_binary && knows_binary) || (!by_ancestor && knows_ancestors)) return Met::kNo;
  return by_binary && by_ancestor ? Met::kYes : Met::kNotKnown;
}

bool MatchesUnknown(const NetworkPolicy& policy, const Rule& rule) {
  const bool closed = policy.unknown_processes == UnknownProcesses::kDeny;
  return closed == (rule.action != RuleAction::kAllow);  // 47
}

}  // namespace sluice::policy
