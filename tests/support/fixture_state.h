// Everything that a packet can change in the packet path's maps, and the difference between two moments:
//   auto before = FixtureState::Read(fixture.datapath());  ...one packet...  auto after =
//   FixtureState::Read(fixture.datapath()); EXPECT_EQ(after->Since(*before), Moves().Packet(SL_HOOK_TC_FROM_POD,
//   SL_DROP_NONE, 54).Count(SL_COUNTER_FLOW_NEW));
// An empty Moves says that nothing changed. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "kernel/datapath/bpf_datapath.h"

namespace sluice::test {

class Moves {
 public:
  Moves& Packet(int hook, int outcome, std::uint64_t bytes, std::uint64_t packets = 1);
  Moves& Egress(std::uint32_t endpoint, int outcome, std::uint64_t bytes, std::uint64_t packets = 1);
  Moves& Ingress(std::uint32_t endpoint, int outcome, std::uint64_t bytes, std::uint64_t packets = 1);
  Moves& Count(int counter, std::uint64_t times = 1);
  // `map`: the flow states established, pending or denied, or fragments.
  Moves& Added(const std::string& map, int entries = 1);
  Moves& Removed(const std::string& map, int entries = 1);
  Moves& Changed(const std::string& map, int entries = 1);
  Moves& Event(int type, int times = 1);  // SL_FLOW_NEW, SL_FLOW_UPDATE

  bool operator==(const Moves&) const = default;
  friend std::ostream& operator<<(std::ostream& out, const Moves& moves);

 private:
  Moves& Add(const std::string& what, std::uint64_t amount);
  std::map<std::string, std::uint64_t> what_;  // only counters that changed
};

class FixtureState {
 public:
  // Drains the events too: they belong to this state.
  static StatusOr<FixtureState> Read(datapath::BpfDatapath& datapath);

  Moves Since(const FixtureState& before) const;
  const std::vector<sl_flow_event>& events() const { return events_; }  // that were waiting
  const std::vector<datapath::FlowRecord>& flows() const { return flows_; }

 private:
  using Entries = std::map<std::string, std::string>;  // bytes of key and value
  datapath::Counters counters_;
  std::map<std::string, Entries> maps_;
  std::vector<datapath::FlowRecord> flows_;
  std::vector<sl_flow_event> events_;
};

}  // namespace sluice::test
