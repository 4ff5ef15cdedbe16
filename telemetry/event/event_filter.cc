#include "telemetry/event/event_filter.h"

#include <google/protobuf/util/time_util.h>

#include <algorithm>

namespace sluice::telemetry {

StatusOr<EventFilter> EventFilter::Make(const v1::ObserveRequest::Filter& filter) {
  EventFilter made;
  SL_ASSIGN_OR_RETURN(made.wanted_, EventConditions::Make(filter));
  return made;
}

StatusOr<EventFilter> EventFilter::Make(const v1::ObserveRequest& request) {
  SL_ASSIGN_OR_RETURN(EventFilter made, Make(request.filter()));
  for (const v1::ObserveRequest::Filter& filter : request.except()) {
    SL_ASSIGN_OR_RETURN(EventConditions except, EventConditions::Make(filter));
    made.except_.push_back(std::move(except));
  }
  if (request.has_since()) made.since_ = request.since();
  if (request.has_until()) made.until_ = request.until();
  if (made.since_ && made.until_ && *made.until_ < *made.since_) {
    return InvalidError("until is before since: nothing can match");
  }
  return made;
}

bool EventFilter::Matches(const v1::Event& event) const {
  if (!wanted_.Matches(event)) return false;
  if (event.has_lost()) return true;
  return std::none_of(except_.begin(), except_.end(),
                      [&](const EventConditions& except) { return except.Matches(event); });
}

bool EventFilter::IsInTime(const google::protobuf::Timestamp& time) const {
  return !(since_ && time < *since_) && !(until_ && time > *until_);
}

std::vector<policy::ObjectName> EventFilter::Names() const {
  std::vector<policy::ObjectName> names = wanted_.Names();
  for (const EventConditions& except : except_) {
    for (policy::ObjectName& name : except.Names()) names.push_back(std::move(name));
  }
  return names;
}

}  // namespace sluice::telemetry
