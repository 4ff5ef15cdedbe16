// The packet path as a pure function: real programs, run by BPF_PROG_TEST_RUN on one frame, in a network namespace of
// the test process with one veth for each local pod. Nothing is attached or pinned.
//
// One fixture in a process at a time: it moves the process into a new network namespace.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/bpf/testing/test_hooks.h"
#include "kernel/bpf/testing/test_run.h"
#include "kernel/datapath/bpf_datapath.h"
#include "policy/network/compiler.h"
#include "policy/network/evaluate.h"
#include "testbed/packet.h"

namespace sluice::test {

struct FixtureOptions {
  static constexpr std::uint32_t kFirstIfindex = 10;
  static constexpr std::uint32_t kFirstPeerIfindex = 100;
  int interfaces = 8;  // veths p0, p1, ... with ifindex kFirstIfindex + i; their peers are q0, q1, ...
  // MACs: 02:00:00:00:01:i and 02:00:00:00:02:i
  bpf::ObjectOptions object = SmallTables();
  static bpf::ObjectOptions SmallTables();
};

class ProgramFixture {
 public:
  static StatusOr<std::unique_ptr<ProgramFixture>> Create(const FixtureOptions& options = {});

  std::uint32_t ifindex(int i) const { return ifindexes_.at(i); }

  // Compiles the snapshot and puts it in force. Local endpoints must use ifindex(i).
  Status Enforce(std::shared_ptr<const policy::Snapshot> snapshot);
  const policy::CompiledPolicy& compiled() const { return compiled_; }
  datapath::BpfDatapath& datapath() { return *datapath_; }

  // `forwarded` is true when the packet is forwarded. A program must return pass, drop or redirect.
  struct Verdict {
    bool forwarded = false;
    bool redirected = false;
    int reason = SL_DROP_NONE;  // the drop counter that changed
    bool audited = false;
    Frame frame;
  };
  StatusOr<Verdict> FromPod(std::uint32_t ifindex, const Frame& frame);
  StatusOr<Verdict> ToPod(std::uint32_t ifindex, std::uint32_t ingress_ifindex, const Frame& frame);
  StatusOr<Verdict> FromWire(const Frame& frame);
  // Also checks rules that hold for every packet: exactly one counter changes, at the program's own hook, and the frame
  // comes out unchanged unless it is redirected, or `may_translate`. An error otherwise.
  StatusOr<Verdict> Evaluate(int hook, const bpf::TestRunInput& input);

  // Packets of Services come out with other addresses. The caller looks at them.
  bool may_translate = false;

  // The sender and the receiver of the next packets, as seen by policy. Absent: not known.
  Status SetProcesses(const std::optional<policy::Process>& sender, const std::optional<policy::Process>& receiver);
  // As if another process acted on a socket: known flows resolve their processes again.
  Status ChangeSockets();

  // Removes all flows and fragments, so that the next packet is evaluated as a first packet.
  Status ForgetFlows();
  void SetClock(std::uint64_t seconds) { bpf::TestHooks(datapath_->object()).SetClock(seconds * SL_SECOND_NS); }

 private:
  Status PutClass(std::uint32_t number, const policy::Process& process);

  std::vector<std::uint32_t> ifindexes_;
  std::unique_ptr<datapath::BpfDatapath> datapath_;
  policy::CompiledPolicy compiled_;
  std::map<std::string, std::uint32_t> class_numbers_;  // by the facts that policy can see
};

}  // namespace sluice::test
