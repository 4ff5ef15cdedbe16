#include "kernel/datapath/policy_slots.h"

#include <arpa/inet.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "base/log.h"
#include "kernel/datapath/array_window.h"
#include "kernel/datapath/bind_map.h"
#include "kernel/datapath/mapped_prefix.h"
#include "policy/network/diff.h"

namespace sluice::datapath {
namespace {

using policy::Prefix;
using policy::Tables;

// Longer than any packet is judged, where nobody tells when the last one is through.
constexpr auto kLongEnough = std::chrono::milliseconds(200);

sl_prefix_key PrefixKey(const Prefix& prefix, std::uint32_t slot) {
  return {static_cast<__u32>(32 + prefix.mapped_length()), htonl(slot), prefix.address().abi()};
}

Prefix PrefixOf(const sl_prefix_key& key) { return MappedPrefix(key.addr, static_cast<int>(key.prefixlen) - 32); }

template <typename T>
bool Same(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// The map `ports`, for as long as it is read or edited: there is no faster way, and it need not count as the agent's
// memory for longer.
class PortMemory {
 public:
  static StatusOr<PortMemory> Map(int fd, std::uint32_t entries) {
    const std::size_t bytes = entries * kStride;
    SL_ASSIGN_OR_RETURN(void* const memory, MapArray(fd, "ports", bytes));
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

bool IsUsed(const sl_port_entry& entry) { return entry.decision != 0 || entry.flags != 0; }

}  // namespace

PolicySlots::~PolicySlots() {
  if (stored_ != nullptr) munmap(stored_, sizeof(*stored_));
}

Status PolicySlots::Open(const bpf::DatapathObject& object, const bpf::ObjectOptions& options, HashSeeds seeds,
                         ProcessClasses* classes) {
  const std::lock_guard lock(mutex_);
  options_ = options;
  classes_ = classes;
  SL_RETURN_IF_ERROR(BindMap(object, "prefixes", &prefixes_));
  SL_RETURN_IF_ERROR(BindMap(object, "ports", &ports_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_choices", &choices_));
  addresses_ = AddressTable(object.map_fd("addresses"), options.slot_addresses, seeds);
  peers_ = PeerTable(object.map_fd("peers"), options.slot_peers, seeds);
  SL_ASSIGN_OR_RETURN(void* const stored, MapArray(object.map_fd("generation"), "generation", sizeof(*stored_)));
  stored_ = static_cast<std::uint64_t*>(stored);
  generation_ = std::atomic_ref<std::uint64_t>(*stored_).load(std::memory_order_acquire);
  return Read();
}

Status PolicySlots::Read() {
  struct Found {
    decltype(Tables::addresses)::Entries addresses;
    decltype(Tables::prefixes)::Entries prefixes;
    decltype(Tables::peers)::Entries peers;
    decltype(Tables::ports)::Entries ports;
    decltype(Tables::choices)::Entries choices;
  } found[SL_SLOTS];
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value& value) {
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
  SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), port_entries));
  for (std::uint32_t i = 0; i < port_entries; ++i)
    if (IsUsed(ports[i])) found[i / options_.slot_ports].ports.emplace_back(i % options_.slot_ports, ports[i]);
  SL_RETURN_IF_ERROR(choices_.ForEachBatch([&](const __u32& key, const sl_process_choice& choice) {
    if (choice.count != 0)
      found[key / SL_MAX_PROCESS_CHOICES].choices.emplace_back(key % SL_MAX_PROCESS_CHOICES, choice);
  }));
  for (std::uint32_t slot = 0; slot < SL_SLOTS; ++slot) {
    slots_[slot].addresses = decltype(Tables::addresses)(std::move(found[slot].addresses));
    slots_[slot].prefixes = decltype(Tables::prefixes)(std::move(found[slot].prefixes));
    slots_[slot].peers = decltype(Tables::peers)(std::move(found[slot].peers));
    slots_[slot].ports = decltype(Tables::ports)(std::move(found[slot].ports));
    slots_[slot].choices = decltype(Tables::choices)(std::move(found[slot].choices));
    slots_[slot].patterns = classes_->patterns(slot);
    slot_known_[slot] = true;
  }
  NoteUsage();
  return OkStatus();
}

void PolicySlots::NoteUsage() {
  Usage usage;
  for (const Tables& slot : slots_) {
    usage.addresses += slot.addresses.size();
    usage.prefixes += slot.prefixes.size();
    usage.peers += slot.peers.size();
    usage.ports += slot.ports.size();
    usage.choices += slot.choices.size();
  }
  std::vector<std::uint32_t>& endpoints = usage.endpoints;
  std::map<std::uint32_t, std::uint32_t> in_force_at;
  for (const auto& [address, value] : slots_[in_force()].addresses) {
    if (value.endpoint == 0) continue;
    endpoints.push_back(value.endpoint);
    if (value.ifindex != 0 && generation() != 0) in_force_at[value.ifindex] = value.endpoint;
  }
  std::ranges::sort(endpoints);
  endpoints.erase(std::unique(endpoints.begin(), endpoints.end()), endpoints.end());
  const std::lock_guard lock(usage_mutex_);
  usage_ = std::move(usage);
  endpoints_in_force_ = std::move(in_force_at);
}

PolicySlots::Usage PolicySlots::usage() const {
  const std::lock_guard lock(usage_mutex_);
  return usage_;
}

std::map<std::uint32_t, std::uint32_t> PolicySlots::endpoints_in_force() const {
  const std::lock_guard lock(usage_mutex_);
  return endpoints_in_force_;
}

std::uint64_t PolicySlots::generation() const { return generation_; }

void PolicySlots::Distrust() {
  const std::lock_guard lock(mutex_);
  for (bool& known : slot_known_) known = false;
}

// The slot becomes what `tables` says, whatever it is.
Status PolicySlots::Make(std::uint32_t slot, const Tables& tables) {
  if (!slot_known_[slot]) SL_RETURN_IF_ERROR(Erase(slot));
  slot_known_[slot] = false;  // until it is known to be what `tables` says
  SL_RETURN_IF_ERROR(Edit(slot, tables));
  slots_[slot] = tables;
  slot_known_[slot] = true;
  return OkStatus();
}

Status PolicySlots::Edit(std::uint32_t slot, const Tables& tables) {
  const policy::Plan plan = policy::Diff(slots_[slot], tables);
  std::vector<sl_prefix_key> gone, new_prefixes;
  for (const Prefix& prefix : plan.prefixes.deletes) gone.push_back(PrefixKey(prefix, slot));
  SL_RETURN_IF_ERROR(prefixes_.DeleteAll(gone));
  if (!tables.ports.empty() && tables.ports.entries().back().first >= options_.slot_ports)
    return MakeError(absl::StatusCode::kResourceExhausted, "map ports is full ({} entries)", options_.slot_ports);
  if (!plan.ports.puts.empty() || !plan.ports.deletes.empty()) {
    SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_SLOTS * options_.slot_ports));
    const std::uint32_t first = slot * options_.slot_ports;
    for (const auto index : plan.ports.deletes) ports[first + index] = {};
    for (const auto& [index, entry] : plan.ports.puts) ports[first + index] = entry;
  }
  SL_RETURN_IF_ERROR(classes_->SetPatterns(slot, tables.patterns));
  for (const auto index : plan.choices.deletes)
    SL_RETURN_IF_ERROR(choices_.Put(slot * SL_MAX_PROCESS_CHOICES + index, {}));
  for (const auto& [index, choice] : plan.choices.puts)
    SL_RETURN_IF_ERROR(choices_.Put(slot * SL_MAX_PROCESS_CHOICES + index, choice));
  SL_RETURN_IF_ERROR(peers_.Edit(slot, plan.peers));
  SL_RETURN_IF_ERROR(addresses_.Edit(slot, plan.addresses));
  std::vector<sl_prefix_value> values;
  for (const auto& [prefix, value] : plan.prefixes.puts) {
    new_prefixes.push_back(PrefixKey(prefix, slot));
    values.push_back(value);
  }
  return prefixes_.PutAll(new_prefixes, values);
}

// A slot that is not in force, of which it is not known what it holds.
Status PolicySlots::Erase(std::uint32_t slot) {
  slot_known_[slot] = false;
  SL_RETURN_IF_ERROR(addresses_.Erase(slot));
  SL_RETURN_IF_ERROR(peers_.Erase(slot));
  std::vector<sl_prefix_key> keys;
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value&) {
    if (ntohl(key.slot) == slot) keys.push_back(key);
  }));
  SL_RETURN_IF_ERROR(prefixes_.DeleteAll(keys));
  {
    SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_SLOTS * options_.slot_ports));
    for (std::uint32_t i = 0; i < options_.slot_ports; ++i) ports[slot * options_.slot_ports + i] = {};
  }
  std::vector<__u32> choices;
  for (__u32 i = 0; i < SL_MAX_PROCESS_CHOICES; ++i) choices.push_back(slot * SL_MAX_PROCESS_CHOICES + i);
  SL_RETURN_IF_ERROR(choices_.PutAll(choices, std::vector<sl_process_choice>(choices.size())));
  classes_->Distrust(slot);
  slots_[slot] = {};
  slot_known_[slot] = true;
  return OkStatus();
}

// From here on the change is made: it cannot fail any more, and must not be taken for refused.
void PolicySlots::Switch(std::uint64_t generation) {
  generation_ = generation;
  std::atomic_ref<std::uint64_t>(*stored_).store(generation, std::memory_order_release);
  NoteUsage();
  if (const Status status = packet_programs_.WaitForRunning(); !status.ok()) {
    LogError("generation {} is in force; when the last packet of the one before is through is not known: {}",
             generation, Message(status));
    std::this_thread::sleep_for(kLongEnough);
  }
}

Status PolicySlots::Commit(const Tables& tables) {
  const std::lock_guard lock(mutex_);
  FollowStored();
  const std::uint64_t next = generation() + 1;
  SL_RETURN_IF_ERROR(Make(next % SL_SLOTS, tables));
  Switch(next);
  committed_ = true;
  return OkStatus();
}

Status PolicySlots::Settle() {
  const std::lock_guard lock(mutex_);
  if (!committed_) return OkStatus();
  FollowStored();
  const std::uint32_t other = (in_force() + 1) % SL_SLOTS;
  if (slot_known_[other] && policy::Diff(slots_[other], slots_[in_force()]).empty()) return OkStatus();
  SL_RETURN_IF_ERROR(Make(other, slots_[in_force()]));
  NoteUsage();
  return OkStatus();
}

StatusOr<bool> PolicySlots::RepairGeneration() {
  const std::lock_guard lock(mutex_);
  FollowStored();
  return std::exchange(was_moved_, false);
}

// Before anything is done that goes by the number: somebody may have moved it since it was last looked at.
void PolicySlots::FollowStored() {
  const std::uint64_t found = std::atomic_ref<std::uint64_t>(*stored_).load(std::memory_order_acquire);
  if (found == generation()) return;
  LogError("the generation in the kernel was {}, not {}: the same policy is put in force again under a higher one",
           found, generation());
  was_moved_ = true;
  PutAbove(found);
}

void PolicySlots::Pass(std::uint64_t decided) {
  const std::lock_guard lock(mutex_);
  if (decided <= generation()) return;
  LogError("the generation in the kernel is {}, but flows were decided under {}: a higher one is put in force",
           generation(), decided);
  PutAbove(decided);
}

// In force is the same policy, under a number above `other` too, or flows that were decided under that one would not be
// decided again.
void PolicySlots::PutAbove(std::uint64_t other) {
  std::uint64_t next = std::max(other, generation()) + 1;
  if (next % SL_SLOTS != in_force()) ++next;
  Switch(next);
}

StatusOr<bool> PolicySlots::Holds(std::uint32_t slot) const {
  const Tables& expected = slots_[slot];
  SL_ASSIGN_OR_RETURN(bool holds, addresses_.Holds(slot, expected.addresses));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, peers_.Holds(slot, expected.peers));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsPorts(slot));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsPrefixes(slot));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsChoices(slot));
  if (!holds) return false;
  return classes_->HoldsPatterns(slot);
}

StatusOr<bool> PolicySlots::HoldsPrefixes(std::uint32_t slot) const {
  std::size_t found = 0;
  bool same = true;
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value& value) {
    if (ntohl(key.slot) != slot) return;
    const auto expected = slots_[slot].prefixes.find(PrefixOf(key));
    same = same && expected != slots_[slot].prefixes.end() && Same(expected->second, value);
    ++found;
  }));
  return same && found == slots_[slot].prefixes.size();
}

StatusOr<bool> PolicySlots::HoldsPorts(std::uint32_t slot) const {
  SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_SLOTS * options_.slot_ports));
  auto expected = slots_[slot].ports.begin();
  for (std::uint32_t i = 0; i < options_.slot_ports; ++i) {
    const sl_port_entry& entry = ports[slot * options_.slot_ports + i];
    const bool is_expected = expected != slots_[slot].ports.end() && expected->first == i;
    if (is_expected ? !Same(expected->second, entry) : IsUsed(entry)) return false;
    if (is_expected) ++expected;
  }
  return expected == slots_[slot].ports.end();
}

StatusOr<bool> PolicySlots::HoldsChoices(std::uint32_t slot) const {
  std::size_t found = 0;
  bool same = true;
  SL_RETURN_IF_ERROR(choices_.ForEachBatch([&](const __u32& key, const sl_process_choice& choice) {
    if (key / SL_MAX_PROCESS_CHOICES != slot || choice.count == 0) return;
    const auto expected = slots_[slot].choices.find(key % SL_MAX_PROCESS_CHOICES);
    same = same && expected != slots_[slot].choices.end() && Same(expected->second, choice);
    ++found;
  }));
  return same && found == slots_[slot].choices.size();
}

// The slot that is in force is not edited: the other one is put in force, and then this one is made anew.
StatusOr<bool> PolicySlots::RepairTables() {
  const std::lock_guard lock(mutex_);
  if (!committed_) return false;
  FollowStored();
  const std::uint32_t current = in_force(), other = (current + 1) % SL_SLOTS;
  const Tables tables = slots_[current];
  SL_ASSIGN_OR_RETURN(const bool other_holds, Holds(other));
  SL_ASSIGN_OR_RETURN(const bool current_holds, Holds(current));
  if (other_holds && current_holds) return false;
  if (!other_holds) slot_known_[other] = false;
  SL_RETURN_IF_ERROR(Make(other, tables));
  if (!current_holds) {
    Switch(generation() + 1);
    slot_known_[current] = false;
    SL_RETURN_IF_ERROR(Make(current, tables));
  }
  LogError("the policy tables in the kernel were not what they should be ({}): made anew, generation {}",
           current_holds ? "those not in force" : "those in force", generation());
  NoteUsage();
  return true;
}

}  // namespace sluice::datapath
