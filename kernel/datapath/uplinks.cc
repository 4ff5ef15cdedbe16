#include "kernel/datapath/uplinks.h"

#include <fmt/format.h>
#include <net/if.h>

#include <cerrno>
#include <cstdint>
#include <set>

namespace sluice::datapath {

StatusOr<XdpMode> Uplinks::Attach(const std::string& interface) {
  const std::uint32_t ifindex = if_nametoindex(interface.c_str());
  if (ifindex == 0) return ErrnoError(errno, "uplink {}", interface);
  const std::string what = fmt::format("uplink {}", interface);
  SL_ASSIGN_OR_RETURN(const sl_uplink uplink, DescribedUplink(interface, ifindex));
  SL_RETURN_IF_ERROR(Annotate(settings_->PutUplink(uplink), what));
  const auto mode = attachments_->Attach("xdp_uplink", ifindex, interface);
  if (!mode.ok()) {
    settings_->DeleteUplink(ifindex).IgnoreError();
    return Annotate(mode.status(), what);
  }
  return *mode == "xdp native" ? XdpMode::kNative : XdpMode::kGeneric;
}

Status Uplinks::ReleaseOthers(const std::vector<std::string>& interfaces) {
  std::set<std::uint32_t> there;
  for (const std::string& interface : interfaces) {
    const std::uint32_t ifindex = if_nametoindex(interface.c_str());
    // Only ENODEV means that there is none; after other errors the card may exist.
    if (ifindex == 0 && errno != ENODEV) return ErrnoError(errno, "uplink {}", interface);
    there.insert(ifindex);
  }
  for (const AttachedProgram& what : attachments_->all()) {
    if (what.program != "xdp_uplink" || there.contains(what.ifindex)) continue;
    SL_RETURN_IF_ERROR(attachments_->Detach(what.program, what.ifindex));
    SL_RETURN_IF_ERROR(settings_->DeleteUplink(what.ifindex));
  }
  return OkStatus();
}

}  // namespace sluice::datapath
