#include "kernel/net/ethtool.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cerrno>

namespace sluice::net {

StatusOr<bool> IsGroOn(const Netlink& netlink, const std::string& interface) {
  ethtool_value gro{.cmd = ETHTOOL_GGRO, .data = 0};
  ifreq request{};
  if (interface.size() >= sizeof(request.ifr_name)) return InvalidError("interface name {}: too long", interface);
  interface.copy(request.ifr_name, sizeof(request.ifr_name) - 1);
  request.ifr_data = reinterpret_cast<char*>(&gro);
  if (::ioctl(netlink.fd(), SIOCETHTOOL, &request) < 0)
    return ErrnoError(errno, "read the GRO setting of {}", interface);
  return gro.data != 0;
}

}  // namespace sluice::net
