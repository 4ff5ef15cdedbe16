#include "telemetry/flow/event_reader.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string_view>

#include "telemetry/event/event_time.h"

namespace sluice::telemetry {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;

// An answer with more events than this counts as large.
constexpr std::size_t kLargeAnswer = 65536;

// Finds duplicates: two CPUs that see a flow's first packets at the same moment may both insert an entry.
class Twins {
 public:
  // False: another record of the same flow was seen before.
  bool IsFirst(const FlowRecord& record) {
    std::string_view key(reinterpret_cast<const char*>(&record.key), sizeof record.key);
    const std::size_t hash = std::hash<std::string_view>()(key);
    return seen_.insert(record.state == FlowState::kDenied ? ~hash : hash).second;
  }

 private:
  absl::flat_hash_set<std::size_t> seen_;  // one hash for each flow; needs a quarter of the memory of std's set
};

v1::Event Assemble(const FlowContext& context, const FlowRecord& record) {
  v1::Event event;
  *event.mutable_flow() = context.Assemble(FromRecord(record));
  return event;
}

bool IsOlder(const FlowRecord& a, const FlowRecord& b) { return a.entry.last_seen_ns < b.entry.last_seen_ns; }
bool IsNewer(const FlowRecord& a, const FlowRecord& b) { return IsOlder(b, a); }

bool IsWanted(const EventFilter& filter, const v1::Event& event) {
  return filter.IsInTime(TimeOf(event)) && filter.Matches(event);
}

// The newest `last` flows that match (0: all), oldest first.
StatusOr<std::vector<FlowRecord>> NewestFlows(datapath::PathReader* datapath, const FlowContext& context,
                                              const EventFilter& filter, std::uint32_t last) {
  std::vector<FlowRecord> newest;  // with `last`: a heap with the oldest on top
  Twins twins;
  const bool all = filter.TakesEveryFlow();
  SL_RETURN_IF_ERROR(datapath->ForEachFlow([&](const FlowRecord& record) {
    const bool full = last != 0 && newest.size() >= last;
    if (full && !IsOlder(newest.front(), record)) return;
    if (!all && !IsWanted(filter, Assemble(context, record))) return;
    if (!twins.IsFirst(record)) return;
    if (full) {
      std::pop_heap(newest.begin(), newest.end(), IsNewer);
      newest.back() = record;
    } else {
      newest.push_back(record);
    }
    if (last != 0) std::push_heap(newest.begin(), newest.end(), IsNewer);
  }));
  std::sort(newest.begin(), newest.end(), IsOlder);
  return newest;
}

struct PastEvent {
  std::int64_t time_ns = 0;  // since 1970
  History::Kept kept;
};

// Oldest first. Events are loaded one at a time, and flows only if something has to be looked at: there may be very
// many.
std::vector<PastEvent> WantedOf(const History& history, const EventFilter& filter) {
  std::vector<PastEvent> wanted;
  for (History::Kept& kept : history.List()) {
    const auto* const flow = std::get_if<PackedFlow>(&kept);
    if (flow != nullptr && filter.TakesEveryFlow()) {
      wanted.push_back({flow->time_ns, std::move(kept)});
      continue;
    }
    if (flow != nullptr && !filter.WantsFlows()) continue;
    const EventPtr event = history.Load(kept);
    if (IsWanted(filter, *event)) wanted.push_back({NanosecondsOf(TimeOf(*event)), std::move(kept)});
  }
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const PastEvent& a, const PastEvent& b) { return a.time_ns < b.time_ns; });
  return wanted;
}

}  // namespace

bool IsLargeRead(const EventFilter& filter, std::uint32_t last) {
  return filter.WantsFlows() && (last == 0 || last > kLargeAnswer);
}

Status ReadEvents(datapath::PathReader* datapath, FlowAssembler* assembler, const History& history,
                  const EventFilter& filter, std::uint32_t last, const std::function<bool(const v1::Event&)>& consume) {
  // Read live flows first: a flow that ends meanwhile is then in both lists, not in neither.
  const FlowContext context = assembler->Capture();
  std::vector<FlowRecord> flows;
  if (filter.WantsFlows()) {
    SL_ASSIGN_OR_RETURN(flows, NewestFlows(datapath, context, filter, last));
  }
  const std::vector<PastEvent> past = WantedOf(history, filter);

  const std::size_t all = flows.size() + past.size();
  std::size_t skip = last != 0 && all > last ? all - last : 0;
  auto flow = flows.begin();
  auto event = past.begin();
  std::optional<v1::Event> next;  // made from *flow
  while (flow != flows.end() || event != past.end()) {
    if (flow != flows.end() && !next) next = Assemble(context, *flow);
    const bool take_flow = next && (event == past.end() || NanosecondsOf(TimeOf(*next)) < event->time_ns);
    if (skip == 0 && !consume(take_flow ? *next : *history.Load(event->kept))) break;
    if (skip != 0) skip--;
    if (take_flow) {
      next.reset();
      ++flow;
    } else {
      ++event;
    }
  }
  return OkStatus();
}

Status ReadFlows(datapath::PathReader* datapath, FlowAssembler* assembler, std::uint32_t limit,
                 const std::function<bool(v1::Flow flow)>& consume) {
  const FlowContext context = assembler->Capture();
  if (limit != 0) {
    SL_ASSIGN_OR_RETURN(const auto newest, NewestFlows(datapath, context, EventFilter(), limit));
    for (const FlowRecord& record : newest)
      if (!consume(context.Assemble(FromRecord(record)))) break;
    return OkStatus();
  }
  Twins twins;
  bool wanted = true;
  return datapath->ForEachFlow([&](const FlowRecord& record) {
    if (wanted && twins.IsFirst(record)) wanted = consume(context.Assemble(FromRecord(record)));
  });
}

}  // namespace sluice::telemetry
