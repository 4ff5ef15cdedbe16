#include "policy/response/match.h"

#include <algorithm>

namespace sluice::policy::response {
namespace {

bool MatchesOne(const std::vector<std::string>& patterns, std::string_view text) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return PatternMatches(pattern, text); });
}

bool MatchesOneOf(const std::vector<std::string>& patterns, const std::vector<std::string>& texts) {
  return patterns.empty() ||
         std::any_of(texts.begin(), texts.end(), [&](const std::string& text) { return MatchesOne(patterns, text); });
}

// A pattern with a "/" is for the whole name.
bool IsNamed(const std::vector<std::string>& patterns, const ObjectName& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const std::string& pattern) {
    const bool is_whole = pattern.find('/') != std::string::npos;
    return PatternMatches(pattern, is_whole ? name.ns + "/" + name.name : name.name);
  });
}

bool Holds(const Condition& condition, const Cause& cause) {
  const auto& sources = condition.sources;
  if (!sources.empty() && std::find(sources.begin(), sources.end(), cause.source) == sources.end()) return false;
  if (condition.priority && (!cause.priority || *cause.priority > *condition.priority)) return false;
  if (condition.severity && (!cause.severity || *cause.severity < *condition.severity)) return false;
  const bool has_policy = condition.policies.empty() ||
                          std::any_of(cause.policies.begin(), cause.policies.end(),
                                      [&](const ObjectName& policy) { return IsNamed(condition.policies, policy); });
  return has_policy && MatchesOneOf(condition.rules, cause.rules) && MatchesOneOf(condition.tags, cause.tags);
}

bool Contains(const WorkloadSet& set, const Cause& cause) {
  if (set.host || cause.workload.name.empty()) return set.host && cause.workload.name.empty();
  return (set.names.empty() || IsNamed(set.names, cause.workload)) &&
         (set.namespaces.empty() || MatchesOne(set.namespaces, cause.workload.ns)) &&
         (!set.selector || set.selector->Matches(cause.labels));
}

bool ContainsAny(const std::vector<WorkloadSet>& sets, const Cause& cause) {
  return std::any_of(sets.begin(), sets.end(), [&](const WorkloadSet& set) { return Contains(set, cause); });
}

}  // namespace

bool PatternMatches(std::string_view pattern, std::string_view text) {
  std::size_t at = 0, in_text = 0;
  std::size_t star = std::string_view::npos, after_star = 0;  // the last "*", and what it stands for up to now
  while (in_text < text.size()) {
    if (at < pattern.size() && pattern[at] == '*') {
      star = at++;
      after_star = in_text;
    } else if (at < pattern.size() && pattern[at] == text[in_text]) {
      ++at;
      ++in_text;
    } else if (star != std::string_view::npos) {
      at = star + 1;
      in_text = ++after_star;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', at) == std::string_view::npos;
}

bool Answers(const Response& response, const Cause& cause) {
  const bool is_of_it =
      response.workloads.empty() ? !cause.workload.name.empty() : ContainsAny(response.workloads, cause);
  return is_of_it && std::any_of(response.match.begin(), response.match.end(),
                                 [&](const Condition& condition) { return Holds(condition, cause); });
}

bool Spares(const Response& response, const Cause& cause) { return ContainsAny(response.never, cause); }

}  // namespace sluice::policy::response
