// spec.selector and spec.nodeSelector.
#include <re2/re2.h>

#include <algorithm>

#include "policy/lsm/limits.h"
#include "policy/lsm/parse_parts.h"
#include "policy/resource/resource_common.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::string_view kContainerLabel = "kubearmor.io/container.name";
constexpr std::array<std::string_view, 2> kHostnameLabels = {"kubearmor.io/hostname", "kubernetes.io/hostname"};
constexpr std::string_view kHostnamePatternLabel = "kubearmor.io/hostnamereg";

std::string_view Trimmed(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text;
}

// Names with commas between. `check` finds what is wrong with one.
StatusOr<std::vector<std::string>> ParseNames(const Field& field, std::string_view text,
                                              std::string (*check)(std::string_view)) {
  std::vector<std::string> names;
  for (;;) {
    const std::size_t comma = text.find(',');
    const std::string_view name = Trimmed(text.substr(0, comma));
    if (const std::string wrong = check(name); !wrong.empty()) return field.Error(wrong);
    names.emplace_back(name);
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (names.size() <= kMaxSelectorValues) return names;
  return field.Error(fmt::format("{} names: at most {} are possible", names.size(), kMaxSelectorValues));
}

std::string CheckContainerName(std::string_view text) {
  return text.empty() ? "names no container: leave it out to select all" : CheckDnsLabel(text);
}

// "web", or several: "[web, db]".
StatusOr<std::vector<std::string>> ParseContainers(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  std::string_view names = text;
  if (names.starts_with('[') && names.ends_with(']')) names = names.substr(1, names.size() - 2);
  return ParseNames(field, names, CheckContainerName);
}

// "*" for all nodes, or names with commas between.
StatusOr<std::vector<std::string>> ParseHostnames(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "*") return std::vector<std::string>();
  return ParseNames(field, text, CheckDnsSubdomain);
}

StatusOr<std::string> ParseHostnamePattern(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxRegexBytes));
  const RE2 pattern(text, RE2::Quiet);
  if (!pattern.ok()) return field.Error(fmt::format("{} is no regular expression: {}", Quoted(text), pattern.error()));
  return text;
}

Status ParseMatchLabel(const std::string& key, const Field& value, Policy::Kind kind, Selection& selection) {
  if (kind == Policy::Kind::kHost) {
    if (std::find(kHostnameLabels.begin(), kHostnameLabels.end(), key) != kHostnameLabels.end()) {
      SL_ASSIGN_OR_RETURN(selection.hostnames, ParseHostnames(value));
      return OkStatus();
    }
    if (key == kHostnamePatternLabel) {
      SL_ASSIGN_OR_RETURN(selection.hostname_pattern, ParseHostnamePattern(value));
      return OkStatus();
    }
  } else if (key == kContainerLabel) {
    SL_ASSIGN_OR_RETURN(selection.containers, ParseContainers(value));
    return OkStatus();
  }
  if (const std::string wrong = CheckLabelKey(key); !wrong.empty()) return value.Error("the key " + wrong);
  SL_ASSIGN_OR_RETURN(selection.labels[key], ParseChecked(value, CheckLabelValue));
  return OkStatus();
}

// "app=web".
StatusOr<std::pair<std::string, std::string>> ParseLabelText(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) return field.Error(fmt::format("must be KEY=VALUE, got {}", Quoted(text)));
  std::pair<std::string, std::string> label(text.substr(0, equals), text.substr(equals + 1));
  std::string wrong = CheckLabelKey(label.first);
  if (wrong.empty()) wrong = CheckLabelValue(label.second);
  if (!wrong.empty()) return field.Error(wrong);
  return label;
}

StatusOr<bool> ParseIsNegated(const Field& expression) {
  const auto op = expression.Get("operator");
  if (!op) return expression.Missing("operator");
  SL_ASSIGN_OR_RETURN(const std::string text, op->String());
  if (text == "In" || text == "NotIn") return text == "NotIn";
  return op->Error(fmt::format("must be In or NotIn, got {}", Quoted(text)));
}

Status ParseExpression(const Field& field, Policy::Kind kind, Selection& selection) {
  SL_RETURN_IF_ERROR(CheckKeys(field, "key operator values"));
  const auto key = field.Get("key");
  if (!key) return field.Missing("key");
  SL_ASSIGN_OR_RETURN(const std::string word, key->String());
  SL_ASSIGN_OR_RETURN(const bool negated, ParseIsNegated(field));
  if (!field.Get("values")) return field.Missing("values");
  if (word == "label") {
    Selection::LabelSet set{.negated = negated};
    SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kMaxSelectorValues, set.labels, ParseLabelText));
    if (set.labels.empty()) return field.Error("needs at least one value");
    selection.label_sets.push_back(std::move(set));
    return OkStatus();
  }
  if (word != "namespace") return key->Error(fmt::format("must be label or namespace, got {}", Quoted(word)));
  if (kind != Policy::Kind::kCluster) {
    return key->Error("a KubeArmorPolicy is for pods of its namespace: use a KubeArmorClusterPolicy");
  }
  Selection::NamespaceSet set{.negated = negated};
  SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kMaxSelectorValues, set.names, Checked(CheckDnsLabel)));
  if (set.names.empty()) return field.Error("needs at least one value");
  selection.namespaces.push_back(std::move(set));
  return OkStatus();
}

bool SelectsAll(const Selection& selection) {
  return selection.labels.empty() && selection.label_sets.empty() && selection.namespaces.empty() &&
         selection.containers.empty() && selection.hostnames.empty() && selection.hostname_pattern.empty();
}

}  // namespace

Status ParseSelection(const Field& spec, Policy::Kind kind, Selection& selection) {
  const bool host = kind == Policy::Kind::kHost;
  const auto selector = spec.Get(host ? "nodeSelector" : "selector");
  if (!selector) return OkStatus();
  const std::size_t warnings = spec.document().warnings.size();
  SL_RETURN_IF_ERROR(CheckKeys(*selector, host                             ? "matchLabels"
                                          : kind == Policy::Kind::kCluster ? "matchExpressions"
                                                                           : "matchLabels matchExpressions"));
  const bool left_out = spec.document().warnings.size() > warnings;
  Status first = OkStatus();
  std::size_t requirements = 0;
  const auto labels = kind == Policy::Kind::kCluster ? std::nullopt : selector->Get("matchLabels");
  if (labels) {
    first.Update(labels->ForEachEntry([&](const std::string& key, const Field& value) {
      ++requirements;
      return ParseMatchLabel(key, value, kind, selection);
    }));
  }
  if (const auto expressions = host ? std::nullopt : selector->Get("matchExpressions")) {
    first.Update(expressions->ForEachItem([&](const Field& item) {
      ++requirements;
      return ParseExpression(item, kind, selection);
    }));
  }
  if (!first.ok()) return first;
  if (requirements > kMaxRequirements) {
    return selector->Error(fmt::format("{} requirements: at most {} are possible", requirements, kMaxRequirements));
  }
  if (left_out && SelectsAll(selection)) {
    selector->Warn(host ? "without them, every node is selected"
                        : "without them, every pod is selected that the policy may be for");
  }
  return OkStatus();
}

}  // namespace sluice::policy::lsm
