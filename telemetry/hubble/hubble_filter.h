// The filters of Hubble's clients, with the meaning that Hubble gives them. A value; const calls may come from several
// threads. Pure.
//   SL_ASSIGN_OR_RETURN(const HubbleFilter filter, HubbleFilter::Make(request.whitelist(), request.blacklist()));
//   if (filter.Matches(flow)) ...
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <functional>
#include <vector>

#include "api/hubble_flow.pb.h"
#include "base/status.h"

namespace sluice::telemetry {

class HubbleFilter {
 public:
  using Filters = google::protobuf::RepeatedPtrField<flow::FlowFilter>;

  // The most filters of a request, and values of a filter's field.
  static constexpr int kMaxFilters = 256;
  static constexpr int kMaxValues = 1024;

  HubbleFilter() = default;  // matches everything
  // InvalidArgument: a value that can never match, or too many; the message names the field and the value.
  // Unimplemented: a CEL expression.
  static StatusOr<HubbleFilter> Make(const Filters& allow, const Filters& deny);

  // One of `allow` matches, or there is none, and none of `deny` does.
  bool Matches(const flow::Flow& flow) const;
  bool MatchesAll() const { return allow_.empty() && deny_.empty(); }

 private:
  using Condition = std::function<bool(const flow::Flow&)>;
  using Conditions = std::vector<Condition>;  // all must hold
  static StatusOr<std::vector<Conditions>> Compile(const char* list, const Filters& filters);

  std::vector<Conditions> allow_;
  std::vector<Conditions> deny_;
};

}  // namespace sluice::telemetry
