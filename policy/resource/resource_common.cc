#include "policy/resource/resource_common.h"

#include <algorithm>

#include "policy/resource/resource_scalar.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::policy {
namespace {

// Null means an empty value, as for the API server.
StatusOr<std::string> ParseMapValue(const Field& value) {
  return value.node().type == YamlNode::Type::kNull ? std::string() : value.String();
}

Status CheckAnnotations(const Field& annotations) {
  return annotations.ForEachEntry(
      [](const std::string&, const Field& value) -> Status { return ParseMapValue(value).status(); });
}

StatusOr<Selector::Operator> ParseOperator(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "In") return Selector::Operator::kIn;
  if (text == "NotIn") return Selector::Operator::kNotIn;
  if (text == "Exists") return Selector::Operator::kExists;
  if (text == "DoesNotExist") return Selector::Operator::kDoesNotExist;
  return field.Error(fmt::format("must be In, NotIn, Exists or DoesNotExist, got {}", Quoted(text)));
}

StatusOr<Selector::Requirement> ParseRequirement(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"key", "operator", "values"}));
  const auto key = field.Get("key");
  if (!key) return field.Missing("key");
  const auto op = field.Get("operator");
  if (!op) return field.Missing("operator");
  Selector::Requirement requirement;
  SL_ASSIGN_OR_RETURN(requirement.key, ParseChecked(*key, CheckLabelKey));
  SL_ASSIGN_OR_RETURN(requirement.op, ParseOperator(*op));
  SL_RETURN_IF_ERROR(field.ReadItems("values", requirement.values, Checked(CheckLabelValue)));
  const bool takes_values = requirement.op == Selector::Operator::kIn || requirement.op == Selector::Operator::kNotIn;
  if (takes_values && requirement.values.empty()) {
    return field.Error(fmt::format("operator {} needs at least one value", op->node().scalar));
  }
  if (!takes_values && !requirement.values.empty()) {
    return field.Error(fmt::format("operator {} takes no values", op->node().scalar));
  }
  return requirement;
}

StatusOr<std::string> ParseNamespaceOf(const Field& metadata, Kind kind) {
  const auto ns = metadata.Get("namespace");
  std::string text;
  SL_RETURN_IF_ERROR(metadata.Read("namespace", text, ParseString));
  if (kind == Kind::kNamespace) return std::string();  // the API server accepts one and ignores it
  if (!IsNamespaced(kind)) {
    if (!text.empty()) return ns->Error(fmt::format("a {} has none, and would not be limited to it", KindName(kind)));
    return std::string();
  }
  if (!text.empty()) return ParseChecked(*ns, CheckDnsLabel);
  return metadata.document().default_namespace;
}

}  // namespace

StatusOr<Labels> ParseLabels(const Field& field) {
  Labels labels;
  SL_RETURN_IF_ERROR(field.ForEachEntry([&](const std::string& key, const Field& value) -> Status {
    if (const std::string wrong = CheckLabelKey(key); !wrong.empty()) return value.Error("the key " + wrong);
    SL_ASSIGN_OR_RETURN(labels[key], ParseMapValue(value));
    if (const std::string wrong = CheckLabelValue(labels[key]); !wrong.empty()) return value.Error(wrong);
    return OkStatus();
  }));
  return labels;
}

StatusOr<Metadata> ParseMetadata(const Field& root, Kind kind) {
  const auto field = root.Get("metadata");
  if (!field) return root.Missing("metadata");
  SL_RETURN_IF_ERROR(
      field->AllowOnly({"name", "namespace", "labels", "annotations", "uid", "resourceVersion", "generation",
                        "creationTimestamp", "managedFields", "ownerReferences", "finalizers", "generateName",
                        "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"}));
  Metadata metadata;
  const auto name = field->Get("name");
  if (!name) return field->Missing("name");
  SL_ASSIGN_OR_RETURN(metadata.name.name,
                      ParseChecked(*name, kind == Kind::kNamespace ? CheckDnsLabel : CheckDnsSubdomain));
  SL_ASSIGN_OR_RETURN(metadata.name.ns, ParseNamespaceOf(*field, kind));
  SL_RETURN_IF_ERROR(field->Read("uid", metadata.uid, ParseString));
  SL_RETURN_IF_ERROR(field->Read("labels", metadata.labels, ParseLabels));
  if (const auto annotations = field->Get("annotations")) SL_RETURN_IF_ERROR(CheckAnnotations(*annotations));
  return metadata;
}

StatusOr<Selector> ParseSelector(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"matchLabels", "matchExpressions"}));
  Selector selector;
  Labels labels;
  SL_RETURN_IF_ERROR(field.Read("matchLabels", labels, ParseLabels));
  for (const auto& [key, value] : labels) {
    selector.requirements.push_back({.key = key, .op = Selector::Operator::kIn, .values = {value}});
  }
  SL_RETURN_IF_ERROR(field.ReadItems("matchExpressions", selector.requirements, ParseRequirement));
  return selector;
}

StatusOr<std::uint8_t> ParseProtocol(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "TCP") return kTcp;
  if (text == "UDP") return kUdp;
  if (text == "SCTP") return kSctp;
  return field.Error(fmt::format("must be TCP, UDP or SCTP, got {}", Quoted(text)));
}

StatusOr<std::uint16_t> ParsePortNumber(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::int64_t number, field.Integer(1, 65535));
  return static_cast<std::uint16_t>(number);
}

StatusOr<Address> ParseHostAddress(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const StatusOr<Address> address = Address::Parse(text);
  if (!address.ok()) return field.Error(Message(address.status()));
  const std::uint8_t* first = address->bytes().data() + (address->is_v4() ? 12 : 0);
  const bool multicast = address->is_v4() ? *first >= 224 : *first == 0xff;
  const bool wildcard = address->is_v4() ? *first == 0 : *address == Address();
  if (multicast || IsLoopback(*address) || wildcard) {
    return field.Error(fmt::format("{} is not a host address that others can reach", Quoted(text)));
  }
  return *address;
}

StatusOr<std::string> ParseString(const Field& field) { return field.String(); }

StatusOr<std::string> ParseChecked(const Field& field, std::string (*check)(std::string_view)) {
  SL_ASSIGN_OR_RETURN(std::string text, field.String());
  if (const std::string wrong = check(text); !wrong.empty()) return field.Error(wrong);
  return text;
}

}  // namespace sluice::policy
