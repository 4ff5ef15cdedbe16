#include "tests/support/fixture_state.h"

namespace sluice::test {
namespace {

const char* OutcomeName(int outcome) {
  static constexpr const char* kNames[] = {
#define SL_X(name, description) #name,
      SL_DROP_REASONS(SL_X)
#undef SL_X
          "AUDITED"};
  return kNames[outcome];
}

const char* HookName(int hook) {
  static constexpr const char* kNames[] = {
#define SL_X(name, label, direction) label,
      SL_PACKET_HOOKS(SL_X)
#undef SL_X
  };
  return kNames[hook];
}

const char* CounterName(int counter) {
  static constexpr const char* kNames[] = {
#define SL_X(name, label) label,
      SL_COUNTERS(SL_X)
#undef SL_X
  };
  return kNames[counter];
}

const char* EventName(int type) {
  return type == SL_FLOW_NEW ? "NEW" : type == SL_FLOW_UPDATE ? "UPDATE" : type == SL_FLOW_END ? "END" : "?";
}

const char* StateName(datapath::FlowState state) {
  switch (state) {
    case datapath::FlowState::kEstablished:
      return "established";
    case datapath::FlowState::kPending:
      return "pending";
    case datapath::FlowState::kClosing:
      return "closing";
    case datapath::FlowState::kDenied:
      return "denied";
  }
  return "?";
}

constexpr std::uint32_t kEndpoints = 16;  // whose fragments are read

template <typename T>
std::string Bytes(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(value)};
}

}  // namespace

Moves& Moves::Add(const std::string& what, std::uint64_t amount) {
  if (amount != 0) what_[what] += amount;
  return *this;
}

Moves& Moves::Packet(int hook, int outcome, std::uint64_t bytes, std::uint64_t packets) {
  const std::string name = fmt::format("{} {}", HookName(hook), OutcomeName(outcome));
  return Add(name, packets).Add(name + " bytes", bytes);
}

Moves& Moves::Egress(std::uint32_t endpoint, int outcome, std::uint64_t bytes, std::uint64_t packets) {
  const std::string name = fmt::format("endpoint {} egress {}", endpoint, OutcomeName(outcome));
  return Add(name, packets).Add(name + " bytes", bytes);
}

Moves& Moves::Ingress(std::uint32_t endpoint, int outcome, std::uint64_t bytes, std::uint64_t packets) {
  const std::string name = fmt::format("endpoint {} ingress {}", endpoint, OutcomeName(outcome));
  return Add(name, packets).Add(name + " bytes", bytes);
}

Moves& Moves::Count(int counter, std::uint64_t times) { return Add(CounterName(counter), times); }
Moves& Moves::Added(const std::string& map, int entries) { return Add(map + " added", entries); }
Moves& Moves::Removed(const std::string& map, int entries) { return Add(map + " removed", entries); }
Moves& Moves::Changed(const std::string& map, int entries) { return Add(map + " changed", entries); }
Moves& Moves::Event(int type, int times) { return Add(fmt::format("event {}", EventName(type)), times); }

std::ostream& operator<<(std::ostream& out, const Moves& moves) {
  if (moves.what_.empty()) return out << "nothing";
  for (const auto& [what, amount] : moves.what_) out << "\n  " << what << ": " << amount;
  return out;
}

StatusOr<FixtureState> FixtureState::Read(datapath::BpfDatapath& datapath) {
  FixtureState state;
  SL_ASSIGN_OR_RETURN(state.counters_, datapath.ReadCounters());
  SL_ASSIGN_OR_RETURN(state.flows_, datapath.Flows());
  for (const datapath::FlowRecord& flow : state.flows_)
    state.maps_[StateName(flow.state)][Bytes(flow.key)] = Bytes(flow.entry);
  using Fragments = bpf::Map<__u32, sl_fragments>;
  SL_ASSIGN_OR_RETURN(const Fragments fragments, Fragments::Bind(datapath.object().map_fd("fragments"), "fragments"));
  for (std::uint32_t endpoint = 0; endpoint < kEndpoints; ++endpoint) {
    SL_ASSIGN_OR_RETURN(const auto table, fragments.Get(endpoint));
    for (const sl_first_fragment& one : table.value_or(sl_fragments{}).last)
      if (one.value != 0)
        state.maps_["fragments"][fmt::format("{}-{}", endpoint, one.check ^ one.value)] = Bytes(one.value);
  }
  SL_RETURN_IF_ERROR(
      datapath.PollEvents([&state](const sl_flow_event& event) { state.events_.push_back(event); }).status());
  return state;
}

Moves FixtureState::Since(const FixtureState& before) const {
  Moves moves;
  const auto packets = [](const sl_counter& now, const sl_counter& then) { return now.packets - then.packets; };
  const auto bytes = [](const sl_counter& now, const sl_counter& then) { return now.bytes - then.bytes; };
  for (int hook = 0; hook < SL_HOOK_COUNT; ++hook) {
    for (int outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
      const sl_counter &now = counters_.packets[hook][outcome], &then = before.counters_.packets[hook][outcome];
      moves.Packet(hook, outcome, bytes(now, then), packets(now, then));
    }
  }
  for (const auto& [endpoint, now] : counters_.endpoints) {
    const auto found = before.counters_.endpoints.find(endpoint);
    const sl_endpoint_counters then =
        found == before.counters_.endpoints.end() ? sl_endpoint_counters{} : found->second;
    for (int outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
      moves.Egress(endpoint, outcome, bytes(now.egress[outcome], then.egress[outcome]),
                   packets(now.egress[outcome], then.egress[outcome]));
      moves.Ingress(endpoint, outcome, bytes(now.ingress[outcome], then.ingress[outcome]),
                    packets(now.ingress[outcome], then.ingress[outcome]));
    }
  }
  /* Not the process counters: a test run has no socket, and each first packet would count that. */
  for (int id = 0; id < SL_COUNTER_SENDER_FOUND; ++id)
    moves.Count(id, counters_.events[id] - before.counters_.events[id]);
  for (const char* map : {"established", "pending", "closing", "denied", "fragments"}) {
    const auto now = maps_.find(map), then = before.maps_.find(map);
    const Entries empty;
    const Entries& have = now == maps_.end() ? empty : now->second;
    const Entries& had = then == before.maps_.end() ? empty : then->second;
    for (const auto& [key, value] : have) {
      const auto old = had.find(key);
      if (old == had.end())
        moves.Added(map);
      else if (old->second != value)
        moves.Changed(map);
    }
    for (const auto& [key, value] : had)
      if (!have.contains(key)) moves.Removed(map);
  }
  for (const sl_flow_event& event : events_) moves.Event(event.type);
  return moves;
}

}  // namespace sluice::test
