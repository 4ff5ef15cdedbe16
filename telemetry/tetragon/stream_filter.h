// The filters of a GetEvents request: which events a client gets. Facts about what each matches are in docs/clients.md.
//   SL_ASSIGN_OR_RETURN(StreamFilter filter, StreamFilter::Make(request));
//   if (filter.Matches(event)) ...
// Not thread-safe: `pid_set` learns from the events. Memory is bounded by kMaxFilterValues and kMaxDescendants.
#pragma once

#include <functional>
#include <set>

#include "base/status.h"
#include "telemetry/tetragon/event_parts.h"

namespace sluice::telemetry {

inline constexpr int kMaxFilters = 64;                 // of a list
inline constexpr std::size_t kMaxFilterValues = 512;   // of a request, all filters together
inline constexpr std::size_t kMaxFilterText = 4096;    // bytes of one value
inline constexpr std::size_t kMaxDescendants = 65536;  // that a pid_set remembers; then the oldest are forgotten

class StreamFilter {
 public:
  // InvalidArgument names the list, the filter, the field and the value.
  static StatusOr<StreamFilter> Make(const tetragon::GetEventsRequest& request);

  // One of the allow list matches, or it is empty; and none of the deny list does.
  bool Matches(const TetragonEvent& event);

  // What may match at all, to leave the rest out before it is converted; empty: any.
  const std::set<tetragon::EventType>& types() const { return types_; }
  // True: RATE_LIMIT_INFO is asked for by name.
  bool wants_losses() const { return wants_losses_; }

 private:
  using Condition = std::function<bool(const TetragonEvent&)>;
  using Conditions = std::vector<Condition>;  // of one filter: all must match

  static bool MatchesOne(const std::vector<Conditions>& filters, const TetragonEvent& event);
  Status Add(const tetragon::Filter& filter, std::vector<Conditions>* to);

  std::vector<Conditions> allow_;
  std::vector<Conditions> deny_;
  std::set<tetragon::EventType> types_;
  bool wants_losses_ = false;
};

}  // namespace sluice::telemetry
