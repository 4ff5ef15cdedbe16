// One scope or filter of a policy or a detector -> a condition in the language of policy/rules. Pure. Errors are
// InvalidArgument, and say what is wrong with the text.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "policy/tracee/events.h"

namespace sluice::policy::tracee {

// What a filter may name of an event's data.
struct FilterData {
  std::string name;
  std::string field;  // of policy/rules
  DataType type = DataType::kText;
};

// "comm=ls,cat", "uid>=1000", "container", "not-container". Empty: it is true for every event ("global").
StatusOr<std::string> ConditionOfScope(std::string_view text);

// What an event is decided by, and what filters may name of it. One that a detector produces may have several.
struct EventSource {
  std::string condition;
  std::vector<FilterData> data;
};
EventSource SourceOf(const EventInfo& event);

// "data.pathname=/tmp*", "retval<0", and what a scope may say. `event`: its name.
StatusOr<std::string> ConditionOfFilter(std::string_view text, std::string_view event,
                                        const std::vector<FilterData>& data);

// "pathname=/tmp*": of detectors, whose data have no prefix.
StatusOr<std::string> ConditionOfData(std::string_view text, std::string_view event,
                                      const std::vector<FilterData>& data);

// Filters of one event: of those with = and one name, one is enough, and everything else must hold, as Tracee has it.
class FilterSet {
 public:
  void Add(std::string_view text, const std::string& condition);
  std::string Condition() const;  // " and A and B"; empty: there are none

 private:
  std::map<std::string, std::string> by_name_;
};

}  // namespace sluice::policy::tracee
