// What holds for every packet (bpf/abi/events.h): flags, the cards where xdp/uplink is attached, the hash tables'
// seeds. What was set holds, whatever somebody else writes there. Thread-safe.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "base/status.h"
#include "bpf/abi/events.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"

namespace sluice::datapath {

// sl_settings.hash_seeds.
using HashSeeds = std::span<const __u64, SL_HASH_SEEDS>;

// With the MAC by which the packet path tells frames for this router from others.
StatusOr<sl_uplink> DescribedUplink(const std::string& interface, std::uint32_t ifindex);

class Settings {
 public:
  // `object` has the map and outlives this.
  Status Bind(const bpf::DatapathObject& object);

  // Where the maps are new, draws the seeds of the hash tables and sets what has a default. Returns what holds. Once,
  // before all that follows.
  StatusOr<sl_settings> ReadWithSeeds();
  bool drew_seeds() const { return drew_seeds_; }
  Status SetFlags(std::uint32_t flags);  // SL_SETTING_*, but for HOST_TRACKS_TCP
  Status SetHostTracksTcp(bool on);
  Status SetPathFresh(std::chrono::nanoseconds fresh);  // as sl_settings.path_fresh
  Status PutUplink(const sl_uplink& uplink);            // ResourceExhausted: there are SL_MAX_UPLINKS others
  Status DeleteUplink(std::uint32_t ifindex);           // also one that is not there

  // Writes them again where the kernel has others; returns whether it had.
  StatusOr<bool> Repair();

 private:
  Status Change(const std::function<Status(sl_settings&)>& change);

  std::mutex mutex_;
  bpf::Map<__u32, sl_settings> map_;
  sl_settings settings_{};  // what the kernel should have
  bool drew_seeds_ = false;
};

}  // namespace sluice::datapath
