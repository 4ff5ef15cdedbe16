// The filter of an observer. A value; const calls may come from several threads. Pure.
//   SL_ASSIGN_OR_RETURN(const EventFilter filter, EventFilter::Make(request));
//   if (filter.Matches(event)) ...
#pragma once

#include <optional>

#include "telemetry/event/event_conditions.h"

namespace sluice::telemetry {

class EventFilter {
 public:
  EventFilter() = default;  // matches everything
  // InvalidArgument: a condition that can match nothing; the message says what is accepted.
  static StatusOr<EventFilter> Make(const v1::ObserveRequest& request);
  static StatusOr<EventFilter> Make(const v1::ObserveRequest::Filter& filter);

  // True: wanted, and not excluded. A loss matches if one of the lost events may have matched.
  bool Matches(const v1::Event& event) const;
  // Between `since` and `until`: for past events.
  bool IsInTime(const google::protobuf::Timestamp& time) const;
  bool WantsFlows() const { return wanted_.WantsFlows(); }
  // Every flow matches at any time, so flows need not be checked.
  bool TakesEveryFlow() const { return wanted_.TakesEveryFlow() && except_.empty() && !since_ && !until_; }
  // The workloads that it names; an entry without a name is a whole namespace.
  std::vector<policy::ObjectName> Names() const;

 private:
  EventConditions wanted_;
  std::vector<EventConditions> except_;
  std::optional<google::protobuf::Timestamp> since_;
  std::optional<google::protobuf::Timestamp> until_;
};

}  // namespace sluice::telemetry
