#include "ctrl/datapath/bpf_datapath.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <set>
#include <utility>
#include <vector>

#include "bpf/abi/quarantine.h"
#include "ctrl/base/log.h"
#include "ctrl/bpf/link.h"
#include "ctrl/bpf/system.h"
#include "ctrl/datapath/root.h"
#include "policy/diff.h"

namespace sluice::datapath {
namespace {

using policy::Address;
using policy::Prefix;
using policy::Tables;

sl_prefix_key PrefixKey(const Prefix& prefix, std::uint32_t slot) {
  return {static_cast<__u32>(32 + prefix.mapped_length()), htonl(slot), prefix.address().abi()};
}

// A table's edits, in a slot of the kernel's map; `key_of` makes the map's key of the table's.
template <typename MapKey, typename Key, typename Value>
Status PutAll(const bpf::Map<MapKey, Value>& map, MapKey (*key_of)(const Key&, std::uint32_t), std::uint32_t slot,
              const policy::TableEdits<Key, Value>& edits) {
  std::vector<MapKey> keys;
  std::vector<Value> values;
  for (const auto& [key, value] : edits.puts) {
    keys.push_back(key_of(key, slot));
    values.push_back(value);
  }
  return map.PutAll(keys, values);
}

template <typename MapKey, typename Key, typename Value>
Status DeleteAll(const bpf::Map<MapKey, Value>& map, MapKey (*key_of)(const Key&, std::uint32_t), std::uint32_t slot,
                 const policy::TableEdits<Key, Value>& edits) {
  std::vector<MapKey> keys;
  for (const Key& key : edits.deletes) keys.push_back(key_of(key, slot));
  return map.DeleteAll(keys);
}

Prefix MappedPrefix(const sl_addr& addr, int mapped_length) {
  const Address address(addr);
  return Prefix(address, address.is_v4() ? mapped_length - 96 : mapped_length);
}

Prefix PrefixOf(const sl_prefix_key& key) { return MappedPrefix(key.addr, static_cast<int>(key.prefixlen) - 32); }

sl_quarantine_peer QuarantinePeer(const Prefix& prefix) {
  return {static_cast<__u32>(prefix.mapped_length()), prefix.address().abi()};
}

std::size_t PageAligned(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

StatusOr<void*> MapArray(int fd, std::size_t bytes, const char* name) {
  void* memory = mmap(nullptr, PageAligned(bytes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map {} into memory", name);
  return memory;
}

// The map `ports`, for as long as it is read or edited: there is no faster way, and it need not count as the agent's
// memory for longer.
class PortMemory {
 public:
  static StatusOr<PortMemory> Map(int fd, std::uint32_t entries) {
    const std::size_t bytes = PageAligned(entries * kStride);
    SL_ASSIGN_OR_RETURN(void* const memory, MapArray(fd, bytes, "ports"));
    return PortMemory(static_cast<char*>(memory), bytes);
  }
  PortMemory(PortMemory&& other) noexcept : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  PortMemory& operator=(PortMemory&&) = delete;
  ~PortMemory() {
    if (memory_ != nullptr) munmap(memory_, bytes_);
  }
  sl_port_entry& operator[](std::size_t index) const {
    return *reinterpret_cast<sl_port_entry*>(memory_ + index * kStride);
  }

 private:
  // Array values lie at multiples of 8 bytes (kernel/bpf/arraymap.c).
  static constexpr std::size_t kStride = (sizeof(sl_port_entry) + 7) / 8 * 8;
  PortMemory(char* memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}
  char* memory_;
  std::size_t bytes_;
};

}  // namespace

struct BpfDatapath::BoundMaps {
  bpf::Map<sl_prefix_key, sl_prefix_value> prefixes;
  bpf::Map<__u32, sl_port_entry> ports;
  bpf::Map<__u32, sl_process_choice> choices;
  bpf::Map<__u32, sl_interface> interfaces;
  bpf::Map<__u32, __u32> pod_devices;
  bpf::Map<sl_fragment_key, sl_fragment_value> fragments;
  bpf::Map<__u32, __u32> quarantine;
  bpf::Map<sl_quarantine_peer, __u32> quarantine_allow;
  bpf::Map<__u32, sl_event_share> event_shares;
  bpf::PerCpuArray<sl_counter> packet_counts;
  bpf::PerCpuArray<sl_endpoint_counters> endpoint_counts;
  bpf::PerCpuArray<__u64> event_counts;
};

BpfDatapath::BpfDatapath() : maps_(std::make_unique<BoundMaps>()) {}

BpfDatapath::~BpfDatapath() {
  if (generation_ != nullptr) munmap(generation_, PageAligned(sizeof(*generation_)));
}

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::Open(const BpfDatapathOptions& options) {
  SL_ASSIGN_OR_RETURN(Fd lock, LockRoot(options.bpf_root));
  bpf::ObjectOptions object_options = options.object;
  object_options.pin_root = options.bpf_root;
  SL_ASSIGN_OR_RETURN(auto object, bpf::DatapathObject::Load(object_options));
  SL_ASSIGN_OR_RETURN(auto datapath, Wrap(std::move(object), object_options));
  datapath->root_lock_ = std::move(lock);
  SL_RETURN_IF_ERROR(datapath->FindLeftAttachments());
  return datapath;
}

StatusOr<std::unique_ptr<BpfDatapath>> BpfDatapath::Wrap(std::unique_ptr<bpf::DatapathObject> object,
                                                         const bpf::ObjectOptions& options) {
  std::unique_ptr<BpfDatapath> datapath(new BpfDatapath());
  datapath->object_ = std::move(object);
  datapath->options_ = options;
  datapath->pins_ = bpf::PinLayout(options.pin_root);
  SL_RETURN_IF_ERROR(datapath->BindMaps());
  SL_RETURN_IF_ERROR(datapath->MapMemory());
  SL_RETURN_IF_ERROR(datapath->OpenHashTables());
  SL_RETURN_IF_ERROR(datapath->ReadSlots());
  return datapath;
}

Status BpfDatapath::BindMaps() {
  const auto bind = [this](auto& map, const char* name) -> Status {
    using M = std::remove_reference_t<decltype(map)>;
    SL_ASSIGN_OR_RETURN(map, M::Bind(object_->map_fd(name), name));
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(bind(maps_->prefixes, "prefixes"));
  SL_RETURN_IF_ERROR(bind(maps_->ports, "ports"));
  SL_RETURN_IF_ERROR(bind(maps_->choices, "process_choices"));
  SL_RETURN_IF_ERROR(bind(maps_->interfaces, "interfaces"));
  SL_RETURN_IF_ERROR(bind(maps_->pod_devices, "pod_devices"));
  SL_RETURN_IF_ERROR(bind(maps_->fragments, "fragments"));
  SL_RETURN_IF_ERROR(bind(maps_->quarantine, "quarantine"));
  SL_RETURN_IF_ERROR(bind(maps_->quarantine_allow, "quarantine_allow"));
  SL_RETURN_IF_ERROR(bind(maps_->event_shares, "event_shares"));
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

Status BpfDatapath::MapMemory() {
  SL_ASSIGN_OR_RETURN(void* const generation,
                      MapArray(object_->map_fd("generation"), sizeof(*generation_), "generation"));
  generation_ = static_cast<std::uint64_t*>(generation);
  return OkStatus();
}

Status BpfDatapath::OpenHashTables() {
  SL_ASSIGN_OR_RETURN(const sl_settings seeds, settings_.ReadWithSeeds());
  addresses_ = AddressTable(object_->map_fd("addresses"), options_.slot_addresses, seeds.hash_seeds);
  peers_ = PeerTable(object_->map_fd("peers"), options_.slot_peers, seeds.hash_seeds);
  return flows_.Bind(*object_, seeds.hash_seeds);
}

// What an earlier process left: the first Commit then changes only what differs.
Status BpfDatapath::ReadSlots() {
  struct Found {
    decltype(Tables::addresses)::Entries addresses;
    decltype(Tables::prefixes)::Entries prefixes;
    decltype(Tables::peers)::Entries peers;
    decltype(Tables::ports)::Entries ports;
    decltype(Tables::choices)::Entries choices;
  } found[SL_SLOTS];
  SL_RETURN_IF_ERROR(maps_->prefixes.ForEach([&](const sl_prefix_key& key, const sl_prefix_value& value) {
    if (const std::uint32_t slot = ntohl(key.slot); slot < SL_SLOTS)
      found[slot].prefixes.emplace_back(PrefixOf(key), value);
  }));
  for (std::uint32_t slot = 0; slot < SL_SLOTS; ++slot) {
    const auto into = [](auto& table) {
      return [&table](const auto& key, const auto& value) { table.emplace_back(key, value); };
    };
    SL_RETURN_IF_ERROR(addresses_.ForEach(slot, into(found[slot].addresses)));
    SL_RETURN_IF_ERROR(peers_.ForEach(slot, into(found[slot].peers)));
  }
  const std::uint32_t port_entries = SL_SLOTS * options_.slot_ports;
  SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(maps_->ports.fd(), port_entries));
  for (std::uint32_t i = 0; i < port_entries; ++i)
    if (const sl_port_entry& entry = ports[i]; entry.decision != 0 || entry.flags != 0)
      found[i / options_.slot_ports].ports.emplace_back(i % options_.slot_ports, entry);
  SL_RETURN_IF_ERROR(maps_->choices.ForEachBatch([&](const __u32& key, const sl_process_choice& choice) {
    if (choice.count != 0)
      found[key / SL_MAX_PROCESS_CHOICES].choices.emplace_back(key % SL_MAX_PROCESS_CHOICES, choice);
  }));
  for (std::uint32_t slot = 0; slot < SL_SLOTS; ++slot) {
    slots_[slot].addresses = decltype(Tables::addresses)(std::move(found[slot].addresses));
    slots_[slot].prefixes = decltype(Tables::prefixes)(std::move(found[slot].prefixes));
    slots_[slot].peers = decltype(Tables::peers)(std::move(found[slot].peers));
    slots_[slot].ports = decltype(Tables::ports)(std::move(found[slot].ports));
    slots_[slot].choices = decltype(Tables::choices)(std::move(found[slot].choices));
    slots_[slot].patterns = process_classes_.patterns(slot);
    slot_known_[slot] = true;
  }
  NoteUsage();
  return OkStatus();
}

void BpfDatapath::NoteUsage() {
  Usage usage;
  for (const Tables& slot : slots_) {
    usage.addresses += slot.addresses.size();
    usage.prefixes += slot.prefixes.size();
    usage.peers += slot.peers.size();
    usage.ports += slot.ports.size();
    usage.choices += slot.choices.size();
  }
  std::vector<std::uint32_t>& endpoints = usage.endpoints;
  for (const auto& [address, value] : slots_[generation() % SL_SLOTS].addresses)
    if (value.endpoint != 0) endpoints.push_back(value.endpoint);
  std::sort(endpoints.begin(), endpoints.end());
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  const std::lock_guard lock(usage_mutex_);
  usage_ = std::move(usage);
}

BpfDatapath::Usage BpfDatapath::usage() const {
  const std::lock_guard lock(usage_mutex_);
  return usage_;
}

Status BpfDatapath::FindLeftAttachments() {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pins_.links_dir(), error)) {
    const std::string name = entry.path().filename();
    const std::size_t dash = name.rfind('-');
    if (dash == std::string::npos) continue;
    AttachedProgram what;
    what.program = name.substr(0, dash);
    what.ifindex = static_cast<std::uint32_t>(std::strtoul(name.c_str() + dash + 1, nullptr, 10));
    char interface[IF_NAMESIZE] = "";
    if (if_indextoname(what.ifindex, interface) != nullptr) what.interface = interface;
    attached_[entry.path()] = {what, false};
  }
  return error ? ErrnoError(error.value(), "list {}", pins_.links_dir()) : OkStatus();
}

std::uint64_t BpfDatapath::generation() const {
  return std::atomic_ref<std::uint64_t>(*generation_).load(std::memory_order_acquire);
}

policy::Limits BpfDatapath::limits() const {
  return {options_.slot_addresses, options_.slot_prefixes, options_.slot_peers, options_.slot_ports};
}

Status BpfDatapath::Edit(std::uint32_t slot, const Tables& tables) {
  const policy::Plan plan = policy::Diff(slots_[slot], tables);
  SL_RETURN_IF_ERROR(DeleteAll(maps_->prefixes, PrefixKey, slot, plan.prefixes));
  if (!tables.ports.empty() && tables.ports.entries().back().first >= options_.slot_ports)
    return MakeError(absl::StatusCode::kResourceExhausted, "map ports is full ({} entries)", options_.slot_ports);
  if (!plan.ports.puts.empty() || !plan.ports.deletes.empty()) {
    SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(maps_->ports.fd(), SL_SLOTS * options_.slot_ports));
    const std::uint32_t first = slot * options_.slot_ports;
    for (const auto index : plan.ports.deletes) ports[first + index] = {};
    for (const auto& [index, entry] : plan.ports.puts) ports[first + index] = entry;
  }
  SL_RETURN_IF_ERROR(process_classes_.SetPatterns(slot, tables.patterns));
  for (const auto index : plan.choices.deletes)
    SL_RETURN_IF_ERROR(maps_->choices.Put(slot * SL_MAX_PROCESS_CHOICES + index, {}));
  for (const auto& [index, choice] : plan.choices.puts)
    SL_RETURN_IF_ERROR(maps_->choices.Put(slot * SL_MAX_PROCESS_CHOICES + index, choice));
  SL_RETURN_IF_ERROR(peers_.Edit(slot, plan.peers));
  SL_RETURN_IF_ERROR(addresses_.Edit(slot, plan.addresses));
  return PutAll(maps_->prefixes, PrefixKey, slot, plan.prefixes);
}

Status BpfDatapath::Commit(const Tables& tables) {
  const std::uint64_t next = generation() + 1;
  const std::uint32_t slot = next % SL_SLOTS;
  if (!slot_known_[slot]) SL_RETURN_IF_ERROR(ReadSlots());
  slot_known_[slot] = false;  // until it is known to be what `tables` says
  SL_RETURN_IF_ERROR(Edit(slot, tables));
  slots_[slot] = tables;
  slot_known_[slot] = true;
  std::atomic_ref<std::uint64_t>(*generation_).store(next, std::memory_order_release);
  NoteUsage();
  return packet_programs_.WaitForRunning();
}

Status BpfDatapath::DescribeInterface(std::uint32_t ifindex, const sl_interface& facts) {
  return maps_->interfaces.Put(ifindex, facts);
}

Status BpfDatapath::AttachPod(const PodInterface& pod) {
  const struct {
    const char* program;
    bpf::TcDirection direction;
  } attachments[] = {{"tc_from_pod", bpf::TcDirection::kIngress}, {"tc_to_pod", bpf::TcDirection::kEgress}};
  for (const auto& [program, direction] : attachments) {
    const std::string pin = pins_.link(program, pod.ifindex);
    {
      const std::lock_guard lock(attached_mutex_);
      if (const auto found = attached_.find(pin); found != attached_.end() && found->second.current) continue;
    }
    auto mode = bpf::AttachTc(object_->program_fd(program), pod.ifindex, direction, pin);
    if (!mode.ok()) return Annotate(mode.status(), fmt::format("attach {} to {}", program, pod.name));
    const std::lock_guard lock(attached_mutex_);
    attached_[pin] = {{program, pod.name, pod.ifindex, *mode}, true};
  }
  if (!pod.takes_frames) {
    SL_RETURN_IF_ERROR(maps_->pod_devices.Delete(pod.ifindex));
  } else if (const Status status = maps_->pod_devices.Put(pod.ifindex, pod.ifindex); !status.ok()) {
    // The redirect is a short cut, enforcement does not depend on it.
    LogWarn("{}: no redirect from XDP: {}", pod.name, Message(status));
  }
  return maps_->interfaces.Put(pod.ifindex, pod.facts);
}

Status BpfDatapath::DetachPod(std::uint32_t ifindex) {
  SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kIngress, pins_.link("tc_from_pod", ifindex)));
  SL_RETURN_IF_ERROR(bpf::DetachTc(ifindex, bpf::TcDirection::kEgress, pins_.link("tc_to_pod", ifindex)));
  SL_RETURN_IF_ERROR(maps_->pod_devices.Delete(ifindex));
  SL_RETURN_IF_ERROR(maps_->interfaces.Delete(ifindex));
  const std::lock_guard lock(attached_mutex_);
  attached_.erase(pins_.link("tc_from_pod", ifindex));
  attached_.erase(pins_.link("tc_to_pod", ifindex));
  return OkStatus();
}

StatusOr<XdpMode> BpfDatapath::AttachUplink(const std::string& interface) {
  const std::uint32_t ifindex = if_nametoindex(interface.c_str());
  if (ifindex == 0) return ErrnoError(errno, "uplink {}", interface);
  const std::string pin = pins_.link("xdp_uplink", ifindex);
  SL_ASSIGN_OR_RETURN(const sl_uplink uplink, DescribedUplink(interface, ifindex));
  auto mode = bpf::AttachXdp(object_->program_fd("xdp_uplink"), ifindex, pin);
  if (!mode.ok()) return Annotate(mode.status(), fmt::format("uplink {}", interface));
  SL_RETURN_IF_ERROR(Annotate(settings_.PutUplink(uplink), fmt::format("uplink {}", interface)));
  const std::lock_guard lock(attached_mutex_);
  attached_[pin] = {{"xdp_uplink", interface, ifindex, *mode}, true};
  return *mode == "xdp native" ? XdpMode::kNative : XdpMode::kGeneric;
}

Status BpfDatapath::ReleaseOtherUplinks(const std::vector<std::string>& interfaces) {
  std::set<std::uint32_t> there;
  for (const std::string& interface : interfaces) there.insert(if_nametoindex(interface.c_str()));
  const std::lock_guard lock(attached_mutex_);
  for (auto it = attached_.begin(); it != attached_.end();) {
    const AttachedProgram& what = it->second.what;
    if (what.program != "xdp_uplink" || there.contains(what.ifindex)) {
      ++it;
      continue;
    }
    SL_RETURN_IF_ERROR(bpf::DetachLink(it->first));
    SL_RETURN_IF_ERROR(settings_.DeleteUplink(what.ifindex));
    it = attached_.erase(it);
  }
  return OkStatus();
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

Status BpfDatapath::SetQuarantine(std::uint32_t endpoint, bool on) {
  return maps_->quarantine.Put(endpoint, on ? SL_QUARANTINE_AGENT : SL_QUARANTINE_NONE);
}

// New ones first: whoever stays on the list is never off it.
Status BpfDatapath::SetQuarantineAllow(const std::vector<Prefix>& peers) {
  SL_ASSIGN_OR_RETURN(const QuarantineState before, ReadQuarantine());
  for (const Prefix& peer : peers) {
    SL_RETURN_IF_ERROR(maps_->quarantine_allow.Put(QuarantinePeer(peer), peer.is_v4() ? 4 : 6));
  }
  for (const Prefix& peer : before.allow) {
    if (std::find(peers.begin(), peers.end(), peer) != peers.end()) continue;
    SL_RETURN_IF_ERROR(maps_->quarantine_allow.Delete(QuarantinePeer(peer)));
  }
  return OkStatus();
}

StatusOr<QuarantineState> BpfDatapath::ReadQuarantine() {
  QuarantineState state;
  SL_RETURN_IF_ERROR(maps_->quarantine.ForEachBatch([&state](const __u32& endpoint, const __u32& value) {
    if (value != SL_QUARANTINE_NONE) state.endpoints.insert(endpoint);
  }));
  SL_RETURN_IF_ERROR(maps_->quarantine_allow.ForEach([&state](const sl_quarantine_peer& key, const __u32&) {
    state.allow.push_back(MappedPrefix(key.addr, static_cast<int>(key.prefixlen)));
  }));
  std::sort(state.allow.begin(), state.allow.end());
  return state;
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
  for (const std::uint32_t endpoint : usage().endpoints) {
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
  std::vector<std::uint32_t> endpoints = usage().endpoints;
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
  const Usage slots = usage();
  std::vector<MapUsage> maps = {
      {"addresses", slots.addresses, addresses_.capacity()},
      {"prefixes", slots.prefixes, maps_->prefixes.capacity()},
      {"peers", slots.peers, peers_.capacity()},
      {"ports", slots.ports, static_cast<std::uint64_t>(options_.slot_ports) * SL_SLOTS},
      {"process_choices", slots.choices, maps_->choices.capacity()},
      {"endpoint_counts", slots.endpoints.size(), SL_MAX_ENDPOINTS - 1},
  };
  SL_ASSIGN_OR_RETURN(const auto classes, process_classes_.ReadFill());
  for (const auto& [map, entries, capacity] : classes) maps.push_back({map, entries, capacity});
  maps.push_back({"flows", flows_.entries(), flows_.capacity()});
  const auto count = [&maps](const auto& map) -> Status {
    MapUsage one{map.name(), 0, map.capacity()};
    SL_RETURN_IF_ERROR(map.ForEachBatch([&one](const auto&, const auto&) { ++one.entries; }));
    maps.push_back(one);
    return OkStatus();
  };
  SL_RETURN_IF_ERROR(count(maps_->interfaces));
  SL_RETURN_IF_ERROR(count(maps_->fragments));
  SL_ASSIGN_OR_RETURN(const QuarantineState quarantine, ReadQuarantine());
  maps.push_back({maps_->quarantine_allow.name(), quarantine.allow.size(), maps_->quarantine_allow.capacity()});
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

std::vector<AttachedProgram> BpfDatapath::Attached() const {
  const std::lock_guard lock(attached_mutex_);
  std::vector<AttachedProgram> programs;
  for (const auto& [pin, attachment] : attached_) programs.push_back(attachment.what);
  return programs;
}

StatusOr<int> BpfDatapath::PollEvents(const std::function<void(const sl_flow_event&)>& consume) {
  consume_ = &consume;
  auto count = ring_->Drain();
  consume_ = nullptr;
  return count;
}

}  // namespace sluice::datapath
