// The packet path in the kernel: what the reconciler asks of it, what telemetry reads of it, and what the agent sets up
// at its start. The only user of the BPF object.
//
// Everything is pinned below `bpf_root`; opening takes over what an earlier process left there, so that a restart
// neither pauses nor changes enforcement, and an upgrade over a layout neither (hand_over.h). One process at a time:
// the root is locked.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>

#include "base/fd.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/ring_reader.h"
#include "kernel/datapath/attachments.h"
#include "kernel/datapath/counter_maps.h"
#include "kernel/datapath/enforcer.h"
#include "kernel/datapath/flow_table.h"
#include "kernel/datapath/held_pins.h"
#include "kernel/datapath/keeper.h"
#include "kernel/datapath/path_reader.h"
#include "kernel/datapath/pod_interfaces.h"
#include "kernel/datapath/policy_epochs.h"
#include "kernel/datapath/process_classes.h"
#include "kernel/datapath/quarantine_maps.h"
#include "kernel/datapath/settings.h"
#include "kernel/datapath/uplinks.h"

namespace sluice::datapath {

struct BpfDatapathOptions {
  std::string bpf_root = "/sys/fs/bpf/sluice";
  bpf::ObjectOptions object;  // pin_root is set from bpf_root
};

class BpfDatapath : public Enforcer, public PathReader {
 public:
  // AlreadyExists when another agent uses the root, FailedPrecondition when a newer version has pinned something there;
  // other errors as DatapathObject::Load.
  static StatusOr<std::unique_ptr<BpfDatapath>> Open(const BpfDatapathOptions& options);
  // Over a loaded object that is not pinned: tests drive the same code by test runs.
  static StatusOr<std::unique_ptr<BpfDatapath>> Wrap(std::unique_ptr<bpf::DatapathObject> object,
                                                     const bpf::ObjectOptions& options);

  // ---- Enforcer ----
  Status Commit(const policy::Tables& tables) override;
  std::uint64_t generation() const override { return epochs_.generation(); }
  policy::Limits limits() const override;
  // Of an older version's, before the first Commit of a hand-over.
  std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const override;
  Status AttachPod(const PodInterface& pod) override;
  Status DetachPod(std::uint32_t ifindex) override;
  std::vector<AttachedProgram> Attached() const override { return attachments_.all(); }
  Status SetShares(const std::set<std::uint64_t>& netns) override;
  Status ResetEndpoint(std::uint32_t endpoint) override;
  Status SetQuarantine(std::uint32_t endpoint, bool on) override { return quarantine_.Set(endpoint, on); }
  StatusOr<QuarantineState> ReadQuarantine() override { return quarantine_.Read(); }

  // ---- PathReader ----
  Status ForEachFlow(const std::function<void(const FlowRecord&)>& visit) override { return flows_.ForEach(visit); }
  StatusOr<std::vector<FlowRecord>> ForgetFlows(const std::vector<FlowRecord>& flows) override;
  StatusOr<std::optional<FlowRecord>> FindFlow(const sl_flow_key& key, std::uint64_t id) override {
    return flows_.Find(key, id);
  }
  StatusOr<Counters> ReadCounters() override { return counters_.Read(epochs_.usage().endpoints); }
  StatusOr<EventCounters> ReadEventCounters() override { return counters_.ReadEvents(); }
  StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents() override {
    return counters_.ReadLostEvents(epochs_.usage().endpoints);
  }
  StatusOr<std::vector<MapUsage>> Maps() override;
  StatusOr<std::vector<ProgramRuns>> ReadProgramRuns() override;
  Integrity integrity() const override { return keeper_ ? keeper_->integrity() : Integrity{}; }
  StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) override;

  // ---- for the agent ----
  Status Configure(std::uint32_t setting_flags) { return settings_.SetFlags(setting_flags); }  // SL_SETTING_*
  StatusOr<XdpMode> AttachUplink(const std::string& interface) { return uplinks_.Attach(interface); }
  Status ReleaseOtherUplinks(const std::vector<std::string>& interfaces) { return uplinks_.ReleaseOthers(interfaces); }
  // Replaces the list of the peers that may still talk with endpoints in quarantine.
  Status SetQuarantineAllow(const std::vector<policy::Prefix>& peers) { return quarantine_.SetAllow(peers); }
  // Now and then, from any one thread: looks after the classes of processes, and makes room for new ones.
  Status TendProcessClasses();

  // An older version's programs, or its probes, are still there. Its programs go with the first Commit, or as soon
  // after it as they can be replaced; what it has pinned goes with EndHandOver after that, when our probes have taken
  // over too.
  bool is_handing_over() const { return !older_.empty(); }
  Status EndHandOver();

  // From here on what somebody else changes in the kernel is put back (keeper.h). Once, when all is pinned.
  Status Keep();

  bpf::DatapathObject& object() { return *object_; }
  // Tell the packet path about an interface or an uplink without attaching there; test runs need no more.
  Status DescribeInterface(std::uint32_t ifindex, const sl_interface& facts) {
    return pods_.PutFactsOnly(ifindex, facts);
  }
  Status DescribeUplink(const sl_uplink& uplink) { return settings_.PutUplink(uplink); }
  // How long a flow may go past the host's path until a packet takes it again.
  Status SetRedirectRecheck(std::chrono::nanoseconds interval) { return settings_.SetPathFresh(interval); }
  // SL_SETTING_HOST_TRACKS_TCP, which Configure leaves as it is.
  Status SetHostTracksTcp(bool on) { return settings_.SetHostTracksTcp(on); }
  Status LookForOthers() { return pods_.LookForOthers(); }  // as PodInterfaces

 private:
  BpfDatapath() : uplinks_(&attachments_, &settings_) {}
  Status BindMaps();
  StatusOr<int> RepairPins();

  Fd root_lock_;
  bpf::PinLayout pins_{""};
  bpf::ObjectOptions options_;
  std::vector<bpf::PinLayout> older_;  // layouts that are being handed over
  std::unique_ptr<bpf::DatapathObject> object_;
  Settings settings_;
  FlowTable flows_;
  ProcessClasses process_classes_;
  PolicyEpochs epochs_;
  QuarantineMaps quarantine_;
  CounterMaps counters_;
  PodInterfaces pods_;
  Attachments attachments_;
  Uplinks uplinks_;
  mutable std::mutex held_mutex_;  // also of older_, once Keep was called
  HeldPins held_;                  // by held_mutex_: maps and probes
  std::unique_ptr<bpf::RingReader> ring_;
  const std::function<void(const sl_flow_event&)>* consume_ = nullptr;  // during PollEvents
  std::unique_ptr<Keeper> keeper_;                                      // last: its thread uses the rest
};

}  // namespace sluice::datapath
