#include "kernel/datapath/quarantine_maps.h"

#include <algorithm>

#include "base/log.h"
#include "kernel/datapath/bind_map.h"
#include "kernel/datapath/mapped_prefix.h"

namespace sluice::datapath {
namespace {

using policy::Prefix;

sl_quarantine_peer PeerOf(const Prefix& prefix) {
  return {static_cast<__u32>(prefix.mapped_length()), prefix.address().abi()};
}

}  // namespace

Status QuarantineMaps::Bind(const bpf::DatapathObject& object) {
  SL_RETURN_IF_ERROR(BindMap(object, "quarantine", &quarantine_));
  return BindMap(object, "quarantine_allow", &allow_);
}

Status QuarantineMaps::BindOlder(Fd quarantine) {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(const auto map, decltype(quarantine_)::Bind(quarantine.get(), "quarantine of an older version"));
  older_.emplace_back(std::move(quarantine), map);
  return OkStatus();
}

void QuarantineMaps::ReleaseOlder() {
  const std::lock_guard lock(mutex_);
  older_.clear();
}

Status QuarantineMaps::Put(std::uint32_t endpoint, __u32 word) const {
  Status put = quarantine_.Put(endpoint, word);
  for (const auto& [fd, map] : older_) put.Update(map.Put(endpoint, word));
  return put;
}

Status QuarantineMaps::Set(std::uint32_t endpoint, bool on) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(Put(endpoint, on ? SL_QUARANTINE_AGENT : SL_QUARANTINE_NONE));
  if (on) {
    quarantined_.insert(endpoint);
  } else {
    quarantined_.erase(endpoint);
  }
  return OkStatus();
}

Status QuarantineMaps::SetAllow(const std::vector<Prefix>& peers) {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(MakeAllow(peers).status());
  allowed_ = peers;
  allow_set_ = true;
  return OkStatus();
}

// New peers first: a peer that stays on the list is never off it.
StatusOr<int> QuarantineMaps::MakeAllow(const std::vector<Prefix>& peers) {
  SL_ASSIGN_OR_RETURN(const QuarantineState before, Read());
  int changed = 0;
  for (const Prefix& peer : peers) {
    const __u32 version = peer.is_v4() ? 4 : 6;
    SL_ASSIGN_OR_RETURN(const auto there, allow_.Get(PeerOf(peer)));
    const bool is_there = std::ranges::find(before.allow, peer) != before.allow.end();
    if (is_there && there == version) continue;
    SL_RETURN_IF_ERROR(allow_.Put(PeerOf(peer), version));
    ++changed;
  }
  for (const Prefix& peer : before.allow) {
    if (std::ranges::find(peers, peer) != peers.end()) continue;
    SL_RETURN_IF_ERROR(allow_.Delete(PeerOf(peer)));
    ++changed;
  }
  return changed;
}

StatusOr<QuarantineState> QuarantineMaps::Read() const {
  QuarantineState state;
  SL_RETURN_IF_ERROR(quarantine_.ForEachBatch([&state](const __u32& endpoint, const __u32& value) {
    if (value != SL_QUARANTINE_NONE) state.endpoints.insert(endpoint);
  }));
  SL_RETURN_IF_ERROR(allow_.ForEach([&state](const sl_quarantine_peer& key, const __u32&) {
    state.allow.push_back(MappedPrefix(key.addr, static_cast<int>(key.prefixlen)));
  }));
  std::ranges::sort(state.allow);
  return state;
}

StatusOr<int> QuarantineMaps::Repair() {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(const QuarantineState now, Read());
  int repaired = 0;
  for (const std::uint32_t endpoint : quarantined_) {
    if (now.endpoints.contains(endpoint)) continue;
    SL_RETURN_IF_ERROR(Put(endpoint, SL_QUARANTINE_AGENT));
    ++repaired;
  }
  if (allow_set_) {
    SL_ASSIGN_OR_RETURN(const int changed, MakeAllow(allowed_));
    repaired += changed;
  }
  if (repaired != 0) LogError("{} entries of quarantine were changed by others: restored", repaired);
  return repaired;
}

}  // namespace sluice::datapath
