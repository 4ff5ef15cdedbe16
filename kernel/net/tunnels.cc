#include "kernel/net/tunnels.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace sluice::net {

std::vector<std::string> TunnelsOver(const std::vector<LinkInfo>& links, std::uint32_t ifindex) {
  std::set<std::uint32_t> same_wire = {0, ifindex};  // 0: bound to none
  for (const LinkInfo& link : links) {
    if (link.ifindex == ifindex) same_wire.insert(link.master);
    if (link.kind == "vlan" && link.peer == ifindex && link.link_netnsid < 0) same_wire.insert(link.ifindex);
  }
  std::vector<std::string> tunnels;
  for (const LinkInfo& link : links) {
    if ((link.kind == "vxlan" || link.kind == "geneve") && same_wire.contains(link.tunnel_over)) {
      tunnels.push_back(fmt::format("{} {}", link.kind, link.name));
    }
  }
  std::sort(tunnels.begin(), tunnels.end());
  return tunnels;
}

}  // namespace sluice::net
