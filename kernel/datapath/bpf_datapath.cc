#include "kernel/datapath/bpf_datapath.h"

#include <net/if.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kernel/bpf/hook.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/system.h"
#include "kernel/datapath/bind_map.h"
#include "kernel/datapath/hand_over.h"
#include "kernel/datapath/root.h"

namespace sluice::datapath {

struct BpfDatapath::BoundMaps {
  bpf::Map<__u32, sl_interface> interfaces;
  bpf::Map<__u32, sl_endpoint_mac> endpoint_macs;
  bpf::Map<__u32, __u32> pod_devices;
  bpf::Map<__u32, sl_event_share> event_shares;
  bpf::PerCpuArray<sl_counter> packet_counts;
  bpf::PerCpuArray<sl_endpoint_counters> endpoint_counts;
  bpf::PerCpuArray<__u64> event_counts;
};

BpfDatapath::BpfDatapath() : maps_(std::make_unique<BoundMaps>()) {}

BpfDatapath::~BpfDatapath() = default;

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::Open(const BpfDatapathOptions& options) {
  SL_RETURN_IF_ERROR(bpf::RefuseNewerLayouts(options.bpf_root));
  SL_ASSIGN_OR_RETURN(Fd lock, LockRoot(options.bpf_root));
  bpf::ObjectOptions object_options = options.object;
  object_options.pin_root = options.bpf_root;
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(object_options));
  SL_ASSIGN_OR_RETURN(auto datapath, Wrap(std::move(object), object_options));
  datapath->root_lock_ = std::move(lock);
  SL_ASSIGN_OR_RETURN(datapath->older_, FindOlderLayouts(datapath->pins_));
  for (const bpf::PinLayout& one : datapath->older_)
    LogInfo("taking over what an older version left in {}", one.version_dir());
  SL_RETURN_IF_ERROR(CarryMaps(datapath->older_, *datapath->object_));
  SL_ASSIGN_OR_RETURN(auto quarantines, OpenQuarantines(datapath->older_));
  for (Fd& map : quarantines) SL_RETURN_IF_ERROR(datapath->quarantine_.BindOlder(std::move(map)));
  SL_ASSIGN_OR_RETURN(auto left, FindLeftLinks(datapath->pins_, datapath->older_, *datapath->object_));
  SL_RETURN_IF_ERROR(datapath->attachments_.Open(datapath->object_.get(), datapath->pins_, std::move(left)));
  return datapath;
}

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::Wrap(std::unique_ptr<bpf::DatapathObject> object,
                                                         const bpf::ObjectOptions& options) {
  std::unique_ptr<BpfDatapath> datapath(new BpfDatapath());
  datapath->object_ = std::move(object);
  datapath->options_ = options;
  datapath->pins_ = bpf::PinLayout(options.pin_root);
  SL_RETURN_IF_ERROR(datapath->BindMaps());
  SL_ASSIGN_OR_RETURN(const sl_settings seeds, datapath->settings_.ReadWithSeeds());
  SL_RETURN_IF_ERROR(datapath->flows_.Bind(*datapath->object_, seeds.hash_seeds));
  SL_RETURN_IF_ERROR(datapath->slots_.Open(*datapath->object_, options, seeds.hash_seeds, &datapath->process_classes_));
  // What is there has its places by seeds that are lost, if it is not empty.
  if (datapath->settings_.drew_seeds()) datapath->slots_.Distrust();
  // Somebody may have lowered the number while no agent ran.
  std::uint64_t decided = 0;
  SL_RETURN_IF_ERROR(datapath->flows_.ForEach(
      [&decided](const FlowRecord& flow) { decided = std::max<std::uint64_t>(decided, flow.entry.generation); }));
  datapath->slots_.Pass(decided);
  return datapath;
}

Status BpfDatapath::BindMaps() {
  SL_RETURN_IF_ERROR(BindMap(*object_, "interfaces", &maps_->interfaces));
  SL_RETURN_IF_ERROR(BindMap(*object_, "endpoint_macs", &maps_->endpoint_macs));
  SL_RETURN_IF_ERROR(BindMap(*object_, "pod_devices", &maps_->pod_devices));
  SL_RETURN_IF_ERROR(BindMap(*object_, "event_shares", &maps_->event_shares));
  SL_RETURN_IF_ERROR(quarantine_.Bind(*object_));
  SL_RETURN_IF_ERROR(settings_.Bind(*object_));
  SL_RETURN_IF_ERROR(process_classes_.Bind(*object_));
  SL_ASSIGN_OR_RETURN(const int cpus, bpf::PossibleCpus());
  maps_->packet_counts = {object_->map_fd("packet_counts"), "packet_counts", cpus};
  maps_->endpoint_counts = {object_->map_fd("endpoint_counts"), "endpoint_counts", cpus};
  maps_->event_counts = {object_->map_fd("event_counts"), "event_counts", cpus};
  SL_ASSIGN_OR_RETURN(ring_, bpf::RingReader::Open(object_->map_fd("flow_events"), [this](const void* record, size_t) {
                        if (consume_ != nullptr) (*consume_)(*static_cast<const sl_flow_event*>(record));
                      }));
  return OkStatus();
}

policy::Limits BpfDatapath::limits() const {
  return {options_.slot_addresses, options_.slot_prefixes, options_.slot_peers, options_.slot_ports};
}

std::map<std::uint32_t, std::uint32_t> BpfDatapath::EndpointsInForce() const {
  if (slots_.generation() != 0) return slots_.endpoints_in_force();
  const std::lock_guard lock(held_mutex_);
  if (older_.empty()) return {};
  auto endpoints = ReadEndpoints(older_, object_->admin_calls());
  if (endpoints.ok()) return *std::move(endpoints);
  LogWarn("whom the older version enforces on is not known: {}", Message(endpoints.status()));
  return {};
}

Status BpfDatapath::Commit(const policy::Tables& tables) {
  SL_RETURN_IF_ERROR(slots_.Commit(tables));
  // They are in force: what an older version still judges by its own is the keeper's to take over.
  if (const Status taken = attachments_.TakeOver(); !taken.ok()) LogError("{}; it is tried again", Message(taken));
  return OkStatus();
}

Status BpfDatapath::EndHandOver() {
  if (older_.empty() || !attachments_.has_taken_over()) return OkStatus();
  SL_RETURN_IF_ERROR(RemoveLayouts(older_));
  const std::lock_guard lock(held_mutex_);
  for (const bpf::PinLayout& one : older_) held_.ReleaseAll(one.version_dir());
  older_.clear();
  quarantine_.ReleaseOlder();
  return OkStatus();
}

// What `facts` are to be where the interface is known already: as it was described, or, after a start, as the kernel
// has it. What somebody changed there since is not to be believed.
StatusOr<sl_interface> BpfDatapath::KeepAddresses(std::uint32_t ifindex, sl_interface facts) const {
  std::optional<sl_interface> before;
  if (const auto described = pods_.find(ifindex); described != pods_.end()) {
    before = described->second.facts;
  } else {
    SL_ASSIGN_OR_RETURN(before, maps_->interfaces.Get(ifindex));
  }
  const auto is_known = [](const __u8(&mac)[6]) {
    return std::any_of(std::begin(mac), std::end(mac), [](__u8 byte) { return byte != 0; });
  };
  if (!before || !is_known(before->pod_mac)) return facts;
  if (is_known(facts.pod_mac) && std::memcmp(before->pod_mac, facts.pod_mac, sizeof(facts.pod_mac)) != 0) {
    LogWarn(
        "interface {}: the MAC address behind it has changed: its frames are dropped; to accept it, delete the "
        "Workload and apply it again",
        ifindex);
  }
  std::copy(std::begin(before->pod_mac), std::end(before->pod_mac), facts.pod_mac);
  facts.link_local = before->link_local;
  facts.link_local4 = before->link_local4;
  return facts;
}

// A workload that came back on another interface has two for a moment: the MAC is that of the one attached last.
bool BpfDatapath::OwnsMac(std::uint32_t ifindex, std::uint32_t endpoint) const {
  const auto owner = mac_owners_.find(endpoint);
  return endpoint != 0 && (owner == mac_owners_.end() || owner->second == ifindex);
}

StatusOr<bool> BpfDatapath::HasFacts(std::uint32_t ifindex, const sl_interface& facts) const {
  SL_ASSIGN_OR_RETURN(const auto found, maps_->interfaces.Get(ifindex));
  if (!found || std::memcmp(&*found, &facts, sizeof(facts)) != 0) return false;
  if (!OwnsMac(ifindex, facts.endpoint)) return true;
  SL_ASSIGN_OR_RETURN(const auto mac, maps_->endpoint_macs.Get(facts.endpoint));
  return mac && std::memcmp(mac->mac, facts.pod_mac, sizeof(mac->mac)) == 0;
}

Status BpfDatapath::PutFacts(std::uint32_t ifindex, const sl_interface& facts) {
  sl_endpoint_mac mac{};
  std::copy(std::begin(facts.pod_mac), std::end(facts.pod_mac), mac.mac);
  if (OwnsMac(ifindex, facts.endpoint)) SL_RETURN_IF_ERROR(maps_->endpoint_macs.Put(facts.endpoint, mac));
  return maps_->interfaces.Put(ifindex, facts);
}

Status BpfDatapath::DescribeInterface(std::uint32_t ifindex, const sl_interface& facts) {
  SL_ASSIGN_OR_RETURN(const sl_interface kept, KeepAddresses(ifindex, facts));
  return PutFacts(ifindex, kept);
}

// With the programs of others that are at the interface by TCX now. Where that cannot be told, the host's path is the
// safe one.
PodInterface BpfDatapath::WithOthers(PodInterface pod) const {
  const auto has_others = [&](const char* program, bpf::Hook hook) {
    const auto ours = bpf::ProgramId(object_->program_fd(program));
    const auto there = bpf::ProgramsAt(pod.ifindex, hook);
    if (!ours.ok() || !there.ok()) return true;
    return std::any_of(there->begin(), there->end(), [&](std::uint32_t id) { return id != *ours; });
  };
  if (has_others("tc_from_pod", bpf::Hook::kTcIngress)) pod.facts.others |= SL_OTHERS_SENT;
  if (has_others("tc_to_pod", bpf::Hook::kTcEgress)) pod.facts.others |= SL_OTHERS_RECEIVED;
  if ((pod.facts.others & SL_OTHERS_RECEIVED) != 0) pod.takes_frames = false;
  return pod;
}

// A put makes a new element and gives the old one, which a program may still be reading, to the next.
Status BpfDatapath::Describe(PodInterface& pod) {
  if (!pod.takes_frames) {
    SL_RETURN_IF_ERROR(maps_->pod_devices.Delete(pod.ifindex));
  } else if (const Status status = maps_->pod_devices.Put(pod.ifindex, pod.ifindex); !status.ok()) {
    // The redirect is a short cut, enforcement does not depend on it.
    LogWarn("{}: no redirect from XDP: {}", pod.name, Message(status));
  }
  SL_ASSIGN_OR_RETURN(pod.facts, KeepAddresses(pod.ifindex, pod.facts));
  SL_ASSIGN_OR_RETURN(const bool has_facts, HasFacts(pod.ifindex, pod.facts));
  return has_facts ? OkStatus() : PutFacts(pod.ifindex, pod.facts);
}

Status BpfDatapath::LookForOthers() {
  const std::lock_guard lock(pods_mutex_);
  Status looked = OkStatus();
  for (const auto& [ifindex, given] : given_pods_) {
    PodInterface pod = WithOthers(given);
    PodInterface& held = pods_[ifindex];
    if (held.takes_frames == pod.takes_frames && held.facts.others == pod.facts.others) continue;
    looked.Update(Describe(pod));
    held = pod;
  }
  return looked;
}

// The interface is described before anything judges by that.
Status BpfDatapath::AttachPod(const PodInterface& given) {
  PodInterface pod = WithOthers(given);
  {
    const std::lock_guard lock(pods_mutex_);
    mac_owners_[pod.facts.endpoint] = pod.ifindex;
    SL_RETURN_IF_ERROR(Describe(pod));
    pods_[pod.ifindex] = pod;
    given_pods_[pod.ifindex] = given;
  }
  for (const char* const program : {"tc_from_pod", "tc_to_pod"}) {
    SL_RETURN_IF_ERROR(Annotate(attachments_.Attach(program, pod.ifindex, pod.name).status(),
                                fmt::format("attach {} to {}", program, pod.name)));
  }
  return OkStatus();
}

Status BpfDatapath::DetachPod(std::uint32_t ifindex) {
  for (const char* const program : {"tc_from_pod", "tc_to_pod"})
    SL_RETURN_IF_ERROR(attachments_.Detach(program, ifindex));
  {
    const std::lock_guard lock(pods_mutex_);
    pods_.erase(ifindex);
    given_pods_.erase(ifindex);
    std::erase_if(mac_owners_, [ifindex](const auto& one) { return one.second == ifindex; });
  }
  SL_RETURN_IF_ERROR(maps_->pod_devices.Delete(ifindex));
  return maps_->interfaces.Delete(ifindex);
}

StatusOr<XdpMode> BpfDatapath::AttachUplink(const std::string& interface) {
  const std::uint32_t ifindex = if_nametoindex(interface.c_str());
  if (ifindex == 0) return ErrnoError(errno, "uplink {}", interface);
  const std::string what = fmt::format("uplink {}", interface);
  SL_ASSIGN_OR_RETURN(const sl_uplink uplink, DescribedUplink(interface, ifindex));
  SL_RETURN_IF_ERROR(Annotate(settings_.PutUplink(uplink), what));
  const auto mode = attachments_.Attach("xdp_uplink", ifindex, interface);
  if (!mode.ok()) {
    settings_.DeleteUplink(ifindex).IgnoreError();
    return Annotate(mode.status(), what);
  }
  return *mode == "xdp native" ? XdpMode::kNative : XdpMode::kGeneric;
}

Status BpfDatapath::ReleaseOtherUplinks(const std::vector<std::string>& interfaces) {
  std::set<std::uint32_t> there;
  for (const std::string& interface : interfaces) {
    const std::uint32_t ifindex = if_nametoindex(interface.c_str());
    // Only "there is none" is an answer; without one the card may be there.
    if (ifindex == 0 && errno != ENODEV) return ErrnoError(errno, "uplink {}", interface);
    there.insert(ifindex);
  }
  for (const AttachedProgram& what : attachments_.all()) {
    if (what.program != "xdp_uplink" || there.contains(what.ifindex)) continue;
    SL_RETURN_IF_ERROR(attachments_.Detach(what.program, what.ifindex));
    SL_RETURN_IF_ERROR(settings_.DeleteUplink(what.ifindex));
  }
  return OkStatus();
}

Status BpfDatapath::Keep() {
  {
    const std::lock_guard lock(held_mutex_);
    SL_RETURN_IF_ERROR(held_.HoldAll(pins_.maps_dir()));
    SL_RETURN_IF_ERROR(held_.HoldAll(pins_.probes_dir()));
    for (const bpf::PinLayout& one : older_) {
      SL_RETURN_IF_ERROR(held_.HoldAll(one.maps_dir()));
      SL_RETURN_IF_ERROR(held_.HoldAll(one.probes_dir()));
    }
  }
  const auto flag = [](StatusOr<bool> repaired) -> StatusOr<int> {
    if (!repaired.ok()) return repaired.status();
    return *repaired ? 1 : 0;
  };
  keeper_ = std::make_unique<Keeper>(std::vector<Keeper::Step>{
      {Repaired::kAttachment, [this] { return attachments_.Repair(); }},
      {Repaired::kGeneration, [this, flag] { return flag(slots_.RepairGeneration()); }},
      {Repaired::kSettings, [this, flag] { return flag(settings_.Repair()); }},
      {Repaired::kQuarantine, [this] { return quarantine_.Repair(); }},
      {Repaired::kPin,
       [this]() -> StatusOr<int> {
         SL_RETURN_IF_ERROR(EndHandOver());
         return RepairPins();
       }},
      {Repaired::kPolicyTable,
       [this]() -> StatusOr<int> {
         SL_RETURN_IF_ERROR(slots_.Settle());
         return 0;
       }},
      {Repaired::kInterface, [this] { return RepairInterfaces(); }},
      {Repaired::kPolicyTable, [this, flag] { return flag(slots_.RepairTables()); }, true},
  });
  return OkStatus();
}

// Maps, probes and links; and the root itself, which is locked anew when it is another directory.
StatusOr<int> BpfDatapath::RepairPins() {
  const std::lock_guard lock(held_mutex_);
  SL_ASSIGN_OR_RETURN(const int pins, held_.PutBack());
  SL_ASSIGN_OR_RETURN(const int links, attachments_.RepairPins());
  if (pins + links != 0) LogError("{} pins were gone below {}: pinned again", pins + links, pins_.version_dir());
  struct stat locked {
  }, now{};
  if (fstat(root_lock_.get(), &locked) == 0 && stat(pins_.root().c_str(), &now) == 0 && locked.st_ino != now.st_ino) {
    SL_ASSIGN_OR_RETURN(root_lock_, LockRoot(pins_.root()));
  }
  return pins + links;
}

StatusOr<int> BpfDatapath::RepairInterfaces() {
  const std::lock_guard lock(pods_mutex_);
  int repaired = 0;
  for (const auto& [ifindex, pod] : pods_) {
    SL_ASSIGN_OR_RETURN(const bool has_facts, HasFacts(ifindex, pod.facts));
    if (!has_facts) {
      SL_RETURN_IF_ERROR(PutFacts(ifindex, pod.facts));
      ++repaired;
    }
    SL_ASSIGN_OR_RETURN(const auto device, maps_->pod_devices.Get(ifindex));
    if (device.has_value() == pod.takes_frames || (device && *device == 0 && !pod.takes_frames)) continue;
    const Status status =
        pod.takes_frames ? maps_->pod_devices.Put(ifindex, ifindex) : maps_->pod_devices.Delete(ifindex);
    if (status.ok()) ++repaired;  // else as in AttachPod
  }
  if (repaired != 0) LogError("{} entries of interfaces were not what they should be: put back", repaired);
  return repaired;
}

StatusOr<std::vector<FlowRecord>> BpfDatapath::ForgetFlows(const std::vector<FlowRecord>& flows) {
  std::uint32_t denied = 0;
  std::vector<FlowRecord> gone;
  for (const FlowRecord& flow : flows) {
    SL_ASSIGN_OR_RETURN(const bool forgotten, flows_.Forget(flow));
    if (!forgotten) continue;
    gone.push_back(flow);
    denied += flow.state == FlowState::kDenied;
  }
  object_->PayBackDenied(denied);
  return gone;
}

Status BpfDatapath::SetShares(const std::set<std::uint64_t>& netns) {
  std::set<std::uint32_t> inodes(netns.begin(), netns.end());
  struct stat own {};
  if (stat("/proc/thread-self/ns/net", &own) != 0)
    return ErrnoError(errno, "look up the network namespace of the node");
  inodes.insert(static_cast<std::uint32_t>(own.st_ino));
  inodes.erase(0);
  return process_classes_.SetShares(inodes);
}

Status BpfDatapath::TendProcessClasses() {
  const std::uint64_t now_ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  return process_classes_.Tend(now_ns, [this](std::set<sl_process_class_number>& in_use) {
    return ForEachFlow([&in_use](const FlowRecord& flow) {
      in_use.insert(flow.entry.initiator_class);
      in_use.insert(flow.entry.responder_class);
    });
  });
}

Status BpfDatapath::ResetEndpoint(std::uint32_t endpoint) {
  SL_RETURN_IF_ERROR(SetQuarantine(endpoint, false));
  for (const std::uint32_t from_elsewhere : {0, 1})
    SL_RETURN_IF_ERROR(maps_->event_shares.Put(SL_EVENT_SHARE(endpoint, from_elsewhere), {}));
  return maps_->endpoint_counts.Zero(endpoint);
}

StatusOr<EventCounters> BpfDatapath::ReadEventCounters() {
  EventCounters counters{};
  for (std::uint32_t id = 0; id < SL_COUNTER_COUNT; ++id) {
    SL_ASSIGN_OR_RETURN(const auto values, maps_->event_counts.Get(id));
    for (const __u64 value : values) counters[id] += value;
  }
  return counters;
}

StatusOr<Counters> BpfDatapath::ReadCounters() {
  Counters counters;
  const auto add = [](sl_counter& sum, const sl_counter& one) {
    sum.packets += one.packets;
    sum.bytes += one.bytes;
  };
  for (std::uint32_t hook = 0; hook < SL_HOOK_COUNT; ++hook) {
    for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
      SL_ASSIGN_OR_RETURN(const auto values, maps_->packet_counts.Get(hook * SL_OUTCOME_COUNT + outcome));
      for (const sl_counter& value : values) add(counters.packets[hook][outcome], value);
    }
  }
  SL_ASSIGN_OR_RETURN(counters.events, ReadEventCounters());
  for (const std::uint32_t endpoint : slots_.usage().endpoints) {
    SL_ASSIGN_OR_RETURN(const auto values, maps_->endpoint_counts.Get(endpoint));
    sl_endpoint_counters& sum = counters.endpoints[endpoint];
    for (const sl_endpoint_counters& value : values) {
      for (std::uint32_t outcome = 0; outcome < SL_OUTCOME_COUNT; ++outcome) {
        add(sum.egress[outcome], value.egress[outcome]);
        add(sum.ingress[outcome], value.ingress[outcome]);
      }
    }
  }
  return counters;
}

StatusOr<std::map<std::uint32_t, std::uint64_t>> BpfDatapath::ReadLostEvents() {
  std::map<std::uint32_t, std::uint64_t> lost;
  std::vector<std::uint32_t> endpoints = slots_.usage().endpoints;
  endpoints.push_back(0);
  for (const std::uint32_t endpoint : endpoints) {
    for (const std::uint32_t from_elsewhere : {0, 1}) {
      SL_ASSIGN_OR_RETURN(const auto share, maps_->event_shares.Get(SL_EVENT_SHARE(endpoint, from_elsewhere)));
      lost[endpoint] += share ? share->lost : 0;
    }
  }
  return lost;
}

// Arrays whose entries are always there are left out.
StatusOr<std::vector<MapUsage>> BpfDatapath::Maps() {
  const PolicySlots::Usage slots = slots_.usage();
  std::vector<MapUsage> maps = {
      {"addresses", slots.addresses, slots_.address_capacity()},
      {"prefixes", slots.prefixes, slots_.prefix_capacity()},
      {"peers", slots.peers, slots_.peer_capacity()},
      {"ports", slots.ports, slots_.port_capacity()},
      {"process_choices", slots.choices, slots_.choice_capacity()},
      {"endpoint_counts", slots.endpoints.size(), SL_MAX_ENDPOINTS - 1},
  };
  SL_ASSIGN_OR_RETURN(const auto classes, process_classes_.ReadFill());
  for (const auto& one : classes) maps.push_back({one.map, one.entries, one.capacity, one.refused});
  maps.push_back({"flows", flows_.entries(), flows_.capacity()});
  const auto count = [&maps](const auto& map) -> Status {
    MapUsage one{map.name(), 0, map.capacity()};
    SL_RETURN_IF_ERROR(map.ForEachBatch([&one](const auto&, const auto&) { ++one.entries; }));
    maps.push_back(one);
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(count(maps_->interfaces));
  SL_ASSIGN_OR_RETURN(const QuarantineState quarantine, ReadQuarantine());
  maps.push_back({"quarantine_allow", quarantine.allow.size(), quarantine_.allow_capacity()});
  MapUsage devices{maps_->pod_devices.name(), 0, maps_->pod_devices.capacity()};  // has no batches
  SL_RETURN_IF_ERROR(maps_->pod_devices.ForEach([&devices](const auto&, const auto&) { ++devices.entries; }));
  maps.push_back(devices);
  return maps;
}

StatusOr<std::vector<ProgramRuns>> BpfDatapath::ReadProgramRuns() {
  std::vector<ProgramRuns> programs;
  if (!bpf::CountsProgramRuns()) return programs;
  for (const char* const name : {"tc_from_pod", "tc_to_pod", "xdp_uplink"}) {
    if (object_->program_fd(name) < 0) continue;  // not loaded
    SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, bpf::ReadProgramRuns(object_->program_fd(name)));
    programs.push_back({name, runs.count, runs.nanoseconds});
  }
  return programs;
}

StatusOr<int> BpfDatapath::PollEvents(const std::function<void(const sl_flow_event&)>& consume) {
  consume_ = &consume;
  auto count = ring_->Drain();
  consume_ = nullptr;
  return count;
}

}  // namespace sluice::datapath
