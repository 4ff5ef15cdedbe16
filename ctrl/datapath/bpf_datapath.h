// The packet path in the kernel, behind the Datapath interface. The only user of the BPF object.
//
// Everything is pinned below `bpf_root`; opening takes over what an earlier process left there, so that a restart
// neither pauses nor changes enforcement. One process at a time: the root is locked.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

#include "ctrl/base/fd.h"
#include "ctrl/bpf/object.h"
#include "ctrl/bpf/packet_programs.h"
#include "ctrl/bpf/ring_reader.h"
#include "ctrl/datapath/datapath.h"
#include "ctrl/datapath/flow_table.h"
#include "ctrl/datapath/process_classes.h"
#include "ctrl/datapath/settings.h"
#include "ctrl/datapath/slot_table.h"

namespace sluice::datapath {

struct BpfDatapathOptions {
  std::string bpf_root = "/sys/fs/bpf/sluice";
  bpf::ObjectOptions object;  // pin_root is set from bpf_root
};

class BpfDatapath : public Datapath {
 public:
  // AlreadyExists when another agent uses the root; other errors as DatapathObject::Load.
  static StatusOr<std::unique_ptr<BpfDatapath>> Open(const BpfDatapathOptions& options);
  // Over a loaded object that is not pinned: tests drive the same code by test runs.
  static StatusOr<std::unique_ptr<BpfDatapath>> Wrap(std::unique_ptr<bpf::DatapathObject> object,
                                                     const bpf::ObjectOptions& options);
  ~BpfDatapath() override;

  Status Commit(const policy::Tables& tables) override;
  std::uint64_t generation() const override;
  policy::Limits limits() const override;
  Status AttachPod(const PodInterface& pod) override;
  Status DetachPod(std::uint32_t ifindex) override;
  StatusOr<XdpMode> AttachUplink(const std::string& interface) override;
  Status Configure(std::uint32_t setting_flags) override { return settings_.SetFlags(setting_flags); }
  Status ForEachFlow(const std::function<void(const FlowRecord&)>& visit) override { return flows_.ForEach(visit); }
  StatusOr<std::vector<FlowRecord>> ForgetFlows(const std::vector<FlowRecord>& flows) override;
  StatusOr<std::optional<FlowRecord>> FindFlow(const sl_flow_key& key, std::uint64_t id) override {
    return flows_.Find(key, id);
  }
  Status TendProcessClasses() override;
  Status ResetEndpoint(std::uint32_t endpoint) override;
  Status SetQuarantine(std::uint32_t endpoint, bool on) override;
  Status SetQuarantineAllow(const std::vector<policy::Prefix>& peers) override;
  StatusOr<QuarantineState> ReadQuarantine() override;
  StatusOr<Counters> ReadCounters() override;
  StatusOr<EventCounters> ReadEventCounters() override;
  StatusOr<std::map<std::uint32_t, std::uint64_t>> ReadLostEvents() override;
  StatusOr<std::vector<MapUsage>> Maps() override;
  StatusOr<std::vector<ProgramRuns>> ReadProgramRuns() override;
  std::vector<AttachedProgram> Attached() const override;
  StatusOr<int> PollEvents(const std::function<void(const sl_flow_event&)>& consume) override;

  // Releases uplinks that are not, or not any more, one of `interfaces`: another name, or a card that went away, also
  // if one of its name has come since.
  Status ReleaseOtherUplinks(const std::vector<std::string>& interfaces);

  bpf::DatapathObject& object() { return *object_; }
  // Tells the packet path about an interface without attaching there; test runs need no more.
  Status DescribeInterface(std::uint32_t ifindex, const sl_interface& facts);
  Status DescribeUplink(const sl_uplink& uplink) { return settings_.PutUplink(uplink); }  // likewise

 private:
  struct BoundMaps;
  struct Attachment {
    AttachedProgram what;
    bool current = false;  // by this process; false: an earlier one's program still runs there
  };
  BpfDatapath();
  Status BindMaps();
  Status MapMemory();
  Status OpenHashTables();
  Status ReadSlots();
  Status FindLeftAttachments();
  Status Edit(std::uint32_t slot, const policy::Tables& tables);

  Fd root_lock_;
  bpf::PinLayout pins_{""};
  bpf::ObjectOptions options_;
  std::unique_ptr<bpf::DatapathObject> object_;
  std::unique_ptr<BoundMaps> maps_;
  Settings settings_;
  AddressTable addresses_;
  PeerTable peers_;
  FlowTable flows_;
  ProcessClasses process_classes_;
  bpf::PacketPrograms packet_programs_;
  std::uint64_t* generation_ = nullptr;  // mapped
  policy::Tables slots_[SL_SLOTS];       // what the kernel holds
  bool slot_known_[SL_SLOTS] = {};
  // What the slots hold, for readers in other threads: counting it in the kernel would cost them a walk.
  struct Usage {
    std::uint64_t addresses = 0, prefixes = 0, peers = 0, ports = 0, choices = 0;  // of all slots
    std::vector<std::uint32_t> endpoints;                                          // of the slot in force, ascending
  };
  void NoteUsage();
  Usage usage() const;

  mutable std::mutex usage_mutex_;
  Usage usage_;  // by usage_mutex_
  mutable std::mutex attached_mutex_;
  std::map<std::string, Attachment> attached_;  // by pin path
  std::unique_ptr<bpf::RingReader> ring_;
  const std::function<void(const sl_flow_event&)>* consume_ = nullptr;  // during PollEvents
};

}  // namespace sluice::datapath
