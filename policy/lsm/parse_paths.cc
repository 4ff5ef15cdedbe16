// spec.process and spec.file.
#include "policy/lsm/limits.h"
#include "policy/lsm/parse_parts.h"

namespace sluice::policy::lsm {
namespace {

StatusOr<std::string> ParseExecname(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, ParseBounded(field, kMaxNameBytes));
  if (text.find('/') == std::string::npos) return text;
  return field.Error(
      fmt::format("{} has a \"/\": it is a program's name in any directory. Write path instead", Quoted(text)));
}

StatusOr<PathPattern> ParsePattern(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, ParseBounded(field, kMaxPatternBytes));
  StatusOr<PathPattern> pattern = PathPattern::Parse(text);
  if (!pattern.ok()) return field.Error(fmt::format("{}: {}", Quoted(text), Message(pattern.status())));
  if (!pattern->CanMatch()) {
    SL_RETURN_IF_ERROR(
        ErrorUnlessLenient(field, fmt::format("{} matches no path: it must begin with \"/\" or \"**\"", Quoted(text))));
  }
  if (text.find(' ') != std::string::npos) field.Warn("has a space: paths are compared, and no command lines");
  return *std::move(pattern);
}

// A rule without its target: in a lenient document it stays, as one that matches nothing.
Status MissingTarget(const Field& rule, std::string_view key, PathTarget& target) {
  if (!rule.document().lenient) return rule.Missing(key);
  rule.Warn(fmt::format("{} is missing: the rule matches nothing", key));
  target.form = PathTarget::Form::kPattern;
  return OkStatus();
}

StatusOr<PathTarget> ParsePathOrName(const Field& rule, bool may_be_name) {
  PathTarget target;
  const auto path = rule.Get("path"), name = may_be_name ? rule.Get("execname") : std::nullopt;
  if (path && name) return name->Error("beside path: write two rules");
  if (path) {
    SL_ASSIGN_OR_RETURN(target.text, ParsePath(*path));
  } else if (name) {
    target.form = PathTarget::Form::kName;
    SL_ASSIGN_OR_RETURN(target.text, ParseExecname(*name));
  } else {
    SL_RETURN_IF_ERROR(MissingTarget(rule, "path", target));
  }
  return target;
}

StatusOr<PathTarget> ParseDirectoryTarget(const Field& rule) {
  PathTarget target{.form = PathTarget::Form::kDirectory};
  const auto directory = rule.Get("dir");
  if (!directory) {
    SL_RETURN_IF_ERROR(MissingTarget(rule, "dir", target));
    return target;
  }
  SL_ASSIGN_OR_RETURN(target.text, ParseDirectory(*directory));
  SL_RETURN_IF_ERROR(rule.Read("recursive", target.recursive, ParseFlag));
  return target;
}

StatusOr<PathTarget> ParsePatternTarget(const Field& rule) {
  PathTarget target{.form = PathTarget::Form::kPattern};
  const auto pattern = rule.Get("pattern");
  if (!pattern) {
    SL_RETURN_IF_ERROR(MissingTarget(rule, "pattern", target));
    return target;
  }
  SL_ASSIGN_OR_RETURN(target.pattern, ParsePattern(*pattern));
  target.text = target.pattern->text();
  return target;
}

StatusOr<PathTarget> ParseTarget(const Field& rule, RuleList list) {
  switch (list) {
    case RuleList::kProcessPaths:
      return ParsePathOrName(rule, true);
    case RuleList::kProcessDirectories:
    case RuleList::kFileDirectories:
      return ParseDirectoryTarget(rule);
    case RuleList::kProcessPatterns:
    case RuleList::kFilePatterns:
      return ParsePatternTarget(rule);
    default:
      return ParsePathOrName(rule, false);
  }
}

std::string DescriptionOf(std::string_view section, const PathTarget& target) {
  constexpr std::string_view kForms[] = {"", "any ", "pattern ", "directory "};
  return fmt::format("{} {}{}{}", section, kForms[static_cast<std::size_t>(target.form)], target.text,
                     target.recursive ? " and below" : "");
}

}  // namespace

Status ParsePathSection(const Field& spec, std::string_view name, const Effect& effect, PolicyParts& parts,
                        std::vector<PathRule>& rules) {
  const auto section = spec.Get(name);
  if (!section) return OkStatus();
  SL_RETURN_IF_ERROR(CheckKeys(*section, fmt::format("matchPaths matchDirectories matchPatterns {}", kRuleFields)));
  SL_ASSIGN_OR_RETURN(const Effect own, ParseEffect(*section, effect));
  const std::size_t before = parts.rules;
  Status first = OkStatus();
  for (const RuleListInfo& info : kRuleLists) {
    if (info.section != name) continue;
    first.Update(ReadRules(*section, info.list, own, parts, rules,
                           [&](const Field& item, PathRule& parsed) -> StatusOr<std::string> {
                             SL_ASSIGN_OR_RETURN(parsed.target, ParseTarget(item, info.list));
                             return DescriptionOf(name, parsed.target);
                           }));
  }
  first.Update(CheckHasRules(*section, parts, before));
  return first;
}

}  // namespace sluice::policy::lsm
