#include "kernel/datapath/policy_epochs.h"

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

// Longer than the evaluation of any packet, for when waiting for the last one fails.
constexpr auto kLongEnough = std::chrono::milliseconds(200);

sl_prefix_key PrefixKey(const Prefix& prefix, std::uint32_t epoch) {
  return {static_cast<__u32>(32 + prefix.mapped_length()), htonl(epoch), prefix.address().abi()};
}

Prefix PrefixOf(const sl_prefix_key& key) { return MappedPrefix(key.addr, static_cast<int>(key.prefixlen) - 32); }

template <typename T>
bool Same(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// The map `ports`, memory-mapped only while it is read or edited, to keep RSS low.
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

PolicyEpochs::~PolicyEpochs() {
  if (stored_ != nullptr) munmap(stored_, sizeof(*stored_));
}

Status PolicyEpochs::Open(const bpf::DatapathObject& object, const bpf::ObjectOptions& options, HashSeeds seeds,
                          ProcessClasses* classes) {
  const std::lock_guard lock(mutex_);
  options_ = options;
  classes_ = classes;
  SL_RETURN_IF_ERROR(BindMap(object, "prefixes", &prefixes_));
  SL_RETURN_IF_ERROR(BindMap(object, "ports", &ports_));
  SL_RETURN_IF_ERROR(BindMap(object, "process_verdicts", &process_verdicts_));
  addresses_ = AddressTable(object.map_fd("addresses"), options.epoch_addresses, seeds);
  peers_ = PeerTable(object.map_fd("peers"), options.epoch_peers, seeds);
  SL_ASSIGN_OR_RETURN(void* const stored, MapArray(object.map_fd("generation"), "generation", sizeof(*stored_)));
  stored_ = static_cast<std::uint64_t*>(stored);
  generation_ = std::atomic_ref<std::uint64_t>(*stored_).load(std::memory_order_acquire);
  return Read();
}

Status PolicyEpochs::Read() {
  struct Found {
    decltype(Tables::addresses)::Entries addresses;
    decltype(Tables::prefixes)::Entries prefixes;
    decltype(Tables::peers)::Entries peers;
    decltype(Tables::ports)::Entries ports;
    decltype(Tables::process_verdicts)::Entries process_verdicts;
  } found[SL_EPOCHS];
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value& value) {
    if (const std::uint32_t epoch = ntohl(key.epoch); epoch < SL_EPOCHS)
      found[epoch].prefixes.emplace_back(PrefixOf(key), value);
  }));
  for (std::uint32_t epoch = 0; epoch < SL_EPOCHS; ++epoch) {
    const auto into = [](auto& table) {
      return [&table](const auto& key, const auto& value) { table.emplace_back(key, value); };
    };
    SL_RETURN_IF_ERROR(addresses_.ForEach(epoch, into(found[epoch].addresses)));
    SL_RETURN_IF_ERROR(peers_.ForEach(epoch, into(found[epoch].peers)));
  }
  const std::uint32_t port_entries = SL_EPOCHS * options_.epoch_ports;
  SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), port_entries));
  for (std::uint32_t i = 0; i < port_entries; ++i)
    if (IsUsed(ports[i])) found[i / options_.epoch_ports].ports.emplace_back(i % options_.epoch_ports, ports[i]);
  SL_RETURN_IF_ERROR(process_verdicts_.ForEachBatch([&](const __u32& key, const sl_process_verdict& process_verdict) {
    if (process_verdict.count != 0)
      found[key / SL_MAX_PROCESS_VERDICTS].process_verdicts.emplace_back(key % SL_MAX_PROCESS_VERDICTS,
                                                                         process_verdict);
  }));
  for (std::uint32_t epoch = 0; epoch < SL_EPOCHS; ++epoch) {
    epochs_[epoch].addresses = decltype(Tables::addresses)(std::move(found[epoch].addresses));
    epochs_[epoch].prefixes = decltype(Tables::prefixes)(std::move(found[epoch].prefixes));
    epochs_[epoch].peers = decltype(Tables::peers)(std::move(found[epoch].peers));
    epochs_[epoch].ports = decltype(Tables::ports)(std::move(found[epoch].ports));
    epochs_[epoch].process_verdicts = decltype(Tables::process_verdicts)(std::move(found[epoch].process_verdicts));
    epochs_[epoch].patterns = classes_->patterns(epoch);
    epoch_known_[epoch] = true;
  }
  NoteUsage();
  return OkStatus();
}

void PolicyEpochs::NoteUsage() {
  Usage usage;
  for (const Tables& epoch : epochs_) {
    usage.addresses += epoch.addresses.size();
    usage.prefixes += epoch.prefixes.size();
    usage.peers += epoch.peers.size();
    usage.ports += epoch.ports.size();
    usage.process_verdicts += epoch.process_verdicts.size();
  }
  std::vector<std::uint32_t>& endpoints = usage.endpoints;
  std::map<std::uint32_t, std::uint32_t> in_force_at;
  for (const auto& [address, value] : epochs_[in_force()].addresses) {
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

PolicyEpochs::Usage PolicyEpochs::usage() const {
  const std::lock_guard lock(usage_mutex_);
  return usage_;
}

std::map<std::uint32_t, std::uint32_t> PolicyEpochs::endpoints_in_force() const {
  const std::lock_guard lock(usage_mutex_);
  return endpoints_in_force_;
}

std::uint64_t PolicyEpochs::generation() const { return generation_; }

void PolicyEpochs::Distrust() {
  const std::lock_guard lock(mutex_);
  for (bool& known : epoch_known_) known = false;
}

// Makes the epoch equal to `tables`, whatever it holds.
Status PolicyEpochs::Make(std::uint32_t epoch, const Tables& tables) {
  if (!epoch_known_[epoch]) SL_RETURN_IF_ERROR(Erase(epoch));
  epoch_known_[epoch] = false;  // until it equals `tables`
  SL_RETURN_IF_ERROR(Edit(epoch, tables));
  epochs_[epoch] = tables;
  epoch_known_[epoch] = true;
  return OkStatus();
}

Status PolicyEpochs::Edit(std::uint32_t epoch, const Tables& tables) {
  const policy::Plan plan = policy::Diff(epochs_[epoch], tables);
  std::vector<sl_prefix_key> gone, new_prefixes;
  for (const Prefix& prefix : plan.prefixes.deletes) gone.push_back(PrefixKey(prefix, epoch));
  SL_RETURN_IF_ERROR(prefixes_.DeleteAll(gone));
  if (!tables.ports.empty() && tables.ports.entries().back().first >= options_.epoch_ports)
    return MakeError(absl::StatusCode::kResourceExhausted, "map ports is full ({} entries)", options_.epoch_ports);
  if (!plan.ports.puts.empty() || !plan.ports.deletes.empty()) {
    SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_EPOCHS * options_.epoch_ports));
    const std::uint32_t first = epoch * options_.epoch_ports;
    for (const auto index : plan.ports.deletes) ports[first + index] = {};
    for (const auto& [index, entry] : plan.ports.puts) ports[first + index] = entry;
  }
  SL_RETURN_IF_ERROR(classes_->SetPatterns(epoch, tables.patterns));
  for (const auto index : plan.process_verdicts.deletes)
    SL_RETURN_IF_ERROR(process_verdicts_.Put(epoch * SL_MAX_PROCESS_VERDICTS + index, {}));
  for (const auto& [index, process_verdict] : plan.process_verdicts.puts)
    SL_RETURN_IF_ERROR(process_verdicts_.Put(epoch * SL_MAX_PROCESS_VERDICTS + index, process_verdict));
  SL_RETURN_IF_ERROR(peers_.Edit(epoch, plan.peers));
  SL_RETURN_IF_ERROR(addresses_.Edit(epoch, plan.addresses));
  std::vector<sl_prefix_value> values;
  for (const auto& [prefix, value] : plan.prefixes.puts) {
    new_prefixes.push_back(PrefixKey(prefix, epoch));
    values.push_back(value);
  }
  return prefixes_.PutAll(new_prefixes, values);
}

// Clears an epoch that is not in force and whose contents are not known.
Status PolicyEpochs::Erase(std::uint32_t epoch) {
  epoch_known_[epoch] = false;
  SL_RETURN_IF_ERROR(addresses_.Erase(epoch));
  SL_RETURN_IF_ERROR(peers_.Erase(epoch));
  std::vector<sl_prefix_key> keys;
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value&) {
    if (ntohl(key.epoch) == epoch) keys.push_back(key);
  }));
  SL_RETURN_IF_ERROR(prefixes_.DeleteAll(keys));
  {
    SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_EPOCHS * options_.epoch_ports));
    for (std::uint32_t i = 0; i < options_.epoch_ports; ++i) ports[epoch * options_.epoch_ports + i] = {};
  }
  std::vector<__u32> process_verdicts;
  for (__u32 i = 0; i < SL_MAX_PROCESS_VERDICTS; ++i) process_verdicts.push_back(epoch * SL_MAX_PROCESS_VERDICTS + i);
  SL_RETURN_IF_ERROR(
      process_verdicts_.PutAll(process_verdicts, std::vector<sl_process_verdict>(process_verdicts.size())));
  classes_->Distrust(epoch);
  epochs_[epoch] = {};
  epoch_known_[epoch] = true;
  return OkStatus();
}

// The change takes effect here: this cannot fail, and must not be reported as refused.
void PolicyEpochs::Switch(std::uint64_t generation) {
  generation_ = generation;
  std::atomic_ref<std::uint64_t>(*stored_).store(generation, std::memory_order_release);
  NoteUsage();
  if (const Status status = packet_programs_.WaitForRunning(); !status.ok()) {
    LogError("generation {} is in force, but waiting for the last packets of the previous one failed: {}", generation,
             Message(status));
    std::this_thread::sleep_for(kLongEnough);
  }
}

Status PolicyEpochs::Commit(const Tables& tables) {
  const std::lock_guard lock(mutex_);
  FollowStored();
  const std::uint64_t next = generation() + 1;
  SL_RETURN_IF_ERROR(Make(next % SL_EPOCHS, tables));
  Switch(next);
  committed_ = true;
  return OkStatus();
}

Status PolicyEpochs::Settle() {
  const std::lock_guard lock(mutex_);
  if (!committed_) return OkStatus();
  FollowStored();
  const std::uint32_t other = (in_force() + 1) % SL_EPOCHS;
  if (epoch_known_[other] && policy::Diff(epochs_[other], epochs_[in_force()]).empty()) return OkStatus();
  SL_RETURN_IF_ERROR(Make(other, epochs_[in_force()]));
  NoteUsage();
  return OkStatus();
}

StatusOr<bool> PolicyEpochs::RepairGeneration() {
  const std::lock_guard lock(mutex_);
  FollowStored();
  return std::exchange(was_moved_, false);
}

// To call before using the number: it may have been changed by others since the last check.
void PolicyEpochs::FollowStored() {
  const std::uint64_t found = std::atomic_ref<std::uint64_t>(*stored_).load(std::memory_order_acquire);
  if (found == generation()) return;
  LogError("the generation in the kernel was {}, not {}: putting the same policy in force under a higher one", found,
           generation());
  was_moved_ = true;
  PutAbove(found);
}

void PolicyEpochs::Pass(std::uint64_t decided) {
  const std::lock_guard lock(mutex_);
  if (decided <= generation()) return;
  LogError("the generation in the kernel is {}, but flows were decided under {}: putting a higher one in force",
           generation(), decided);
  PutAbove(decided);
}

// Puts the same policy in force under a number that is also above `other`: else flows that were decided under `other`
// would not be decided again.
void PolicyEpochs::PutAbove(std::uint64_t other) {
  std::uint64_t next = std::max(other, generation()) + 1;
  if (next % SL_EPOCHS != in_force()) ++next;
  Switch(next);
}

StatusOr<bool> PolicyEpochs::Holds(std::uint32_t epoch) const {
  const Tables& expected = epochs_[epoch];
  SL_ASSIGN_OR_RETURN(bool holds, addresses_.Holds(epoch, expected.addresses));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, peers_.Holds(epoch, expected.peers));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsPorts(epoch));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsPrefixes(epoch));
  if (!holds) return false;
  SL_ASSIGN_OR_RETURN(holds, HoldsProcessVerdicts(epoch));
  if (!holds) return false;
  return classes_->HoldsPatterns(epoch);
}

StatusOr<bool> PolicyEpochs::HoldsPrefixes(std::uint32_t epoch) const {
  std::size_t found = 0;
  bool same = true;
  SL_RETURN_IF_ERROR(prefixes_.ForEach([&](const sl_prefix_key& key, const sl_prefix_value& value) {
    if (ntohl(key.epoch) != epoch) return;
    const auto expected = epochs_[epoch].prefixes.find(PrefixOf(key));
    same = same && expected != epochs_[epoch].prefixes.end() && Same(expected->second, value);
    ++found;
  }));
  return same && found == epochs_[epoch].prefixes.size();
}

StatusOr<bool> PolicyEpochs::HoldsPorts(std::uint32_t epoch) const {
  SL_ASSIGN_OR_RETURN(const PortMemory ports, PortMemory::Map(ports_.fd(), SL_EPOCHS * options_.epoch_ports));
  auto expected = epochs_[epoch].ports.begin();
  for (std::uint32_t i = 0; i < options_.epoch_ports; ++i) {
    const sl_port_entry& entry = ports[epoch * options_.epoch_ports + i];
    const bool is_expected = expected != epochs_[epoch].ports.end() && expected->first == i;
    if (is_expected ? !Same(expected->second, entry) : IsUsed(entry)) return false;
    if (is_expected) ++expected;
  }
  return expected == epochs_[epoch].ports.end();
}

StatusOr<bool> PolicyEpochs::HoldsProcessVerdicts(std::uint32_t epoch) const {
  std::size_t found = 0;
  bool same = true;
  SL_RETURN_IF_ERROR(process_verdicts_.ForEachBatch([&](const __u32& key, const sl_process_verdict& process_verdict) {
    if (key / SL_MAX_PROCESS_VERDICTS != epoch || process_verdict.count == 0) return;
    const auto expected = epochs_[epoch].process_verdicts.find(key % SL_MAX_PROCESS_VERDICTS);
    same = same && expected != epochs_[epoch].process_verdicts.end() && Same(expected->second, process_verdict);
    ++found;
  }));
  return same && found == epochs_[epoch].process_verdicts.size();
}

// The epoch in force is not edited: the other one is put in force first, and then this one is rewritten.
StatusOr<bool> PolicyEpochs::RepairTables() {
  const std::lock_guard lock(mutex_);
  if (!committed_) return false;
  FollowStored();
  const std::uint32_t current = in_force(), other = (current + 1) % SL_EPOCHS;
  const Tables tables = epochs_[current];
  SL_ASSIGN_OR_RETURN(const bool other_holds, Holds(other));
  SL_ASSIGN_OR_RETURN(const bool current_holds, Holds(current));
  if (other_holds && current_holds) return false;
  if (!other_holds) epoch_known_[other] = false;
  SL_RETURN_IF_ERROR(Make(other, tables));
  if (!current_holds) {
    Switch(generation() + 1);
    epoch_known_[current] = false;
    SL_RETURN_IF_ERROR(Make(current, tables));
  }
  LogError("the policy tables in the kernel were changed by others ({}): restored, generation {}",
           current_holds ? "those not in force" : "those in force", generation());
  NoteUsage();
  return true;
}

}  // namespace sluice::datapath
