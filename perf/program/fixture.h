// The production packet path with one scenario's policy in force; measures cases in it.
#pragma once

#include <memory>

#include "kernel/datapath/bpf_datapath.h"
#include "perf/program/case.h"
#include "perf/program/runner.h"
#include "perf/program/world.h"

namespace sluice::perf {

struct Interfaces {
  std::uint32_t pod = 0;     // host end of the workload's veth
  std::uint32_t uplink = 0;  // where peers' packets arrive
};

// Makes the interfaces in a new network namespace, and moves the calling thread there. PermissionDenied names the
// missing right.
StatusOr<Interfaces> MakeInterfaces();

class Fixture {
 public:
  static StatusOr<std::unique_ptr<Fixture>> Create(const TableSize& size, const Interfaces& interfaces,
                                                   const Runner& runner);

  static std::uint32_t Packets(const Case& what);  // in one sample
  // The cost of one packet, measured after the flow tables were brought into the case's state. An error when one packet
  // got the wrong verdict. The case must belong to this fixture.
  StatusOr<Cost> Measure(const Case& what);

 private:
  enum class Sender { kPod, kPeer };
  Fixture(const TableSize& size, World world, const Interfaces& interfaces, const Runner& runner)
      : size_(size), scenario_(std::move(world)), interfaces_(interfaces), runner_(runner) {}

  static Sender SenderOf(const Case& what) { return what.hook == Hook::kTcFromPod ? Sender::kPod : Sender::kPeer; }
  ProgramRun RunOf(const Case& what, Hook hook, Sender sender, std::uint8_t tcp_flags) const;
  Status Prepare(const Case& what);
  Status Answer(const Case& what) const;
  Status CheckEstablished(std::uint32_t expected) const;
  // Runs, and checks that each packet was counted once, under the right outcome.
  StatusOr<Cost> RunChecked(const Case& what, Hook hook, const ProgramRun& run, std::uint64_t new_flows) const;

  TableSize size_;
  World scenario_;
  Interfaces interfaces_;
  const Runner& runner_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  bool standing_ = false;  // the standing flows exist
};

}  // namespace sluice::perf
