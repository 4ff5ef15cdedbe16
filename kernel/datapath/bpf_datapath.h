// The packet path in the kernel: the interfaces for the reconciler, for telemetry, and for the agent's start. The only
// user of the BPF object.
//
// Everything is pinned below `bpf_root`. Open takes over the state of an earlier process, so that neither a restart nor
// an upgrade to a new layout (hand_over.h) pauses or changes enforcement. One process at a time: the root is locked.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

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
#include "kernel/datapath/root.h"
#include "kernel/datapath/service_tables.h"
#include "kernel/datapath/settings.h"
#include "kernel/datapath/uplinks.h"

namespace sluice::datapath {

struct BpfDatapathOptions {
  std::string bpf_root = "/sys/fs/bpf/sluice";
  bpf::ObjectOptions object;  // pin_root is set from bpf_root
  bool services = false;      // translate Services at the sockets of workloads
};

class BpfDatapath : public Enforcer, public PathReader {
 public:
  // AlreadyExists: another agent uses the root. FailedPrecondition: a newer version has pinned something there. Other
  // errors as DatapathObject::Load.
  static StatusOr<std::unique_ptr<BpfDatapath>> Open(const BpfDatapathOptions& options);
  // For a loaded object that is not pinned: tests run the same code with test runs.
  static StatusOr<std::unique_ptr<BpfDatapath>> Wrap(std::unique_ptr<bpf::DatapathObject> object,
                                                     const bpf::ObjectOptions& options);

  // ---- Enforcer ----
  Status Commit(const policy::Tables& tables) override;
  std::uint64_t generation() const override { return epochs_.generation(); }
  policy::Limits limits() const override;
  // Before the first Commit of a hand-over, the older version's.
  std::map<std::uint32_t, std::uint32_t> EndpointsInForce() const override;
  Status AttachPod(const PodInterface& pod) override { return Attach(pod, Attachments::Pace::kLink); }
  Status AttachPodAtOnce(const PodInterface& pod) override { return Attach(pod, Attachments::Pace::kAtOnce); }
  Status DetachPod(std::uint32_t ifindex) override;
  std::vector<AttachedProgram> Attached() const override { return attachments_.all(); }
  Status SetNamespaces(const std::set<PodNamespace>& namespaces) override;
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
  // Replaces the list of peers that may still talk to endpoints in quarantine.
  Status SetQuarantineAllow(const std::vector<policy::Prefix>& peers) { return quarantine_.SetAllow(peers); }
  // To call regularly, from one thread at a time: maintains the process classes, and makes room for new ones.
  Status TendProcessClasses();

  // Whether an older version's programs or probes still run. The first Commit replaces its programs, or the keeper does
  // later if that fails. Then EndHandOver removes its pins, once our probes have taken over too.
  bool is_handing_over() const { return !older_.empty(); }
  Status EndHandOver();

  // For a start that failed: removes what it pinned and the directories that it made, if nothing of it is attached.
  // Nothing but the destructor may be called afterwards.
  void TakeBack();

  ServiceTables& services() { return services_; }
  // One path of each network namespace that workloads are in. Thread-safe.
  std::vector<std::string> NamespacePaths() const;

  // Starts the keeper, which repairs changes by others in the kernel (keeper.h). Once, when everything is pinned.
  // `more` is repaired too.
  Status Keep(std::vector<Keeper::Step> more = {});

  bpf::DatapathObject& object() { return *object_; }
  // Describe an interface or an uplink to the packet path without attaching; enough for test runs.
  Status DescribeInterface(std::uint32_t ifindex, const sl_interface& facts) {
    return pods_.PutFactsOnly(ifindex, facts);
  }
  Status DescribeUplink(const sl_uplink& uplink) { return settings_.PutUplink(uplink); }
  // How long a flow may skip the host path before a packet must take it again.
  Status SetRedirectRecheck(std::chrono::nanoseconds interval) { return settings_.SetPathFresh(interval); }
  // Sets SL_SETTING_HOST_TRACKS_TCP, which Configure does not change.
  Status SetHostTracksTcp(bool on) { return settings_.SetHostTracksTcp(on); }
  // Tells the packet path whose packets are recorded, likewise.
  Status SetCaptured(const std::set<std::uint32_t>& endpoints) { return settings_.SetCaptured(endpoints); }
  Status LookForOthers() { return pods_.LookForOthers(); }  // as PodInterfaces

 private:
  BpfDatapath() : uplinks_(&attachments_, &settings_) {}
  static StatusOr<std::unique_ptr<BpfDatapath>> OpenLocked(const BpfDatapathOptions& options);
  Status BindMaps();
  Status Attach(const PodInterface& pod, Attachments::Pace pace);
  StatusOr<int> RepairPins();

  Fd root_lock_;
  std::optional<NewRoot> made_;
  bpf::PinLayout pins_{""};
  bpf::ObjectOptions options_;
  std::vector<bpf::PinLayout> older_;  // layouts of the current hand-over
  std::unique_ptr<bpf::DatapathObject> object_;
  Settings settings_;
  FlowTable flows_;
  ProcessClasses process_classes_;
  PolicyEpochs epochs_;
  QuarantineMaps quarantine_;
  ServiceTables services_;
  bool translates_services_ = false;
  mutable std::mutex namespaces_mutex_;
  std::map<std::uint64_t, std::string> namespace_paths_;  // by cookie; guarded by namespaces_mutex_
  CounterMaps counters_;
  PodInterfaces pods_;
  Attachments attachments_;
  Uplinks uplinks_;
  mutable std::mutex held_mutex_;  // also guards older_, once Keep was called
  HeldPins held_;                  // maps and probes; guarded by held_mutex_
  std::unique_ptr<bpf::RingReader> ring_;
  const std::function<void(const sl_flow_event&)>* consume_ = nullptr;  // during PollEvents
  std::unique_ptr<Keeper> keeper_;                                      // last: its thread uses the rest
};

}  // namespace sluice::datapath
