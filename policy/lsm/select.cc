#include "policy/lsm/select.h"

#include <re2/re2.h>

#include <algorithm>

namespace sluice::policy::lsm {
namespace {

bool IsOneOf(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool HasLabel(const Labels& labels, const std::string& key, const std::string& value) {
  const auto found = labels.find(key);
  return found != labels.end() && found->second == value;
}

bool HasAll(const Labels& labels, const Labels& wanted) {
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const auto& one) { return HasLabel(labels, one.first, one.second); });
}

bool Fits(const Selection::LabelSet& set, const Labels& labels) {
  const bool has_one = std::any_of(set.labels.begin(), set.labels.end(),
                                   [&](const auto& one) { return HasLabel(labels, one.first, one.second); });
  return has_one != set.negated;
}

}  // namespace

bool Selects(const Policy& policy, const ContainerFacts& container) {
  const Selection& selection = policy.selection;
  if (policy.kind == Policy::Kind::kHost) return false;
  if (policy.kind == Policy::Kind::kPods && policy.name.ns != container.ns) return false;
  if (!selection.containers.empty() && !IsOneOf(selection.containers, container.container)) return false;
  return HasAll(container.labels, selection.labels) &&
         std::all_of(selection.label_sets.begin(), selection.label_sets.end(),
                     [&](const auto& set) { return Fits(set, container.labels); }) &&
         std::all_of(selection.namespaces.begin(), selection.namespaces.end(),
                     [&](const auto& set) { return IsOneOf(set.names, container.ns) != set.negated; });
}

bool Selects(const Policy& policy, const NodeFacts& node) {
  const Selection& selection = policy.selection;
  if (policy.kind != Policy::Kind::kHost || !HasAll(node.labels, selection.labels)) return false;
  if (!selection.hostnames.empty() && !IsOneOf(selection.hostnames, node.hostname)) return false;
  return selection.hostname_pattern.empty() || RE2::PartialMatch(node.hostname, selection.hostname_pattern);
}

}  // namespace sluice::policy::lsm
