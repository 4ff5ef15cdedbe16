#include "ctrl/reconcile/node.h"

#include <net/if.h>

#include <algorithm>
#include <cerrno>

#include "kernel/net/netlink.h"
#include "kernel/net/netns.h"

namespace sluice::reconcile {
namespace {

StatusOr<std::vector<policy::Address>> NodeAddresses() {
  SL_ASSIGN_OR_RETURN(net::Netlink here, net::Netlink::Open());
  SL_ASSIGN_OR_RETURN(const auto infos, here.DumpAddresses());
  std::vector<policy::Address> addresses;
  for (const auto& info : infos) addresses.push_back(info.address);
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// Only the kernel's "no such device" means absent; other errors, such as no file descriptors, mean nothing.
bool HasInterface(std::uint32_t ifindex) {
  char name[IF_NAMESIZE];
  return if_indextoname(ifindex, name) != nullptr || (errno != ENXIO && errno != ENODEV);
}

bool IsNamespace(const std::string& netns_path, std::uint64_t netns) {
  const auto identity = net::NetNs::IdentityOf(netns_path);
  return identity.ok() && identity->inode == netns;
}

}  // namespace

Node Node::Real(const net::SocketIn& socket_in) {
  return {[socket_in](const policy::Workload& workload) { return node::Bind(socket_in, workload); },
          NodeAddresses,
          HasInterface,
          IsNamespace,
          [socket_in](const std::vector<const policy::Workload*>& workloads) {
            return node::FindHostEnds(socket_in, workloads);
          },
          node::AllHostEnds};
}

}  // namespace sluice::reconcile
