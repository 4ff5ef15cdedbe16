// The packet path with one world in force: what it takes, and what a packet costs in it.
#pragma once

#include <memory>

#include "kernel/datapath/bpf_datapath.h"
#include "perf/program/fixture.h"
#include "perf/rows.h"
#include "perf/scale/world.h"

namespace sluice::perf {

// Tables that hold as many, and never less than the agent's defaults. The agent has an option for each.
bpf::ObjectOptions RoomFor(Grows what, std::uint32_t size);
bpf::ObjectOptions RoomForFlows(std::uint32_t flows);

class ScaleFixture {
 public:
  // Compiles and commits; what that took becomes rows NAME/compile and NAME/commit. ResourceExhausted: no room.
  static StatusOr<std::unique_ptr<ScaleFixture>> Create(const ScaleScenario& world, const bpf::ObjectOptions& options,
                                                        const Interfaces& interfaces, const Runner& runner,
                                                        const std::string& name, Rows* rows);

  // Bytes that the kernel holds for the object's maps.
  StatusOr<double> MapBytes() const;
  // Opens and answers flows of the one friend, until there are this many, all established.
  Status Establish(std::uint32_t flows);
  // Nanoseconds a packet of any of these flows, from their initiator, at xdp_uplink.
  StatusOr<double> MeasureEstablished() const;
  // Nanoseconds a first packet of flows whose ends go through all that grows, into empty tables, at xdp_uplink.
  StatusOr<double> MeasureNew(std::uint32_t flows);
  // Milliseconds of one look at all flows, as expiry and accounting take it.
  StatusOr<double> MeasureScan() const;

 private:
  ScaleFixture(const ScaleScenario& world, const Interfaces& interfaces, const Runner& runner)
      : scenario_(world), interfaces_(interfaces), runner_(runner) {}
  ProgramRun RunOf(sl_hook hook, std::uint8_t tcp_flags) const;
  AddressRotation FriendsOf(std::uint32_t flows, bool answer) const;
  Status ForgetAll();
  StatusOr<double> RunChecked(sl_hook hook, const ProgramRun& run, std::uint64_t new_flows) const;

  const ScaleScenario& scenario_;
  const Interfaces interfaces_;
  const Runner& runner_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  std::uint32_t flows_ = 0;  // established
};

}  // namespace sluice::perf
