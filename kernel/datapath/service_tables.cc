#include "kernel/datapath/service_tables.h"

#include <arpa/inet.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "base/log.h"
#include "kernel/bpf/system.h"
#include "kernel/datapath/bind_map.h"

namespace sluice::datapath {
namespace {

using policy::Backend;
using policy::Frontend;
using policy::ServiceEntry;
using policy::ServiceTable;

sl_service_key KeyOf(const Frontend& address) {
  return {.addr = address.address.abi(), .port = htons(address.port), .protocol = address.protocol, .pad = 0};
}

Frontend FrontendOf(const sl_service_key& key) { return {policy::Address(key.addr), ntohs(key.port), key.protocol}; }

std::string FrontendText(const Frontend& address) {
  const std::string ip = address.address.ToString();
  return address.address.is_v4() ? fmt::format("{}:{}", ip, address.port) : fmt::format("[{}]:{}", ip, address.port);
}

std::string ServiceText(const Frontend& address, const ServiceEntry& entry) {
  return fmt::format("Service {} ({})", entry.service.ToString(), FrontendText(address));
}

std::uint32_t Seconds(std::chrono::seconds time) {
  constexpr std::int64_t kMost = std::numeric_limits<std::uint32_t>::max();
  return static_cast<std::uint32_t>(std::clamp<std::int64_t>(time.count(), 0, kMost));
}

}  // namespace

Status ServiceTables::Bind(const bpf::DatapathObject& object) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(BindMap(object, "services", &services_));
  SL_RETURN_IF_ERROR(BindMap(object, "service_backends", &backends_));
  SL_RETURN_IF_ERROR(BindMap(object, "service_numbers", &numbers_));
  SL_RETURN_IF_ERROR(BindMap(object, "service_clients", &clients_));
  ranges_ = ServiceRanges(backends_.capacity());
  SL_RETURN_IF_ERROR(numbers_.ForEachBatch([this](const __u32& number, const sl_service_key& key) {
    std::uint32_t& latest = number_of_[FrontendOf(key)];
    latest = std::max(latest, number);
    names_[number] = nullptr;
    next_number_ = std::max(next_number_, number + 1);
  }));
  std::vector<std::pair<Frontend, sl_service>> found;
  SL_RETURN_IF_ERROR(services_.ForEachBatch(
      [&found](const sl_service_key& key, const sl_service& value) { found.emplace_back(FrontendOf(key), value); }));
  for (const auto& [address, value] : found) {
    next_number_ = std::max(next_number_, value.number + 1);
    number_of_[address] = value.number;
    // A range that overlaps another one was not written by an agent: the entry is written anew.
    InForce entry{.value = value, .backends = {}};
    if (ranges_.Claim(value.first, value.count)) {
      SL_ASSIGN_OR_RETURN(entry.backends, ReadRange(value.first, value.count));
    } else {
      entry.value.count = entry.value.first = 0;
      entry.value.affinity = std::numeric_limits<std::uint32_t>::max();
    }
    in_force_[address] = std::move(entry);
  }
  SL_RETURN_IF_ERROR(
      clients_.ForEachBatch([this](const __u64& cookie, const __u64& inode) { clients_in_force_[cookie] = inode; }));
  // A program may still read a range that the earlier agent dropped.
  return found.empty() ? OkStatus() : bpf::WaitForRunningPrograms();
}

StatusOr<std::vector<Backend>> ServiceTables::ReadRange(std::uint32_t first, std::uint32_t count) const {
  std::vector<Backend> backends;
  backends.reserve(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    SL_ASSIGN_OR_RETURN(const auto entry, backends_.Get(first + i));
    if (entry) backends.push_back({policy::Address(entry->addr), ntohs(entry->port)});
  }
  return backends;
}

Status ServiceTables::Set(std::shared_ptr<const ServiceTable> wanted) {
  const std::lock_guard lock(mutex_);
  Status failed = OkStatus();  // not for lack of room
  std::vector<Frontend> gone;
  for (const auto& [address, entry] : in_force_)
    if (!wanted->contains(address)) gone.push_back(address);
  for (const Frontend& address : gone) failed.Update(Remove(address));
  left_out_ = 0;
  Status full = OkStatus();  // of the first Service that does not fit
  for (const auto& [address, entry] : *wanted) {
    Status put = Put(address, entry);
    if (absl::IsResourceExhausted(put)) {
      ++left_out_;
      full.Update(Annotate(put, ServiceText(address, entry)));
      put = Remove(address);  // its old backends may be gone: the host translates it
    }
    failed.Update(Annotate(put, ServiceText(address, entry)));
  }
  SL_RETURN_IF_ERROR(failed);
  if (full.ok()) return OkStatus();
  return Status(full.code(),
                fmt::format("{}; {} addresses of Services are not translated by Sluice", Message(full), left_out_));
}

Status ServiceTables::Put(const Frontend& address, const ServiceEntry& entry) {
  const auto found = in_force_.find(address);
  InForce* const before = found == in_force_.end() ? nullptr : &found->second;
  SL_ASSIGN_OR_RETURN(const std::uint32_t number, NumberOf(address, entry));
  sl_service value{.number = number, .first = 0, .count = 0, .affinity = Seconds(entry.affinity)};
  const bool same_backends = before != nullptr && before->backends == entry.backends;
  if (same_backends) {
    value.first = before->value.first;
    value.count = before->value.count;
    if (value.number == before->value.number && value.affinity == before->value.affinity) return OkStatus();
  } else {
    SL_ASSIGN_OR_RETURN(value.first, WriteRange(entry.backends));
    value.count = static_cast<__u32>(entry.backends.size());
  }
  if (Status put = services_.Put(KeyOf(address), value); !put.ok()) {
    if (!same_backends) ranges_.Drop(value.first, value.count);
    return put;
  }
  if (before != nullptr && !same_backends) ranges_.Drop(before->value.first, before->value.count);
  in_force_[address] = {.value = value, .backends = entry.backends};
  return OkStatus();
}

Status ServiceTables::Remove(const Frontend& address) {
  const auto found = in_force_.find(address);
  if (found == in_force_.end()) return OkStatus();
  SL_RETURN_IF_ERROR(services_.Delete(KeyOf(address)));
  ranges_.Drop(found->second.value.first, found->second.value.count);
  in_force_.erase(found);
  return OkStatus();
}

// The backends are written before a Service names them.
StatusOr<std::uint32_t> ServiceTables::WriteRange(const std::vector<Backend>& backends) {
  const auto count = static_cast<std::uint32_t>(backends.size());
  constexpr std::uint32_t kMost = 1U << SL_SERVICE_SEARCH_STEPS;
  if (count > kMost)
    return MakeError(absl::StatusCode::kResourceExhausted, "{} backends are more than {}", count, kMost);
  auto first = ranges_.Take(count);
  if (!first && ranges_.has_dropped()) {
    SL_RETURN_IF_ERROR(bpf::WaitForRunningPrograms());
    ranges_.Reuse();
    first = ranges_.Take(count);
  }
  if (!first)
    return MakeError(absl::StatusCode::kResourceExhausted, "map {} has no room for {} more backends ({} of {} in use)",
                     backends_.name(), count, ranges_.used(), backends_.capacity());
  std::vector<__u32> keys(count);
  std::iota(keys.begin(), keys.end(), *first);
  std::vector<sl_service_backend> values;
  values.reserve(count);
  for (const Backend& backend : backends)
    values.push_back({.addr = backend.address.abi(), .port = htons(backend.port), .pad = {}});
  if (Status put = backends_.PutAll(keys, values); !put.ok()) {
    ranges_.Drop(*first, count);
    return put;
  }
  return *first;
}

// An address keeps its number, except when it becomes another Service's.
StatusOr<std::uint32_t> ServiceTables::NumberOf(const Frontend& address, const ServiceEntry& entry) {
  const auto known = number_of_.find(address);
  if (known != number_of_.end()) {
    const auto name = names_.find(known->second);
    const bool is_named = name != names_.end() && name->second != nullptr;
    if (is_named && name->second->service == entry.service && name->second->port_name == entry.port_name)
      return known->second;
    if (!is_named || name->second->service == entry.service) {
      names_[known->second] = std::make_shared<ServiceName>(ServiceName{entry.service, entry.port_name, address});
      return known->second;
    }
  }
  if (names_.size() >= numbers_.capacity()) SL_RETURN_IF_ERROR(MakeRoomForNumber());
  SL_RETURN_IF_ERROR(numbers_.Put(next_number_, KeyOf(address)));
  names_[next_number_] = std::make_shared<ServiceName>(ServiceName{entry.service, entry.port_name, address});
  number_of_[address] = next_number_;
  return next_number_++;
}

// Forgets the oldest number that no Service has. The highest one stays, as the next start counts on from it.
Status ServiceTables::MakeRoomForNumber() {
  for (auto name = names_.begin(); name != names_.end() && name->first + 1 != next_number_; ++name) {
    SL_ASSIGN_OR_RETURN(const auto key, numbers_.Get(name->first));
    const auto in_force = key ? in_force_.find(FrontendOf(*key)) : in_force_.end();
    if (in_force != in_force_.end() && in_force->second.value.number == name->first) continue;
    SL_RETURN_IF_ERROR(numbers_.Delete(name->first));
    if (key) {
      const auto latest = number_of_.find(FrontendOf(*key));
      if (latest != number_of_.end() && latest->second == name->first) number_of_.erase(latest);
    }
    names_.erase(name);
    return OkStatus();
  }
  return MakeError(absl::StatusCode::kResourceExhausted, "map {} is full ({} entries)", numbers_.name(),
                   numbers_.capacity());
}

// New ones first.
Status ServiceTables::SetClients(const std::map<std::uint64_t, std::uint64_t>& clients) {
  const std::lock_guard lock(mutex_);
  Status set = OkStatus();
  for (const auto& [cookie, inode] : clients) {
    const auto known = clients_in_force_.find(cookie);
    if (cookie == 0 || (known != clients_in_force_.end() && known->second == inode)) continue;
    const Status put = clients_.Put(cookie, inode);
    set.Update(put);
    if (put.ok()) clients_in_force_[cookie] = inode;
  }
  for (auto known = clients_in_force_.begin(); known != clients_in_force_.end();) {
    if (clients.contains(known->first)) {
      ++known;
      continue;
    }
    SL_RETURN_IF_ERROR(clients_.Delete(known->first));
    known = clients_in_force_.erase(known);
  }
  return set;
}

std::shared_ptr<const ServiceName> ServiceTables::Find(std::uint32_t number) const {
  const std::lock_guard lock(mutex_);
  const auto found = names_.find(number);
  return found == names_.end() ? nullptr : found->second;
}

std::vector<MapUsage> ServiceTables::usage() const {
  const std::lock_guard lock(mutex_);
  return {{"services", in_force_.size(), services_.capacity(), left_out_},
          {"service_backends", ranges_.used(), backends_.capacity()},
          {"service_numbers", names_.size(), numbers_.capacity()},
          {"service_clients", clients_in_force_.size(), clients_.capacity()}};
}

}  // namespace sluice::datapath
