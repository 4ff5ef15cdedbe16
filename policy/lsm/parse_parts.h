// What the files of the parser share. Not for others: they use policy/lsm/parser.h. Errors name the field.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "policy/lsm/model.h"
#include "policy/resource/name_table.h"

namespace sluice::policy::lsm {

inline constexpr std::string_view kPage = "docs/kubearmor-policy.md";

// An error; in a lenient document a warning, and what is wrong has no effect.
Status ErrorUnlessLenient(const Field& field, std::string_view what);

// ErrorUnlessLenient for each field that is not one of `known`: words with spaces between.
Status CheckKeys(const Field& field, std::string_view known);

// Fields of KubeArmor that are refused in any mode: nobody should believe that they are enforced.
Status RefuseKeys(const Field& field, const std::map<std::string_view, std::string_view>& reasons);

// The list `key`: `parse` for each item. An error if there are more than `limit`.
template <typename T, typename Parse>
Status ReadUpTo(const Field& field, std::string_view key, std::size_t limit, std::vector<T>& out, Parse parse) {
  const auto list = field.Get(key);
  if (!list) return OkStatus();
  SL_RETURN_IF_ERROR(list->CheckSequence());
  if (const std::size_t count = list->node().items.size(); count > limit) {
    return list->Error(fmt::format("{} entries: at most {} are possible", count, limit));
  }
  return field.ReadItems(key, out, parse);
}

// A string of 1 to `limit` bytes without control characters.
StatusOr<std::string> ParseBounded(const Field& field, std::size_t limit);
StatusOr<bool> ParseFlag(const Field& field);
StatusOr<std::string> ParsePath(const Field& field);
StatusOr<std::string> ParseDirectory(const Field& field);

// severity, tags, message and action of `field`, which inherits the others.
StatusOr<Effect> ParseEffect(const Field& field, const Effect& inherited);

// A rule that is there, to find others that say the same or the opposite.
struct Statement {
  Field field;
  std::string what;  // "process /bin/ls", with all that tells it from other operations
  Action action = Action::kBlock;
  std::vector<Source> sources;
  Conditions conditions;
};

// What a section needs to know of the rest of its policy.
struct PolicyParts {
  Policy::Kind kind = Policy::Kind::kPods;
  std::size_t rules = 0;              // so far
  std::vector<Statement> statements;  // of all sections
};

// Warns about rules that say what an earlier one says; an error, or a warning in a lenient document, for rules that can
// have no effect because another one blocks the same.
Status CheckStatements(const std::vector<Statement>& statements);

// The part that all rules of `list` have. `section`: what the section says for all.
StatusOr<Rule> ParseRule(const Field& field, RuleList list, const Effect& section);

// Whether `field` may be one more rule of the policy.
Status CountRule(const Field& field, PolicyParts& parts);

// A list of rules, each of which is a T. `parse` reads the rest of a rule into it, and returns what it is about.
template <typename T, typename Parse>
Status ReadRules(const Field& section, RuleList list, const Effect& effect, PolicyParts& parts, std::vector<T>& out,
                 Parse parse) {
  return section.ReadItems(InfoOf(list).name, out, [&](const Field& item) -> StatusOr<T> {
    SL_RETURN_IF_ERROR(CountRule(item, parts));
    T parsed;
    SL_ASSIGN_OR_RETURN(parsed.rule, ParseRule(item, list, effect));
    SL_ASSIGN_OR_RETURN(std::string what, parse(item, parsed));
    const Rule& rule = parsed.rule;
    parts.statements.push_back({item, std::move(what), rule.effect.action, rule.sources, rule.conditions});
    return parsed;
  });
}

// For the end of a section: whether it has a rule. `before`: the policy's rules before it.
Status CheckHasRules(const Field& section, const PolicyParts& parts, std::size_t before);

// The sections of `spec`. `effect`: what the policy says for all.
Status ParsePathSection(const Field& spec, std::string_view name, const Effect& effect, PolicyParts& parts,
                        std::vector<PathRule>& rules);
Status ParseNetwork(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy);
Status ParseCapabilities(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy);
Status ParseSyscalls(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy);
Status ParsePresets(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy);

// spec.selector or spec.nodeSelector.
Status ParseSelection(const Field& spec, Policy::Kind kind, Selection& selection);

}  // namespace sluice::policy::lsm
