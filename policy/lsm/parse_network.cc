// spec.network.
#include <absl/strings/ascii.h>

#include "policy/lsm/parse_parts.h"
#include "policy/resource/resource_common.h"

namespace sluice::policy::lsm {
namespace {

StatusOr<Protocol> ParseSocketProtocol(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const ProtocolInfo* info = FindName(kProtocols, absl::AsciiStrToLower(text));
  if (info != nullptr) return info->protocol;
  return field.Error(fmt::format("unknown protocol {}{}", Quoted(text), InsteadOf(kProtocols, text, kPage)));
}

StatusOr<std::uint8_t> ParsePeerProtocol(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  const std::string lower = absl::AsciiStrToLower(text);
  if (lower == "tcp") return kTcp;
  if (lower == "udp") return kUdp;
  if (lower == "sctp") return kSctp;
  return field.Error(fmt::format("must be tcp, udp or sctp, got {}", Quoted(text)));
}

StatusOr<Prefix> ParseCidr(const Field& field) {
  SL_ASSIGN_OR_RETURN(const std::string text, field.String());
  StatusOr<Prefix> prefix = Prefix::Parse(text);
  if (!prefix.ok()) return field.Error(Message(prefix.status()));
  if (IsLoopback(prefix->address())) {
    SL_RETURN_IF_ERROR(
        ErrorUnlessLenient(field, "loopback addresses never leave the workload, and are always allowed"));
  }
  return *std::move(prefix);
}

// Without a source, a rule for a host is about everything that runs on the node, the agent and the kubelet included.
Status CheckSources(const Field& field, const Rule& rule, const PolicyParts& parts) {
  if (parts.kind != Policy::Kind::kHost || !rule.sources.empty()) return OkStatus();
  return ErrorUnlessLenient(field,
                            "needs fromSource in a KubeArmorHostPolicy, or it is about every program of the node");
}

StatusOr<std::optional<PortRange>> ParsePorts(const Field& field) {
  const auto port = field.Get("port"), end = field.Get("endPort");
  if (!port && end) return end->Error("needs port beside it");
  if (!port) return std::optional<PortRange>();
  PortRange ports;
  SL_ASSIGN_OR_RETURN(ports.first, ParsePortNumber(*port));
  ports.last = ports.first;
  if (!end) return std::optional(ports);
  SL_ASSIGN_OR_RETURN(ports.last, ParsePortNumber(*end));
  if (ports.last < ports.first) return end->Error(fmt::format("{} is below port {}", ports.last, ports.first));
  return std::optional(ports);
}

StatusOr<std::string> ReadProtocolRule(const Field& field, const PolicyParts& parts, ProtocolRule& parsed) {
  const auto protocol = field.Get("protocol");
  if (!protocol) return field.Missing("protocol");
  SL_ASSIGN_OR_RETURN(parsed.protocol, ParseSocketProtocol(*protocol));
  SL_RETURN_IF_ERROR(CheckSources(field, parsed.rule, parts));
  return fmt::format("protocol {}", InfoOf(parsed.protocol).name);
}

StatusOr<std::string> ReadPeerRule(const Field& field, const PolicyParts& parts, PeerRule& parsed) {
  const auto cidr = field.Get("cidr");
  if (!cidr) return field.Missing("cidr");
  SL_ASSIGN_OR_RETURN(parsed.cidr, ParseCidr(*cidr));
  SL_RETURN_IF_ERROR(field.Read("protocol", parsed.protocol, ParsePeerProtocol));
  SL_ASSIGN_OR_RETURN(parsed.ports, ParsePorts(field));
  SL_RETURN_IF_ERROR(CheckSources(field, parsed.rule, parts));
  const PortRange ports = parsed.ports.value_or(PortRange());
  return fmt::format("peer {} {} {}-{}", parsed.cidr.ToString(), parsed.protocol.value_or(0), ports.first, ports.last);
}

}  // namespace

Status ParseNetwork(const Field& spec, const Effect& effect, PolicyParts& parts, Policy& policy) {
  const auto section = spec.Get("network");
  if (!section) return OkStatus();
  SL_RETURN_IF_ERROR(CheckKeys(*section, fmt::format("matchProtocols matchPeers matchDNSQueries {}", kRuleFields)));
  SL_RETURN_IF_ERROR(RefuseKeys(
      *section, {{"matchDNSQueries", "rules about names are not possible yet: use matchPeers, with addresses"}}));
  SL_ASSIGN_OR_RETURN(const Effect own, ParseEffect(*section, effect));
  const std::size_t before = parts.rules;
  Status first = ReadRules(*section, RuleList::kProtocols, own, parts, policy.protocols,
                           [&](const Field& item, ProtocolRule& rule) { return ReadProtocolRule(item, parts, rule); });
  first.Update(ReadRules(*section, RuleList::kPeers, own, parts, policy.peers,
                         [&](const Field& item, PeerRule& rule) { return ReadPeerRule(item, parts, rule); }));
  first.Update(CheckHasRules(*section, parts, before));
  return first;
}

}  // namespace sluice::policy::lsm
