// spec.capabilities, spec.syscalls and spec.presets.
#include <absl/strings/ascii.h>

#include <algorithm>

#include "base/capability.h"
#include "policy/lsm/limits.h"
#include "policy/lsm/parse_parts.h"
#include "policy/resource/system_calls.h"

namespace sluice::policy::lsm {
namespace {

constexpr std::string_view kCapabilityPrefix = "CAP_";

std::vector<std::string> CapabilityWords() {
  std::vector<std::string> words;
  for (std::uint32_t number = 0; number <= kLastCapability; ++number) {
    words.push_back(absl::AsciiStrToLower(CapabilityName(number).substr(kCapabilityPrefix.size())));
  }
  return words;
}

StatusOr<std::uint32_t> ParseCapability(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const std::vector<std::string> words = CapabilityWords();
  const auto found = std::find(words.begin(), words.end(), text);
  if (found != words.end()) return static_cast<std::uint32_t>(found - words.begin());
  const bool prefixed = absl::AsciiStrToUpper(text).starts_with(kCapabilityPrefix);
  const std::string near = Nearest(words, prefixed ? text.substr(kCapabilityPrefix.size()) : text);
  return field.Error(fmt::format("there is no capability {}{}", Quoted(text),
                                 near.empty() ? ": write it as net_raw" : fmt::format(": did you mean {}?", near)));
}

StatusOr<std::string> ParseSyscallName(const Field& field) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (SyscallArguments(text)) return text;
  std::vector<std::string> words;
  for (const SystemCall& call : SystemCalls()) words.emplace_back(call.name);
  const std::string near = Nearest(words, text);
  return field.Error(fmt::format("there is no system call {}{}", Quoted(text),
                                 near.empty() ? "" : fmt::format(": did you mean {}?", near)));
}

// System calls are only audited. Another action of the section or of a rule is a mistake.
Status CheckAudited(const Field& field) {
  const auto action = field.Get("action");
  if (!action) return OkStatus();
  SL_ASSIGN_OR_RETURN(const Effect effect, ParseEffect(field, {}));
  if (effect.action == Action::kAudit) return OkStatus();
  return ErrorUnlessLenient(*action, "system calls can only be audited: write Audit");
}

StatusOr<std::optional<PathTarget>> ParseSyscallPath(const Field& rule) {
  const auto path = rule.Get("path");
  if (!path) return rule.Missing("path");
  SL_ASSIGN_OR_RETURN(const std::string text, path->String());
  PathTarget target;
  if (text.ends_with('/')) target.form = PathTarget::Form::kDirectory;
  SL_ASSIGN_OR_RETURN(target.text, text.ends_with('/') ? ParseDirectory(*path) : ParsePath(*path));
  SL_RETURN_IF_ERROR(rule.Read("recursive", target.recursive, ParseFlag));
  if (target.recursive && target.form == PathTarget::Form::kPath) {
    return rule.Get("recursive")->Error(fmt::format("{} is no directory: it must end with \"/\"", Quoted(text)));
  }
  return std::optional(std::move(target));
}

StatusOr<std::string> ReadSyscallRule(const Field& field, RuleList list, SyscallRule& parsed) {
  SL_RETURN_IF_ERROR(CheckAudited(field));
  parsed.rule.effect.action = Action::kAudit;
  SL_RETURN_IF_ERROR(ReadUpTo(field, "syscall", kMaxRuleSyscalls, parsed.names, ParseSyscallName));
  if (parsed.names.empty()) return field.Missing("syscall");
  if (list == RuleList::kSyscallPaths) {
    SL_ASSIGN_OR_RETURN(parsed.path, ParseSyscallPath(field));
  }
  std::vector<std::string> names = parsed.names;
  std::sort(names.begin(), names.end());
  if (std::adjacent_find(names.begin(), names.end()) != names.end()) {
    field.Get("syscall")->Warn("has a system call twice");
  }
  std::string what = "syscall";
  for (const std::string& name : names) what += " " + name;
  if (parsed.path) what += fmt::format(" of {}{}", parsed.path->text, parsed.path->recursive ? " and below" : "");
  return what;
}

StatusOr<PresetRule> ParsePreset(const Field& field, const Effect& effect) {
  SL_RETURN_IF_ERROR(CheckKeys(field, "name action"));
  PresetRule parsed;
  parsed.rule.place = field.place();
  parsed.rule.field = field.path();
  const auto name = field.Get("name");
  if (!name) return field.Missing("name");
  SL_ASSIGN_OR_RETURN(const PresetInfo* info, ParseName(*name, kPresets, "preset", kPage));
  parsed.preset = info->preset;
  SL_ASSIGN_OR_RETURN(parsed.rule.effect, ParseEffect(field, effect));
  if (parsed.rule.effect.action != Action::kAllow) return parsed;
  return field.Get("action").value_or(field).Error("a preset can be audited or blocked: write action Audit or Block");
}

}  // namespace

Status ParseCapabilities(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy) {
  const auto section = spec.Get("capabilities");
  if (!section) return OkStatus();
  SL_RETURN_IF_ERROR(CheckKeys(*section, fmt::format("matchCapabilities {}", kRuleFields)));
  SL_ASSIGN_OR_RETURN(const Effect own, ParseEffect(*section, effect));
  const std::size_t before = parts.rules;
  Status first = ReadRules(*section, RuleList::kCapabilities, own, parts, policy.capabilities,
                           [](const Field& item, CapabilityRule& rule) -> StatusOr<std::string> {
                             const auto capability = item.Get("capability");
                             if (!capability) return item.Missing("capability");
                             SL_ASSIGN_OR_RETURN(rule.capability, ParseCapability(*capability));
                             return fmt::format("capability {}", rule.capability);
                           });
  first.Update(CheckHasRules(*section, parts, before));
  return first;
}

Status ParseSyscalls(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy) {
  const auto section = spec.Get("syscalls");
  if (!section) return OkStatus();
  SL_RETURN_IF_ERROR(CheckKeys(*section, fmt::format("matchSyscalls matchPaths {}", kRuleFields)));
  SL_RETURN_IF_ERROR(CheckAudited(*section));
  const auto inherited = section->Get("action") ? std::nullopt : spec.Get("action");
  if (inherited && effect.action != Action::kAudit) {
    section->Warn(
        fmt::format("system calls are only audited: action {} of spec is not for them", InfoOf(effect.action).name));
  }
  SL_ASSIGN_OR_RETURN(const Effect own, ParseEffect(*section, effect));
  const std::size_t before = parts.rules;
  Status first = OkStatus();
  for (const RuleList list : {RuleList::kSyscalls, RuleList::kSyscallPaths}) {
    first.Update(ReadRules(*section, list, own, parts, policy.syscalls,
                           [list](const Field& item, SyscallRule& rule) { return ReadSyscallRule(item, list, rule); }));
  }
  first.Update(CheckHasRules(*section, parts, before));
  return first;
}

Status ParsePresets(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy) {
  return spec.ReadItems("presets", policy.presets, [&](const Field& item) -> StatusOr<PresetRule> {
    SL_RETURN_IF_ERROR(CountRule(item, parts));
    SL_ASSIGN_OR_RETURN(PresetRule parsed, ParsePreset(item, effect));
    parts.statements.push_back(
        {item, fmt::format("preset {}", InfoOf(parsed.preset).name), parsed.rule.effect.action, {}, {}});
    return parsed;
  });
}

}  // namespace sluice::policy::lsm
