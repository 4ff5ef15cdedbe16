#include "kernel/datapath/settings.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/log.h"

namespace sluice::datapath {

namespace {

// Flags that have a method of their own.
constexpr __u32 kCaptureFlags = SL_SETTING_CAPTURE | SL_SETTING_CAPTURED_ANY;
constexpr __u32 kOwnFlags = SL_SETTING_HOST_TRACKS_TCP | kCaptureFlags;

}  // namespace

StatusOr<sl_uplink> DescribedUplink(const std::string& interface, std::uint32_t ifindex) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  if (!socket.valid() || ioctl(socket.get(), SIOCGIFHWADDR, &request) != 0)
    return ErrnoError(errno, "read the MAC address of {}", interface);
  sl_uplink uplink{.ifindex = ifindex};
  std::memcpy(uplink.mac, request.ifr_hwaddr.sa_data, sizeof(uplink.mac));
  return uplink;
}

Status Settings::Bind(const bpf::DatapathObject& object) {
  SL_ASSIGN_OR_RETURN(map_, decltype(map_)::Bind(object.map_fd("settings"), "settings"));
  return OkStatus();
}

Status Settings::Change(const std::function<Status(sl_settings&)>& change) {
  const std::lock_guard lock(mutex_);
  sl_settings settings = settings_;
  SL_RETURN_IF_ERROR(change(settings));
  if (std::memcmp(&settings, &settings_, sizeof(settings)) == 0) return OkStatus();
  SL_RETURN_IF_ERROR(LookForDamage());  // the write repairs it
  SL_RETURN_IF_ERROR(map_.Put(0, settings));
  settings_ = settings;
  return OkStatus();
}

StatusOr<sl_settings> Settings::ReadWithSeeds() {
  const std::lock_guard lock(mutex_);
  SL_ASSIGN_OR_RETURN(const auto found, map_.Get(0));
  sl_settings settings = found.value_or(sl_settings{});
  if (settings.path_fresh == 0) settings.path_fresh = SL_PATH_FRESH;
  while (settings.hash_seeds[0] == 0) {  // the maps are new
    drew_seeds_ = true;
    if (getrandom(settings.hash_seeds, sizeof(settings.hash_seeds), 0) < 0)
      return ErrnoError(errno, "draw the seeds of the hash tables");
  }
  SL_RETURN_IF_ERROR(map_.Put(0, settings));
  settings_ = settings;
  return settings;
}

StatusOr<bool> Settings::Repair() {
  const std::lock_guard lock(mutex_);
  SL_RETURN_IF_ERROR(LookForDamage());
  if (!damaged_) return false;
  SL_RETURN_IF_ERROR(map_.Put(0, settings_));
  damaged_ = false;
  LogError("the settings in the kernel were changed by others: restored");
  return true;
}

Status Settings::LookForDamage() {
  SL_ASSIGN_OR_RETURN(const auto found, map_.Get(0));
  if (!found || std::memcmp(&*found, &settings_, sizeof(settings_)) != 0) damaged_ = true;
  return OkStatus();
}

Status Settings::SetFlags(std::uint32_t flags) {
  return Change([&](sl_settings& settings) {
    settings.flags = flags | (settings.flags & kOwnFlags);
    return OkStatus();
  });
}

Status Settings::SetHostTracksTcp(bool on) {
  return Change([&](sl_settings& settings) {
    settings.flags &= ~static_cast<__u32>(SL_SETTING_HOST_TRACKS_TCP);
    if (on) settings.flags |= SL_SETTING_HOST_TRACKS_TCP;
    return OkStatus();
  });
}

Status Settings::SetCaptured(const std::set<std::uint32_t>& endpoints) {
  __u32 captured = endpoints.empty() ? 0 : SL_SETTING_CAPTURE;
  for (const std::uint32_t endpoint : endpoints) captured |= SL_SETTING_CAPTURED(endpoint);
  return Change([&](sl_settings& settings) {
    settings.flags = (settings.flags & ~kCaptureFlags) | captured;
    return OkStatus();
  });
}

Status Settings::SetPathFresh(std::chrono::nanoseconds fresh) {
  return Change([&](sl_settings& settings) {
    settings.path_fresh = static_cast<__u32>(fresh.count() >> SL_TICK_SHIFT);
    return OkStatus();
  });
}

Status Settings::PutUplink(const sl_uplink& uplink) {
  return Change([&](sl_settings& settings) -> Status {
    const auto has = [&](__u32 ifindex) {
      return std::find_if(std::begin(settings.uplinks), std::end(settings.uplinks),
                          [&](const sl_uplink& one) { return one.ifindex == ifindex; });
    };
    auto* slot = has(uplink.ifindex);
    if (slot == std::end(settings.uplinks)) slot = has(0);
    if (slot == std::end(settings.uplinks))
      return MakeError(absl::StatusCode::kResourceExhausted, "at most {} uplinks are possible", SL_MAX_UPLINKS);
    *slot = uplink;
    return OkStatus();
  });
}

Status Settings::DeleteUplink(std::uint32_t ifindex) {
  return Change([&](sl_settings& settings) {
    for (sl_uplink& uplink : settings.uplinks)
      if (uplink.ifindex == ifindex) uplink = {};
    return OkStatus();
  });
}

}  // namespace sluice::datapath
