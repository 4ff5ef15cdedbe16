// The three kinds of policies.
#include "policy/resource/resource_kinds.h"
#include "policy/resource/resource_scalar.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::policy {
namespace {

StatusOr<Prefix> ParseCidr(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const StatusOr<Prefix> prefix = Prefix::Parse(text);
  if (!prefix.ok()) return field.Error(Message(prefix.status()));
  return *prefix;
}

StatusOr<IpBlock> ParseIpBlock(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"cidr", "except"}));
  const auto cidr = field.Get("cidr");
  if (!cidr) return field.Missing("cidr");
  IpBlock block;
  SL_ASSIGN_OR_RETURN(block.cidr, ParseCidr(*cidr));
  if (const auto except = field.Get("except")) {
    SL_RETURN_IF_ERROR(except->ForEachItem([&](const Field& item) -> Status {
      SL_ASSIGN_OR_RETURN(const Prefix hole, ParseCidr(item));
      if (!block.cidr.Contains(hole) || hole == block.cidr) {
        return item.Error(fmt::format("{} is not strictly inside cidr {}", hole.ToString(), block.cidr.ToString()));
      }
      block.except.push_back(hole);
      return OkStatus();
    }));
  }
  return block;
}

StatusOr<Peer> ParsePeer(const Field& field, NetworkPolicy::Api api) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"podSelector", "namespaceSelector", "ipBlock"}));
  Peer peer;
  SL_RETURN_IF_ERROR(field.Read("podSelector", peer.pod_selector, ParseSelector));
  SL_RETURN_IF_ERROR(field.Read("namespaceSelector", peer.namespace_selector, ParseSelector));
  SL_RETURN_IF_ERROR(field.Read("ipBlock", peer.ip_block, ParseIpBlock));
  const bool selects = peer.pod_selector || peer.namespace_selector;
  if (peer.ip_block && selects) {
    return field.Get("ipBlock")->Error(
        "cannot be combined with podSelector or namespaceSelector: make it a separate peer");
  }
  if (!peer.ip_block && !selects) return field.Error("needs podSelector, namespaceSelector or ipBlock");
  if (api == NetworkPolicy::Api::kSluiceCluster && peer.pod_selector && !peer.namespace_selector) {  // 54
    return field.Get("podSelector")->Error("needs namespaceSelector beside it: the policy has no namespace of its own");
  }
  return peer;
}

// IntOrString: a number, or the name of a port of the destination.
Status ParsePort(const Field& field, PortRule& rule) {
  const bool number = field.node().type == YamlNode::Type::kScalar && TypeOf(field.node()) != ScalarType::kString;
  if (number) {
    SL_ASSIGN_OR_RETURN(rule.port, ParsePortNumber(field));
  } else {
    SL_ASSIGN_OR_RETURN(rule.port_name, ParseChecked(field, CheckPortName));
  }
  return OkStatus();
}

StatusOr<PortRule> ParsePortRule(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"protocol", "port", "endPort"}));
  PortRule rule;
  SL_RETURN_IF_ERROR(field.Read("protocol", rule.protocol, ParseProtocol));
  if (const auto port = field.Get("port")) SL_RETURN_IF_ERROR(ParsePort(*port, rule));
  if (const auto end = field.Get("endPort")) {
    if (!rule.port_name.empty()) return end->Error(fmt::format("needs a numeric port, not {}", Quoted(rule.port_name)));
    if (!rule.port) return end->Error("needs port, the first port of the range");
    SL_ASSIGN_OR_RETURN(rule.end_port, ParsePortNumber(*end));
    if (*rule.end_port < *rule.port) {
      return end->Error(fmt::format("{} is below port {}", *rule.end_port, *rule.port));
    }
  }
  return rule;
}

StatusOr<RuleAction> ParseAction(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "Allow") return RuleAction::kAllow;
  if (text == "Deny") return RuleAction::kDeny;
  if (text == "Audit") return RuleAction::kAudit;
  return field.Error(fmt::format("must be Allow, Deny or Audit, got {}", Quoted(text)));
}

StatusOr<PolicyMode> ParseMode(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "Enforce") return PolicyMode::kEnforce;
  if (text == "Audit") return PolicyMode::kAudit;
  return field.Error(fmt::format("must be Enforce or Audit, got {}", Quoted(text)));
}

StatusOr<UnknownProcesses> ParseUnknownProcesses(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  if (text == "Deny") return UnknownProcesses::kDeny;
  if (text == "Allow") return UnknownProcesses::kAllow;
  return field.Error(fmt::format("must be Deny or Allow, got {}", Quoted(text)));
}

StatusOr<ProcessMatch> ParseProcesses(const Field& field) {
  SL_RETURN_IF_ERROR(field.AllowOnly({"binaries", "ancestors"}));
  SL_RETURN_IF_ERROR(field.RefuseNull({"binaries", "ancestors"}));
  ProcessMatch match;
  SL_RETURN_IF_ERROR(field.ReadItems("binaries", match.binaries, Checked(CheckProgramPattern)));
  SL_RETURN_IF_ERROR(field.ReadItems("ancestors", match.ancestors, Checked(CheckProgramPattern)));
  // An empty list may be meant as "none", but would act as "any".
  for (const auto& [key, patterns] : {std::pair{"binaries", &match.binaries}, {"ancestors", &match.ancestors}}) {
    if (const auto list = field.Get(key); list && patterns->empty()) {
      return list->Error("needs at least one pattern: leave the field out to match any");
    }
  }
  if (match.binaries.empty() && match.ancestors.empty()) return field.Error("needs binaries or ancestors");
  return match;
}

// `peers_key`: "from" or "to".
StatusOr<Rule> ParseRule(const Field& field, std::string_view peers_key, NetworkPolicy::Api api) {
  Rule rule;
  if (api != NetworkPolicy::Api::kKubernetes) {
    SL_RETURN_IF_ERROR(field.AllowOnly({peers_key, "ports", "action", "processes"}));
    SL_RETURN_IF_ERROR(field.RefuseNull({"processes"}));  // null would match every process
    SL_RETURN_IF_ERROR(field.Read("processes", rule.processes, ParseProcesses));
    SL_RETURN_IF_ERROR(field.Read("action", rule.action, ParseAction));
  } else {
    SL_RETURN_IF_ERROR(field.AllowOnly({peers_key, "ports"}, {"action", "processes"}));
  }
  SL_RETURN_IF_ERROR(field.ReadItems(peers_key, rule.peers, [=](const Field& item) { return ParsePeer(item, api); }));
  SL_RETURN_IF_ERROR(field.ReadItems("ports", rule.ports, ParsePortRule));
  return rule;
}

// Rule 2: without policyTypes a policy isolates ingress, and egress if it has egress rules.
Status ParsePolicyTypes(const std::optional<Field>& field, NetworkPolicy& policy) {
  if (field) {
    SL_RETURN_IF_ERROR(field->ForEachItem([&](const Field& item) -> Status {
      SL_ASSIGN_OR_RETURN(const std::string text, item.String());
      if (text != "Ingress" && text != "Egress") {
        return item.Error(fmt::format("must be Ingress or Egress, got {}", Quoted(text)));
      }
      (text == "Ingress" ? policy.applies_to_ingress : policy.applies_to_egress) = true;
      return OkStatus();
    }));
    if (policy.applies_to_ingress || policy.applies_to_egress) return OkStatus();
  }
  policy.applies_to_ingress = true;
  policy.applies_to_egress = !policy.egress.empty();
  return OkStatus();
}

// 53, 55: neither has a default, because everybody would expect another one.
Status ParseClusterFields(const Field& spec, NetworkPolicy& policy) {
  const auto namespaces = spec.Get("namespaceSelector"), default_deny = spec.Get("defaultDeny");
  if (!namespaces) return spec.Missing("namespaceSelector");
  if (!default_deny) return spec.Missing("defaultDeny");
  SL_ASSIGN_OR_RETURN(policy.namespace_selector, ParseSelector(*namespaces));
  SL_ASSIGN_OR_RETURN(policy.default_deny, default_deny->Bool());
  return OkStatus();
}

}  // namespace

StatusOr<std::shared_ptr<const NetworkPolicy>> ParseNetworkPolicy(const Field& root, const Metadata& metadata,
                                                                  NetworkPolicy::Api api) {
  SL_RETURN_IF_ERROR(root.AllowOnly({"apiVersion", "kind", "metadata", "spec", "status"}));
  const auto spec = root.Get("spec");
  if (!spec) return root.Missing("spec");
  auto policy = std::make_shared<NetworkPolicy>();
  policy->api = api;
  policy->name = metadata.name;
  if (api == NetworkPolicy::Api::kKubernetes) {
    SL_RETURN_IF_ERROR(
        spec->AllowOnly({"podSelector", "policyTypes", "ingress", "egress"}, {"mode", "unknownProcesses"}));
  } else if (api == NetworkPolicy::Api::kSluice) {
    SL_RETURN_IF_ERROR(
        spec->AllowOnly({"podSelector", "policyTypes", "ingress", "egress", "mode", "unknownProcesses"}));
  } else {
    SL_RETURN_IF_ERROR(spec->AllowOnly({"namespaceSelector", "podSelector", "policyTypes", "ingress", "egress", "mode",
                                        "unknownProcesses", "defaultDeny"}));
    SL_RETURN_IF_ERROR(ParseClusterFields(*spec, *policy));
  }
  SL_RETURN_IF_ERROR(spec->Read("mode", policy->mode, ParseMode));  // absent from the Kubernetes kind
  SL_RETURN_IF_ERROR(spec->Read("unknownProcesses", policy->unknown_processes, ParseUnknownProcesses));
  const auto rule_with = [&](std::string_view peers_key) {
    return [=](const Field& item) { return ParseRule(item, peers_key, api); };
  };
  SL_RETURN_IF_ERROR(spec->Read("podSelector", policy->pod_selector, ParseSelector));
  SL_RETURN_IF_ERROR(spec->ReadItems("ingress", policy->ingress, rule_with("from")));
  SL_RETURN_IF_ERROR(spec->ReadItems("egress", policy->egress, rule_with("to")));
  SL_RETURN_IF_ERROR(ParsePolicyTypes(spec->Get("policyTypes"), *policy));
  return policy;
}

}  // namespace sluice::policy
