// What all rules have: severity, tags, message, action and fromSource.
#include <absl/strings/ascii.h>

#include <algorithm>

#include "policy/lsm/limits.h"
#include "policy/lsm/parse_parts.h"

namespace sluice::policy::lsm {
namespace {

bool SameInAnyCase(std::string_view one, std::string_view other) {
  return std::equal(one.begin(), one.end(), other.begin(), other.end(),
                    [](char a, char b) { return absl::ascii_tolower(a) == absl::ascii_tolower(b); });
}

StatusOr<Action> ParseAction(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (const ActionInfo* info = FindName(kActions, text); info != nullptr) return info->action;
  for (const ActionInfo& info : kActions) {
    if (!SameInAnyCase(text, info.name)) continue;
    SL_RETURN_IF_ERROR(ErrorUnlessLenient(field, fmt::format("{}: write {}", Quoted(text), info.name)));
    return info.action;
  }
  return field.Error(fmt::format("unknown action {}{}", Quoted(text), InsteadOf(kActions, text, kPage)));
}

StatusOr<int> ParseSeverity(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::int64_t number, field.Integer(kMinSeverity, kMaxSeverity));
  return static_cast<int>(number);
}

// `list`: system calls may come from any program of a directory, other operations from one program.
StatusOr<Source> ParseSource(const Field& field, RuleList list) {
  const bool may_be_directory = list == RuleList::kSyscalls || list == RuleList::kSyscallPaths;
  SL_RETURN_IF_ERROR(CheckKeys(field, may_be_directory ? "path dir recursive" : "path"));
  const auto path = field.Get("path"), directory = may_be_directory ? field.Get("dir") : std::nullopt;
  if (path && directory) return directory->Error("beside path: write two entries");
  if (!path && !directory) return field.Missing("path");
  Source source{.directory = directory.has_value()};
  SL_ASSIGN_OR_RETURN(source.path, directory ? ParseDirectory(*directory) : ParsePath(*path));
  if (!may_be_directory) return source;
  SL_RETURN_IF_ERROR(field.Read("recursive", source.recursive, ParseFlag));
  if (source.recursive && !source.directory) return field.Get("recursive")->Error("is for dir");
  return source;
}

bool HasField(RuleList list, std::string_view name) {
  return fmt::format(" {} ", InfoOf(list).fields).find(fmt::format(" {} ", name)) != std::string::npos;
}

// Fields that the list does not have count as absent: in a lenient document they may be there.
StatusOr<Conditions> ParseConditions(const Field& field, RuleList list) {
  Conditions conditions;
  if (HasField(list, "ownerOnly")) SL_RETURN_IF_ERROR(field.Read("ownerOnly", conditions.owner_only, ParseFlag));
  if (HasField(list, "readOnly")) SL_RETURN_IF_ERROR(field.Read("readOnly", conditions.read_only, ParseFlag));
  if (HasField(list, "pts")) SL_RETURN_IF_ERROR(field.Read("pts", conditions.terminal, ParseFlag));
  if (!HasField(list, "allowedArgs")) return conditions;
  SL_RETURN_IF_ERROR(ReadUpTo(field, "allowedArgs", kMaxAllowedArgs, conditions.allowed_args,
                              [](const Field& item) { return ParseBounded(item, kMaxArgBytes); }));
  return conditions;
}

}  // namespace

StatusOr<Effect> ParseEffect(const Field& field, const Effect& inherited) {
  Effect effect = inherited;
  Status first = field.Read("severity", effect.severity, ParseSeverity);
  first.Update(field.Read("action", effect.action, ParseAction));
  first.Update(field.Read("message", effect.message, [](const Field& text) -> StatusOr<std::string> {
    SL_ASSIGN_OR_RETURN(std::string message, text.String());
    if (message.size() <= kMaxMessageBytes) return message;
    return text.Error(fmt::format("{} bytes: at most {} are possible", message.size(), kMaxMessageBytes));
  }));
  if (field.Get("tags")) {
    effect.tags.clear();
    first.Update(ReadUpTo(field, "tags", kMaxTags, effect.tags,
                          [](const Field& item) { return ParseBounded(item, kMaxTagBytes); }));
  }
  if (!first.ok()) return first;
  return effect;
}

StatusOr<Rule> ParseRule(const Field& field, RuleList list, const Effect& section) {
  SL_RETURN_IF_ERROR(CheckKeys(field, fmt::format("{} {}", InfoOf(list).fields, kRuleFields)));
  Rule rule{.place = field.place(), .field = field.path()};
  SL_ASSIGN_OR_RETURN(rule.effect, ParseEffect(field, section));
  SL_ASSIGN_OR_RETURN(rule.conditions, ParseConditions(field, list));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "fromSource", kMaxSources, rule.sources,
                              [&](const Field& item) { return ParseSource(item, list); }));
  return rule;
}

Status CountRule(const Field& field, PolicyParts& parts) {
  if (++parts.rules <= kMaxRules) return OkStatus();
  return field.Error(fmt::format("at most {} rules are possible in a policy: split it", kMaxRules));
}

Status CheckHasRules(const Field& section, const PolicyParts& parts, std::size_t before) {
  if (parts.rules > before) return OkStatus();
  return ErrorUnlessLenient(section, "has no rule, and does nothing");
}

}  // namespace sluice::policy::lsm
