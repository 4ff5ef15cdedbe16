// Filters on the process: its pid, binaries, namespaces, capabilities and workload.
#include <algorithm>

#include "policy/resource/resource_common.h"
#include "policy/tracing/constants.h"
#include "policy/tracing/limits.h"
#include "policy/tracing/number.h"
#include "policy/tracing/parse_parts.h"

namespace sluice::policy::tracing {
namespace {

struct NamespaceTypeName {
  std::string_view name;
  NamespaceType type;
};
constexpr std::array kNamespaceTypes = {NamespaceTypeName{"Uts", NamespaceType::kUts},
                                        NamespaceTypeName{"Ipc", NamespaceType::kIpc},
                                        NamespaceTypeName{"Mnt", NamespaceType::kMnt},
                                        NamespaceTypeName{"Pid", NamespaceType::kPid},
                                        NamespaceTypeName{"Net", NamespaceType::kNet},
                                        NamespaceTypeName{"Time", NamespaceType::kTime},
                                        NamespaceTypeName{"Cgroup", NamespaceType::kCgroup},
                                        NamespaceTypeName{"User", NamespaceType::kUser},
                                        NamespaceTypeName{"PidForChildren", NamespaceType::kPidForChildren},
                                        NamespaceTypeName{"TimeForChildren", NamespaceType::kTimeForChildren}};

struct CapabilitySetName {
  std::string_view name;
  CapabilitySet set;
};
constexpr std::array kCapabilitySets = {CapabilitySetName{"Effective", CapabilitySet::kEffective},
                                        CapabilitySetName{"Inheritable", CapabilitySet::kInheritable},
                                        CapabilitySetName{"Permitted", CapabilitySet::kPermitted}};

constexpr std::string_view kHostNamespace = "host_ns";

// In or NotIn.
Status ParseNegated(const Field& filter, bool& negated) {
  const auto field = filter.Get("operator");
  if (!field) return filter.Missing("operator");
  constexpr auto kInOrNot = std::span(kSetOperators).first<2>();
  SL_ASSIGN_OR_RETURN(const SetOperatorInfo* info, ParseName(*field, kInOrNot, "operator"));
  negated = info->op == SetOperator::kNotIn;
  return OkStatus();
}

Status NeedValues(const Field& filter) {
  const auto values = filter.Get("values");
  if (!values) return filter.Missing("values");
  SL_RETURN_IF_ERROR(values->CheckSequence());
  return values->node().items.empty() ? values->Error("needs at least one value") : OkStatus();
}

StatusOr<std::uint32_t> ParsePid(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::uint64_t pid, ParseUnsigned(field, 0, 4194304));  // PID_MAX_LIMIT
  return static_cast<std::uint32_t>(pid);
}

StatusOr<std::string> ParseBinary(const Field& field, SetOperator op) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const bool end = op == SetOperator::kPostfix || op == SetOperator::kNotPostfix;
  const std::size_t limit = end                             ? kMaxPostfixBytes
                            : op == SetOperator::kPrefix    ? kMaxPrefixBytes
                            : op == SetOperator::kNotPrefix ? kMaxPrefixBytes
                                                            : kMaxTextBytes;
  if (text.empty()) return field.Error("is empty");
  if (text.size() > limit) return field.Error(fmt::format("{} bytes: at most {} are possible", text.size(), limit));
  if (text.find('\0') != std::string::npos) return field.Error("has a NUL inside");
  if (!end && text.front() != '/') {
    return field.Error(
        fmt::format("must be an absolute path, got {}. Postfix compares the end of a path", Quoted(text)));
  }
  return text;
}

StatusOr<NamespaceType> ParseNamespaceType(const Field& field) {
  SL_ASSIGN_OR_RETURN(const NamespaceTypeName* row, ParseName(field, kNamespaceTypes, "namespace"));
  return row->type;
}

StatusOr<std::string> ParseContainerText(const Field& field) { return ParseWord(field); }

// A label selector over the fields of containers. Their values may have "/", which those of labels may not.
StatusOr<Selector::Requirement> ParseContainerExpression(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"key", "operator", "values"}));
  Selector::Requirement requirement;
  const auto key = field.Get("key"), op = field.Get("operator");
  if (!key) return field.Missing("key");
  if (!op) return field.Missing("operator");
  SL_ASSIGN_OR_RETURN(requirement.key, ParseContainerText(*key));
  constexpr auto kInOrNot = std::span(kSetOperators).first<2>();
  SL_ASSIGN_OR_RETURN(const SetOperatorInfo* info, ParseName(*op, kInOrNot, "operator"));
  requirement.op = info->op == SetOperator::kIn ? Selector::Operator::kIn : Selector::Operator::kNotIn;
  SL_RETURN_IF_ERROR(NeedValues(field));
  SL_RETURN_IF_ERROR(field.ReadItems("values", requirement.values, ParseContainerText));
  return requirement;
}

StatusOr<Selector> ParseContainerSelector(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"matchLabels", "matchExpressions"}));
  Selector selector;
  if (const auto labels = field.Get("matchLabels")) {
    SL_RETURN_IF_ERROR(labels->ForEachEntry([&](const std::string& key, const Field& value) -> Status {
      SL_ASSIGN_OR_RETURN(std::string text, ParseContainerText(value));
      selector.requirements.push_back({.key = key, .op = Selector::Operator::kIn, .values = {std::move(text)}});
      return OkStatus();
    }));
  }
  SL_RETURN_IF_ERROR(field.ReadItems("matchExpressions", selector.requirements, ParseContainerExpression));
  for (const Selector::Requirement& one : selector.requirements) {
    if (one.key == "name" || one.key == "repo") continue;
    return field.Error(fmt::format("unknown field of containers {}: known are name, repo", Quoted(one.key)));
  }
  return selector;
}

// Null and absent are the same: no.
StatusOr<bool> ParseHostSelector(const Field& field) {
  SL_RETURN_IF_ERROR(field.CheckMap());
  if (!field.node().entries.empty())
    return field.Error("must be {}: processes of the host have no labels to select by");
  return true;
}

}  // namespace

StatusOr<PidFilter> ParsePidFilter(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"operator", "values", "isNamespacePID", "followForks"}));
  PidFilter filter;
  SL_RETURN_IF_ERROR(ParseNegated(field, filter.negated));
  SL_RETURN_IF_ERROR(NeedValues(field));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kMaxPids, filter.pids, ParsePid));
  SL_RETURN_IF_ERROR(field.Read("isNamespacePID", filter.in_namespace, ParseFlag));
  SL_RETURN_IF_ERROR(field.Read("followForks", filter.follow_forks, ParseFlag));
  return filter;
}

StatusOr<BinaryFilter> ParseBinaryFilter(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"operator", "values", "followChildren"}));
  BinaryFilter filter;
  const auto op = field.Get("operator");
  if (!op) return field.Missing("operator");
  SL_ASSIGN_OR_RETURN(const SetOperatorInfo* info, ParseName(*op, kSetOperators, "operator"));
  filter.op = info->op;
  SL_RETURN_IF_ERROR(NeedValues(field));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kMaxBinaries, filter.paths,
                              [&](const Field& item) { return ParseBinary(item, filter.op); }));
  SL_RETURN_IF_ERROR(field.Read("followChildren", filter.follow_children, ParseFlag));
  if (filter.follow_children && filter.op != SetOperator::kIn && filter.op != SetOperator::kNotIn) {
    return field.Get("followChildren")->Error(fmt::format("is for In and NotIn, not for {}", info->name));
  }
  return filter;
}

StatusOr<NamespaceFilter> ParseNamespaceFilter(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"namespace", "operator", "values"}));
  NamespaceFilter filter;
  const auto type = field.Get("namespace");
  if (!type) return field.Missing("namespace");
  SL_ASSIGN_OR_RETURN(filter.type, ParseNamespaceType(*type));
  SL_RETURN_IF_ERROR(ParseNegated(field, filter.negated));
  SL_RETURN_IF_ERROR(NeedValues(field));
  std::vector<std::uint64_t> values;  // the host's as 0, which no namespace has
  SL_RETURN_IF_ERROR(
      ReadUpTo(field, "values", kMaxNamespaces, values, [](const Field& item) -> StatusOr<std::uint64_t> {
        SL_ASSIGN_OR_RETURN(const std::string text, ScalarText(item));
        if (text == kHostNamespace) return 0;
        const auto number = NumberOf(text, false, 32);
        if (number && *number != 0) return *number;
        return item.Error(fmt::format("must be the number of a namespace or {}, got {}", kHostNamespace, Quoted(text)));
      }));
  for (const std::uint64_t value : values) {
    if (value == 0) {
      filter.host = true;
    } else {
      filter.inodes.push_back(static_cast<std::uint32_t>(value));
    }
  }
  return filter;
}

StatusOr<NamespaceChangeFilter> ParseNamespaceChangeFilter(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"operator", "values"}));
  NamespaceChangeFilter filter;
  SL_RETURN_IF_ERROR(ParseNegated(field, filter.negated));
  SL_RETURN_IF_ERROR(NeedValues(field));
  SL_RETURN_IF_ERROR(ReadUpTo(field, "values", kNamespaceTypes.size(), filter.types, ParseNamespaceType));
  return filter;
}

StatusOr<CapabilityFilter> ParseCapabilityFilter(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"type", "operator", "isNamespaceCapability", "values"}));
  CapabilityFilter filter;
  if (const auto type = field.Get("type")) {
    SL_ASSIGN_OR_RETURN(const CapabilitySetName* row, ParseName(*type, kCapabilitySets, "set of capabilities"));
    filter.set = row->set;
  }
  SL_RETURN_IF_ERROR(ParseNegated(field, filter.negated));
  SL_RETURN_IF_ERROR(field.Read("isNamespaceCapability", filter.in_namespace, ParseFlag));
  SL_RETURN_IF_ERROR(NeedValues(field));
  SL_RETURN_IF_ERROR(field.Get("values")->ForEachItem([&](const Field& item) -> Status {
    SL_ASSIGN_OR_RETURN(const std::string text, item.String());
    const auto number = CapabilityNumber(text);
    if (!number) return item.Error(fmt::format("unknown capability {}: write it as CAP_SYS_ADMIN", Quoted(text)));
    filter.mask |= std::uint64_t{1} << *number;
    return OkStatus();
  }));
  return filter;
}

StatusOr<Scope> ParseScopeOf(const Field& field) {
  Scope scope;
  SL_RETURN_IF_ERROR(field.Read("podSelector", scope.pods, ParseSelector));
  SL_RETURN_IF_ERROR(field.Read("containerSelector", scope.containers, ParseContainerSelector));
  SL_RETURN_IF_ERROR(field.Read("hostSelector", scope.host, ParseHostSelector));
  return scope;
}

}  // namespace sluice::policy::tracing
