// A request for events -> a filter, and the search box's text. Pure.
#pragma once

#include <map>
#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"

namespace sluice::web {

inline constexpr std::uint32_t kMostEvents = 1000;  // of one answer

struct EventQuery {
  v1::ObserveRequest request;  // without `last`
  std::uint32_t last = 200;    // the newest ones
  std::string text;            // lower case; empty: every event
};

// The query's names: type, verdict, namespace, workload, process, port, drop_reason (each may have several values with
// commas between); last; since and until (nanoseconds since 1970); q (any text). InvalidArgument: another name, or a
// value that is none.
StatusOr<EventQuery> ParseEventQuery(const std::map<std::string, std::string>& query);

// A number of a query. InvalidArgument: it is none, or is not between `least` and `most`.
StatusOr<std::int64_t> ParseNumber(const std::string& name, const std::string& text, std::int64_t least,
                                   std::int64_t most);

// Whether a name, a path, an address, a label, an argument, a policy or the reason of the event contains `text`.
bool Contains(const v1::Event& event, const std::string& text);

}  // namespace sluice::web
