// The packet path with one scenario in force: its memory, and the cost of a packet.
#pragma once

#include <memory>

#include "kernel/datapath/bpf_datapath.h"
#include "perf/program/fixture.h"
#include "perf/rows.h"
#include "perf/scale/world.h"

namespace sluice::perf {

// Tables that hold this many, and at least the agent's defaults. The agent has an option for each.
bpf::ObjectOptions RoomFor(Grows what, std::uint32_t size);
bpf::ObjectOptions RoomForFlows(std::uint32_t flows);

class ScaleFixture {
 public:
  // Compiles and commits; the times become rows NAME/compile and NAME/commit. ResourceExhausted: the tables are too
  // small.
  static StatusOr<std::unique_ptr<ScaleFixture>> Create(const ScaleScenario& world, const bpf::ObjectOptions& options,
                                                        const Interfaces& interfaces, const Runner& runner,
                                                        const std::string& name, Rows* rows);

  // Bytes of kernel memory for the object's maps.
  StatusOr<double> MapBytes() const;
  // Opens and answers flows of the friend, until this many exist and are established.
  Status Establish(std::uint32_t flows);
  // Nanoseconds for a packet of any of these flows, from their initiator, at xdp_uplink.
  StatusOr<double> MeasureEstablished() const;
  // Nanoseconds for the first packet of a flow, into empty tables, at xdp_uplink. The flows use all of the growing
  // resource.
  StatusOr<double> MeasureNew(std::uint32_t flows);
  // Milliseconds of one pass over all flows, as expiry and accounting make it.
  StatusOr<double> MeasureScan() const;

 private:
  ScaleFixture(const ScaleScenario& world, const Interfaces& interfaces, const Runner& runner)
      : scenario_(world), interfaces_(interfaces), runner_(runner) {}
  ProgramRun RunOf(sl_packet_hook hook, std::uint8_t tcp_flags) const;
  AddressRotation FriendsOf(std::uint32_t flows, bool answer) const;
  Status ForgetAll();
  StatusOr<double> RunChecked(sl_packet_hook hook, const ProgramRun& run, std::uint64_t new_flows) const;

  const ScaleScenario& scenario_;
  const Interfaces interfaces_;
  const Runner& runner_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  std::uint32_t flows_ = 0;  // established
};

}  // namespace sluice::perf
