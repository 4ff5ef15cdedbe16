#include "kernel/datapath/bpf_datapath.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

#include "base/log.h"
#include "kernel/bpf/link.h"
#include "kernel/bpf/system.h"
#include "kernel/datapath/hand_over.h"
#include "kernel/datapath/root.h"

namespace sluice::datapath {

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::Open(const BpfDatapathOptions& options) {
  SL_RETURN_IF_ERROR(bpf::RefuseNewerLayouts(options.bpf_root));
  NewRoot made(options.bpf_root);
  SL_ASSIGN_OR_RETURN(Fd lock, LockRoot(options.bpf_root));
  auto datapath = OpenLocked(options);
  if (!datapath.ok()) {
    made.TakeBack();
    return datapath;
  }
  (*datapath)->root_lock_ = std::move(lock);
  (*datapath)->made_ = std::move(made);
  return datapath;
}

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::OpenLocked(const BpfDatapathOptions& options) {
  bpf::ObjectOptions object_options = options.object;
  object_options.pin_root = options.bpf_root;
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(object_options));
  SL_ASSIGN_OR_RETURN(auto datapath, Wrap(std::move(object), object_options));
  datapath->translates_services_ = options.services;
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

void BpfDatapath::TakeBack() {
  if (generation() == 0 && made_) made_->TakeBack();
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
  SL_RETURN_IF_ERROR(
      datapath->epochs_.Open(*datapath->object_, options, seeds.hash_seeds, &datapath->process_classes_));
  // Existing entries were placed with seeds that are lost.
  if (datapath->settings_.drew_seeds()) datapath->epochs_.Distrust();
  // The number may have been lowered while no agent ran.
  std::uint64_t decided = 0;
  SL_RETURN_IF_ERROR(datapath->flows_.ForEach(
      [&decided](const FlowRecord& flow) { decided = std::max<std::uint64_t>(decided, flow.entry.generation); }));
  datapath->epochs_.Pass(decided);
  return datapath;
}

Status BpfDatapath::BindMaps() {
  SL_RETURN_IF_ERROR(pods_.Bind(object_.get()));
  SL_RETURN_IF_ERROR(counters_.Bind(*object_));
  SL_RETURN_IF_ERROR(quarantine_.Bind(*object_));
  SL_RETURN_IF_ERROR(services_.Bind(*object_));
  SL_RETURN_IF_ERROR(settings_.Bind(*object_));
  SL_RETURN_IF_ERROR(process_classes_.Bind(*object_));
  SL_ASSIGN_OR_RETURN(ring_, bpf::RingReader::Open(object_->map_fd("flow_events"), [this](const void* record, size_t) {
                        if (consume_ != nullptr) (*consume_)(*static_cast<const sl_flow_event*>(record));
                      }));
  return OkStatus();
}

policy::Limits BpfDatapath::limits() const {
  return {options_.epoch_addresses, options_.epoch_prefixes, options_.epoch_peers, options_.epoch_ports};
}

std::map<std::uint32_t, std::uint32_t> BpfDatapath::EndpointsInForce() const {
  if (epochs_.generation() != 0) return epochs_.endpoints_in_force();
  const std::lock_guard lock(held_mutex_);
  if (older_.empty()) return {};
  auto endpoints = ReadEndpoints(older_, object_->admin_calls());
  if (endpoints.ok()) return *std::move(endpoints);
  LogWarn("cannot read which workloads the older version enforces on: {}", Message(endpoints.status()));
  return {};
}

Status BpfDatapath::Commit(const policy::Tables& tables) {
  SL_RETURN_IF_ERROR(epochs_.Commit(tables));
  // The tables are in force; if an older version's programs cannot be replaced now, the keeper tries again.
  if (const Status taken = attachments_.TakeOver(); !taken.ok()) LogError("{}; will try again", Message(taken));
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

// Describes the interface before a program needs the description.
Status BpfDatapath::Attach(const PodInterface& pod, Attachments::Pace pace) {
  SL_RETURN_IF_ERROR(pods_.Put(pod));
  for (const char* const program : {"tc_from_pod", "tc_to_pod"}) {
    SL_RETURN_IF_ERROR(Annotate(attachments_.Attach(program, pod.ifindex, pod.name, pace).status(),
                                fmt::format("attach {} to {}", program, pod.name)));
  }
  return OkStatus();
}

Status BpfDatapath::DetachPod(std::uint32_t ifindex) {
  for (const char* const program : {"tc_from_pod", "tc_to_pod"})
    SL_RETURN_IF_ERROR(attachments_.Detach(program, ifindex));
  return pods_.Remove(ifindex);
}

Status BpfDatapath::Keep(std::vector<Keeper::Step> more) {
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
  std::vector<Keeper::Step> steps{
      {Repaired::kAttachment, [this] { return attachments_.Repair(); }},
      {Repaired::kAttachment,
       [this]() -> StatusOr<int> {
         SL_RETURN_IF_ERROR(attachments_.LinkNext());
         return 0;
       }},
      {Repaired::kGeneration, [this, flag] { return flag(epochs_.RepairGeneration()); }},
      {Repaired::kSettings, [this, flag] { return flag(settings_.Repair()); }},
      {Repaired::kQuarantine, [this] { return quarantine_.Repair(); }},
      {Repaired::kPin,
       [this]() -> StatusOr<int> {
         SL_RETURN_IF_ERROR(EndHandOver());
         return RepairPins();
       }},
      {Repaired::kPolicyTable,
       [this]() -> StatusOr<int> {
         SL_RETURN_IF_ERROR(epochs_.Settle());
         return 0;
       }},
      {Repaired::kInterface, [this] { return pods_.Repair(); }},
      {Repaired::kPolicyTable, [this, flag] { return flag(epochs_.RepairTables()); }, true},
  };
  std::ranges::move(more, std::back_inserter(steps));
  attachments_.BeginLinking();
  keeper_ = std::make_unique<Keeper>(std::move(steps));
  return OkStatus();
}

// Maps, probes and links; also the root itself, which is locked again if it is another directory now.
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

StatusOr<std::vector<FlowRecord>> BpfDatapath::ForgetFlows(const std::vector<FlowRecord>& flows) {
  std::uint32_t denied = 0;
  std::vector<FlowRecord> gone;
  for (const FlowRecord& flow : flows) {
    SL_ASSIGN_OR_RETURN(const bool forgotten, flows_.Forget(flow));
    if (!forgotten) continue;
    gone.push_back(flow);
    denied += flow.state == FlowState::kDenied;
  }
  object_->RefundDenied(denied);
  return gone;
}

Status BpfDatapath::SetNamespaces(const std::set<PodNamespace>& namespaces) {
  std::map<std::uint64_t, std::uint64_t> clients;  // cookie -> inode
  std::set<std::uint32_t> inodes;
  for (const PodNamespace& one : namespaces) {
    inodes.insert(static_cast<std::uint32_t>(one.inode));
    if (translates_services_ && one.cookie != 0) clients[one.cookie] = one.inode;
  }
  {
    const std::lock_guard lock(namespaces_mutex_);
    namespace_paths_.clear();
    for (const PodNamespace& one : namespaces) namespace_paths_[one.cookie] = one.path;
    namespace_paths_.erase(0);
  }
  Status set = Annotate(services_.SetClients(clients), "translate Services at the workloads' sockets");
  struct stat own {};
  if (stat("/proc/thread-self/ns/net", &own) != 0)
    return ErrnoError(errno, "look up the network namespace of the node");
  inodes.insert(static_cast<std::uint32_t>(own.st_ino));
  inodes.erase(0);
  set.Update(Annotate(process_classes_.SetShares(inodes), "set the workloads' shares of the process tables"));
  return set;
}

std::vector<std::string> BpfDatapath::NamespacePaths() const {
  const std::lock_guard lock(namespaces_mutex_);
  std::vector<std::string> paths;
  for (const auto& [cookie, path] : namespace_paths_) paths.push_back(path);
  return paths;
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
  return counters_.ResetEndpoint(endpoint);
}

// Without arrays, whose entries always exist.
StatusOr<std::vector<MapUsage>> BpfDatapath::Maps() {
  const PolicyEpochs::Usage epochs = epochs_.usage();
  std::vector<MapUsage> maps = {
      {"addresses", epochs.addresses, epochs_.address_capacity()},
      {"prefixes", epochs.prefixes, epochs_.prefix_capacity()},
      {"peers", epochs.peers, epochs_.peer_capacity()},
      {"ports", epochs.ports, epochs_.port_capacity()},
      {"process_verdicts", epochs.process_verdicts, epochs_.process_verdict_capacity()},
      {"endpoint_counts", epochs.endpoints.size(), SL_MAX_ENDPOINTS - 1},
  };
  SL_ASSIGN_OR_RETURN(const auto classes, process_classes_.ReadFill());
  for (const auto& one : classes) maps.push_back({one.map, one.entries, one.capacity, one.refused});
  maps.push_back({"flows", flows_.entries(), flows_.capacity()});
  SL_ASSIGN_OR_RETURN(const MapUsage interfaces, pods_.ReadInterfaceUsage());
  maps.push_back(interfaces);
  SL_ASSIGN_OR_RETURN(const QuarantineState quarantine, ReadQuarantine());
  maps.push_back({"quarantine_allow", quarantine.allow.size(), quarantine_.allow_capacity()});
  SL_ASSIGN_OR_RETURN(const MapUsage devices, pods_.ReadDeviceUsage());
  maps.push_back(devices);
  std::ranges::move(services_.usage(), std::back_inserter(maps));
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
