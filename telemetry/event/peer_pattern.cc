#include "telemetry/event/peer_pattern.h"

#include "policy/resource/label_selector.h"
#include "policy/resource/resource_syntax.h"

namespace sluice::telemetry {
namespace {

constexpr char kNode[] = "node";
constexpr char kWorld[] = "world";
constexpr char kOfSelectors[] = "=!(";  // names and addresses never have these

}  // namespace

StatusOr<policy::Prefix> ParsePrefixOrAddress(const std::string& text) {
  if (text.find('/') != std::string::npos) return policy::Prefix::Parse(text);
  SL_ASSIGN_OR_RETURN(const policy::Address address, policy::Address::Parse(text));
  return policy::Prefix::Host(address);
}

StatusOr<policy::ObjectName> ParseWorkload(const std::string& text, bool name_may_be_empty) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || (slash + 1 == text.size() && !name_may_be_empty)) {
    return InvalidError("{}: expected namespace/name", text);
  }
  policy::ObjectName workload{text.substr(0, slash), text.substr(slash + 1)};
  std::string wrong = policy::CheckDnsLabel(workload.ns);
  if (wrong.empty() && !workload.name.empty()) wrong = policy::CheckDnsSubdomain(workload.name);
  if (!wrong.empty()) return InvalidError("{}: {}", text, wrong);
  return workload;
}

bool HasLabels(const v1::Peer& peer, const policy::Selector& selector) {
  return !peer.workload().empty() && selector.Matches(policy::Labels(peer.labels().begin(), peer.labels().end()));
}

StatusOr<PeerPattern> PeerPattern::Parse(const std::string& text) {
  if (text == kNode || text == kWorld) return PeerPattern(text);
  if (const auto prefix = ParsePrefixOrAddress(text); prefix.ok()) return PeerPattern(*prefix);
  if (text.find_first_of(kOfSelectors) != std::string::npos) {
    SL_ASSIGN_OR_RETURN(policy::Selector selector, policy::ParseLabelSelector(text));
    return PeerPattern(std::move(selector));
  }
  auto workload = ParseWorkload(text, true);
  if (workload.ok()) return PeerPattern(*std::move(workload));
  return InvalidError(
      "{}: expected a workload (namespace/name), a namespace (namespace/), an address, a CIDR, a label selector "
      "(app=web), "
      "node or world",
      text);
}

bool PeerPattern::Matches(const v1::Peer& peer, const std::optional<policy::Address>& address) const {
  if (const auto* entity = std::get_if<Entity>(&pattern_)) return peer.entity() == *entity;
  if (const auto* prefix = std::get_if<policy::Prefix>(&pattern_)) return address && prefix->Contains(*address);
  if (const auto* selector = std::get_if<policy::Selector>(&pattern_)) return HasLabels(peer, *selector);
  const auto& workload = std::get<policy::ObjectName>(pattern_);
  return peer.namespace_() == workload.ns && (workload.name.empty() || peer.workload() == workload.name);
}

}  // namespace sluice::telemetry
