// The settings for all packets (bpf/abi/events.h): flags, uplinks, and the hash tables' seeds. Repair restores changes
// by others. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <set>
#include <span>
#include <string>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"

namespace sluice::datapath {

// sl_settings.hash_seeds.
using HashSeeds = std::span<const __u64, SL_HASH_SEEDS>;

// The uplink with its MAC, by which the packet path recognises frames that are addressed to this node as a router.
StatusOr<sl_uplink> DescribedUplink(const std::string& interface, std::uint32_t ifindex);

class Settings {
 public:
  // `object` owns the map and must outlive this.
  Status Bind(const bpf::DatapathObject& object);

  // If the maps are new, draws the seeds of the hash tables and sets defaults. Returns the settings. Once, before the
  // methods below.
  StatusOr<sl_settings> ReadWithSeeds();
  bool drew_seeds() const { return drew_seeds_; }
  Status SetFlags(std::uint32_t flags);  // SL_SETTING_*, except HOST_TRACKS_TCP and CAPTURE
  Status SetHostTracksTcp(bool on);
  Status SetCaptured(const std::set<std::uint32_t>& endpoints);  // SL_SETTING_CAPTURE, and whose packets are recorded
  Status SetPathFresh(std::chrono::nanoseconds fresh);           // as sl_settings.path_fresh
  Status PutUplink(const sl_uplink& uplink);   // ResourceExhausted: there are SL_MAX_UPLINKS other ones
  Status DeleteUplink(std::uint32_t ifindex);  // OK if there is none

  // Writes the settings again if the kernel has others; returns whether it had since the last call.
  StatusOr<bool> Repair();

 private:
  Status Change(const std::function<Status(sl_settings&)>& change);
  Status LookForDamage();

  std::mutex mutex_;
  bpf::Map<__u32, sl_settings> map_;
  sl_settings settings_{};  // what the kernel should have
  bool drew_seeds_ = false;
  bool damaged_ = false;  // others changed them, and Repair has not said so yet
};

}  // namespace sluice::datapath
