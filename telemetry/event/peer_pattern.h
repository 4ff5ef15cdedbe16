// A pattern for one end of a flow. Pure.
//   SL_ASSIGN_OR_RETURN(const PeerPattern web, PeerPattern::Parse("shop/web-0"));
//   if (web.Matches(flow.source(), address)) ...
#pragma once

#include <optional>
#include <string>
#include <variant>

#include "api/sluice.pb.h"
#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

class PeerPattern {
 public:
  // "shop/web-0", "shop/" (all of a namespace), an address, a CIDR, a label selector ("app=web,tier!=db"), "node" or
  // "world". InvalidArgument lists these.
  static StatusOr<PeerPattern> Parse(const std::string& text);

  // `address`: the peer's; nothing: not known.
  bool Matches(const v1::Peer& peer, const std::optional<policy::Address>& address) const;
  // The workload or (with an empty name) the namespace that the pattern names; null: neither.
  const policy::ObjectName* name() const { return std::get_if<policy::ObjectName>(&pattern_); }

 private:
  using Entity = std::string;
  using Pattern = std::variant<Entity, policy::ObjectName, policy::Prefix, policy::Selector>;
  explicit PeerPattern(Pattern pattern) : pattern_(std::move(pattern)) {}
  Pattern pattern_;
};

// An address, or a CIDR.
StatusOr<policy::Prefix> ParsePrefixOrAddress(const std::string& text);
// "shop/web-0". With `name_may_be_empty` also "shop/".
StatusOr<policy::ObjectName> ParseWorkload(const std::string& text, bool name_may_be_empty = false);
// Whether the peer is a workload with such labels.
bool HasLabels(const v1::Peer& peer, const policy::Selector& selector);

}  // namespace sluice::telemetry
