// Which events an observer asked for. A value; const calls may come from several threads. Pure.
//   SL_ASSIGN_OR_RETURN(const EventFilter filter, EventFilter::Make(request));
//   if (filter.Matches(event)) ...
#pragma once

#include <optional>

#include "telemetry/event/event_conditions.h"

namespace sluice::telemetry {

class EventFilter {
 public:
  EventFilter() = default;  // everything
  // InvalidArgument: a condition that can match nothing; says what is accepted.
  static StatusOr<EventFilter> Make(const v1::ObserveRequest& request);
  static StatusOr<EventFilter> Make(const v1::ObserveRequest::Filter& filter);

  // What was asked for and is not left out. Losses are for everybody whose events may be among them.
  bool Matches(const v1::Event& event) const;
  // Between `since` and `until`: for past events.
  bool IsInTime(const google::protobuf::Timestamp& time) const;
  bool WantsFlows() const { return wanted_.WantsFlows(); }
  // No flow has to be looked at to know that it matches, at any time.
  bool TakesEveryFlow() const { return wanted_.TakesEveryFlow() && except_.empty() && !since_ && !until_; }
  // The workloads that it names and, without a name, the namespaces.
  std::vector<policy::ObjectName> Names() const;

 private:
  EventConditions wanted_;
  std::vector<EventConditions> except_;
  std::optional<google::protobuf::Timestamp> since_;
  std::optional<google::protobuf::Timestamp> until_;
};

}  // namespace sluice::telemetry
