#include "ctrl/node/binder.h"

#include <linux/if_addr.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>

#include "kernel/bpf/clsact.h"
#include "kernel/net/ethtool.h"
#include "kernel/net/netlink.h"
#include "kernel/net/netns.h"

namespace sluice::node {
namespace {

using net::LinkInfo;
using net::Netlink;
using policy::Address;

template <typename... Args>
Status Unusable(fmt::format_string<Args...> format, Args&&... args) {
  return Status(absl::StatusCode::kFailedPrecondition, fmt::format(format, std::forward<Args>(args)...));
}

// The end of the veth inside the workload's namespace.
struct PodEnd {
  LinkInfo link;
  std::vector<Address> ips;
  std::optional<Address> link_local, link_local4;
  std::uint64_t netns_cookie = 0;
  bool takes_frames = false;
};

bool IsLinkLocal(const Address& address) {
  const auto& bytes = address.bytes();
  return address.is_v4() ? bytes[12] == 169 && bytes[13] == 254 : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

// RFC 4291, appendix A: the address that the kernel derives from the MAC by default.
Address LinkLocalOf(const net::MacAddress& mac) {
  return Address(std::array<std::uint8_t, 16>{0xfe, 0x80, 0, 0, 0, 0, 0, 0, static_cast<std::uint8_t>(mac[0] ^ 2),
                                              mac[1], mac[2], 0xff, 0xfe, mac[3], mac[4], mac[5]});
}

// Sets the interface's addresses: `ips`, and a link-local one of each family, if there is one.
Status FindAddresses(Netlink& inside, PodEnd* pod) {
  SL_ASSIGN_OR_RETURN(const std::vector<net::AddressInfo> addresses, inside.DumpAddresses());
  const Address usual = LinkLocalOf(pod->link.mac);
  for (const net::AddressInfo& info : addresses) {
    if (info.ifindex != pod->link.ifindex || (info.flags & IFA_F_DADFAILED) != 0) continue;
    if (IsLinkLocal(info.address)) {
      auto& own = info.address.is_v4() ? pod->link_local4 : pod->link_local;
      if (!own || info.address == usual) own = info.address;
    } else if (info.scope == RT_SCOPE_UNIVERSE) {
      pod->ips.push_back(info.address);
    }
  }
  std::sort(pod->ips.begin(), pod->ips.end());
  pod->ips.erase(std::unique(pod->ips.begin(), pod->ips.end()), pod->ips.end());
  return OkStatus();
}

StatusOr<Netlink> OpenIn(const net::NetNs& netns, const net::SocketIn& socket_in) {
  SL_ASSIGN_OR_RETURN(Fd socket, socket_in(netns.fd()));
  return Netlink::Use(std::move(socket));
}

StatusOr<PodEnd> LookInside(const net::NetNs& netns, const net::SocketIn& socket_in, const policy::Workload& workload) {
  SL_ASSIGN_OR_RETURN(Netlink inside, OpenIn(netns, socket_in));
  PodEnd pod;
  SL_ASSIGN_OR_RETURN(pod.netns_cookie, net::NetNsCookie(inside.fd()));
  SL_ASSIGN_OR_RETURN(pod.link, inside.GetLink(workload.interface));
  if (pod.link.kind != "veth") {
    return Unusable("interface {} is not a veth but {}", workload.interface,
                    pod.link.kind.empty() ? "a device of another kind" : pod.link.kind);
  }
  SL_RETURN_IF_ERROR(FindAddresses(inside, &pod));
  if (!workload.ips.empty()) pod.ips = workload.ips;
  if (pod.ips.empty()) {
    return Unusable("interface {} has no global address; give it one, or set spec.ips", workload.interface);
  }
  SL_ASSIGN_OR_RETURN(const bool gro, net::IsGroOn(inside, workload.interface));
  pod.takes_frames = gro || pod.link.native_xdp;
  return pod;
}

// The other end of `pod`'s veth, which must be in this namespace. Interface numbers alone prove nothing: each namespace
// has its own.
StatusOr<LinkInfo> FindHostEnd(Netlink& here, const net::NetNs& netns, const LinkInfo& pod) {
  StatusOr<LinkInfo> host = here.GetLink(pod.peer);
  if (!host.ok() && !absl::IsNotFound(host.status())) return host.status();
  SL_ASSIGN_OR_RETURN(const std::int32_t id, here.NetNsId(netns.fd()));
  const bool is_ours =
      host.ok() && host->kind == "veth" && host->peer == pod.ifindex && id >= 0 && host->link_netnsid == id;
  if (!is_ours) {
    return Unusable("the other end of interface {} (ifindex {}) is not in the agent's network namespace", pod.name,
                    pod.peer);
  }
  return host;
}

// The bridge that `host` is a plain port of; 0: none.
StatusOr<std::uint32_t> PlainBridge(Netlink& here, const LinkInfo& host) {
  if (!host.bridge_port || !host.bridge_port->forwarding) return 0U;
  if (host.bridge_port->isolated || host.bridge_port->locked) return 0U;
  SL_ASSIGN_OR_RETURN(const LinkInfo bridge, here.GetLink(host.master));
  return bridge.up && !bridge.vlan_filtering ? bridge.ifindex : 0U;
}

// What else handles packets at the host end (enum sl_interface_others), except TCX programs.
std::uint8_t OthersAt(Netlink& here, const LinkInfo& host) {
  std::uint8_t others = 0;
  if (!host.qdisc.empty() && host.qdisc != "noqueue" && host.qdisc != "noop") others |= SL_OTHERS_RECEIVED;
  for (const auto& [side, bit] :
       {std::pair(net::TcSide::kIngress, SL_OTHERS_SENT), std::pair(net::TcSide::kEgress, SL_OTHERS_RECEIVED)}) {
    const auto filters = here.DumpTcFilters(host.ifindex, side);
    if (!filters.ok()) {  // the host path is the safe one
      others |= bit;
      continue;
    }
    for (const net::TcFilter& filter : *filters) {
      if (filter.kind != "bpf" || filter.handle != bpf::kTcHandle || filter.priority != bpf::kTcPriority) others |= bit;
    }
  }
  return others;
}

constexpr int kMaxLevels = 8;  // of stacked devices; the kernel allows no more

// The link, the bridge that it is in, and so on, up to a VRF.
StatusOr<std::vector<LinkInfo>> WithMasters(Netlink& here, const LinkInfo& link) {
  std::vector<LinkInfo> links{link};
  while (links.back().master != 0 && links.size() < kMaxLevels) {
    SL_ASSIGN_OR_RETURN(LinkInfo master, here.GetLink(links.back().master));
    links.push_back(std::move(master));
  }
  return links;
}

// Whether what `device` receives comes from one of `links`: it is one of them, or a VLAN or similar device on one. A
// veth whose other end is a port of a bridge is not followed: all that the host sends there comes from that port,
// whatever its source.
StatusOr<bool> StandsOn(Netlink& here, const std::vector<LinkInfo>& links, LinkInfo device) {
  static constexpr std::array kOnOthers = {"vlan", "macvlan", "ipvlan", "macsec"};
  for (int levels = 0; levels < kMaxLevels; ++levels) {
    if (std::ranges::find(links, device.ifindex, &LinkInfo::ifindex) != links.end()) return true;
    const bool is_on_other =
        device.peer != 0 && device.link_netnsid < 0 && std::ranges::find(kOnOthers, device.kind) != kOnOthers.end();
    if (!is_on_other) return false;
    SL_ASSIGN_OR_RETURN(device, here.GetLink(device.peer));
  }
  return false;
}

// The device through which the host sends to `ip`, or its VRF, if the device is one of `links` or on one; else 0.
StatusOr<std::uint32_t> RoutedBy(Netlink& here, const std::vector<LinkInfo>& links, const Address& ip,
                                 std::uint32_t vrf) {
  SL_ASSIGN_OR_RETURN(const std::uint32_t ifindex, here.RouteTo(ip, vrf));
  if (ifindex == 0) return 0U;
  SL_ASSIGN_OR_RETURN(const LinkInfo device, here.GetLink(ifindex));
  SL_ASSIGN_OR_RETURN(const bool stands_on, StandsOn(here, links, device));
  if (!stands_on) return 0U;
  SL_ASSIGN_OR_RETURN(const std::vector<LinkInfo> masters, WithMasters(here, device));
  return masters.back().ifindex;
}

// The same for the first of `ips` that has one.
StatusOr<std::uint32_t> RoutedBy(Netlink& here, const std::vector<LinkInfo>& links, const std::vector<Address>& ips,
                                 std::uint32_t vrf) {
  for (const Address& ip : ips) {
    StatusOr<std::uint32_t> device = RoutedBy(here, links, ip, vrf);
    if (absl::IsNotFound(device.status())) continue;  // deleted meanwhile
    if (!device.ok() || *device != 0) return device;
  }
  return 0U;
}

// The input device that the host sees when it routes the workload's packets: the device through which the host sends to
// it. Without such a route, the bridge or VRF that the host end is in, or the bridge's VRF. 0: the host end itself.
StatusOr<std::uint32_t> RoutingMaster(Netlink& here, const LinkInfo& host, const std::vector<Address>& ips) {
  SL_ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, WithMasters(here, host));
  SL_ASSIGN_OR_RETURN(std::uint32_t master, RoutedBy(here, links, ips, 0));
  if (master == 0 && links.back().kind != "vrf") {
    SL_ASSIGN_OR_RETURN(const std::vector<LinkInfo> vrfs, here.DumpVrfs());
    for (const LinkInfo& vrf : vrfs) {
      SL_ASSIGN_OR_RETURN(master, RoutedBy(here, links, ips, vrf.ifindex));
      if (master != 0) break;
    }
  }
  if (master == 0) master = links.back().ifindex;
  return master == host.ifindex ? 0U : master;
}

StatusOr<BoundWorkload> Describe(Netlink& here, const policy::Workload& workload, const LinkInfo& host,
                                 const PodEnd& pod) {
  BoundWorkload bound{.name = workload.name,
                      .binding = {},
                      .host_interface = host.name,
                      .netns = 0,
                      .netns_cookie = 0,
                      .netns_path = {},
                      .facts = {},
                      .takes_frames = false};
  bound.binding.ifindex = host.ifindex;
  bound.binding.ips = pod.ips;
  SL_ASSIGN_OR_RETURN(bound.facts.bridge, PlainBridge(here, host));
  bound.takes_frames = pod.takes_frames;
  bound.facts.netns = host.link_netnsid;
  bound.facts.others = OthersAt(here, host);
  bound.facts.address = pod.ips.front().abi();
  SL_ASSIGN_OR_RETURN(bound.facts.master, RoutingMaster(here, host, pod.ips));
  if (pod.link.mac == net::MacAddress{}) return bound;
  std::copy(pod.link.mac.begin(), pod.link.mac.end(), bound.facts.pod_mac);
  bound.facts.link_local = pod.link_local.value_or(LinkLocalOf(pod.link.mac)).abi();
  if (pod.link_local4) std::memcpy(&bound.facts.link_local4, pod.link_local4->bytes().data() + 12, 4);
  return bound;
}

StatusOr<BoundWorkload> BindNetNs(const net::SocketIn& socket_in, const policy::Workload& workload) {
  SL_ASSIGN_OR_RETURN(const net::NetNs netns, net::NetNs::Open(workload.netns));
  SL_ASSIGN_OR_RETURN(const net::NetNs own, net::NetNs::OfThisThread());
  if (netns.identity() == own.identity()) return Unusable("{} is the agent's own network namespace", workload.netns);
  const StatusOr<PodEnd> pod = LookInside(netns, socket_in, workload);
  if (!pod.ok()) return Annotate(pod.status(), workload.netns);
  SL_ASSIGN_OR_RETURN(Netlink here, Netlink::Open());
  const StatusOr<LinkInfo> host = FindHostEnd(here, netns, pod->link);
  if (!host.ok()) return Annotate(host.status(), workload.netns);
  SL_ASSIGN_OR_RETURN(BoundWorkload bound, Describe(here, workload, *host, *pod));
  bound.netns = netns.identity().inode;
  bound.netns_cookie = pod->netns_cookie;
  bound.netns_path = workload.netns;
  return bound;
}

StatusOr<BoundWorkload> BindHostInterface(const policy::Workload& workload) {
  SL_ASSIGN_OR_RETURN(Netlink here, Netlink::Open());
  SL_ASSIGN_OR_RETURN(const LinkInfo host, here.GetLink(workload.host_interface));
  if (host.kind != "veth") {
    return Unusable("interface {} is not a veth but {}", host.name,
                    host.kind.empty() ? "a device of another kind" : host.kind);
  }
  if (workload.ips.empty()) {
    return Unusable("spec.ips must be set: the addresses behind {} cannot be looked up without spec.netns", host.name);
  }
  PodEnd pod;
  pod.ips = workload.ips;
  if (auto link = here.GetPeer(host); link.ok()) pod.link = *std::move(link);
  return Describe(here, workload, host, pod);
}

bool LeadsElsewhere(const LinkInfo& link) { return link.kind == "veth" && link.link_netnsid >= 0; }

// `links`: all of this namespace, read on first use.
StatusOr<std::vector<HostEnd>> HostEndsOf(const net::SocketIn& socket_in, const policy::Workload& workload,
                                          std::optional<std::vector<LinkInfo>>& links) {
  SL_ASSIGN_OR_RETURN(Netlink here, Netlink::Open());
  if (workload.netns.empty()) {
    SL_ASSIGN_OR_RETURN(const LinkInfo host, here.GetLink(workload.host_interface));
    if (host.kind != "veth") return std::vector<HostEnd>();
    return std::vector<HostEnd>{{host.ifindex, host.name}};
  }
  SL_ASSIGN_OR_RETURN(const net::NetNs netns, net::NetNs::Open(workload.netns));
  SL_ASSIGN_OR_RETURN(const net::NetNs own, net::NetNs::OfThisThread());
  if (netns.identity() == own.identity()) return std::vector<HostEnd>();
  StatusOr<Netlink> inside = OpenIn(netns, socket_in);
  const StatusOr<LinkInfo> pod = inside.ok() ? inside->GetLink(workload.interface) : inside.status();
  if (pod.ok()) {
    SL_ASSIGN_OR_RETURN(const LinkInfo host, FindHostEnd(here, netns, *pod));
    return std::vector<HostEnd>{{host.ifindex, host.name}};
  }
  if (inside.ok() && absl::IsNotFound(pod.status())) return std::vector<HostEnd>();
  SL_ASSIGN_OR_RETURN(const std::int32_t id, here.NetNsId(netns.fd()));
  if (!links) {
    SL_ASSIGN_OR_RETURN(links, here.DumpLinks());
  }
  std::vector<HostEnd> ends;
  for (const LinkInfo& link : *links) {
    if (LeadsElsewhere(link) && link.link_netnsid == id) ends.push_back({link.ifindex, link.name});
  }
  return ends;
}

}  // namespace

bool IsAnswer(const Status& status) {
  return absl::IsNotFound(status) || absl::IsFailedPrecondition(status) || absl::IsInvalidArgument(status);
}

HostEndsByWorkload FindHostEnds(const net::SocketIn& socket_in, const std::vector<const policy::Workload*>& workloads) {
  HostEndsByWorkload found;
  std::optional<std::vector<LinkInfo>> links;
  for (const policy::Workload* const workload : workloads) {
    auto ends = HostEndsOf(socket_in, *workload, links);
    const bool is_there = ends.ok() ? !ends->empty() : !IsAnswer(ends.status());
    if (is_there) found.emplace(workload->name, std::move(ends));
  }
  return found;
}

StatusOr<std::vector<HostEnd>> AllHostEnds() {
  SL_ASSIGN_OR_RETURN(Netlink here, Netlink::Open());
  SL_ASSIGN_OR_RETURN(const std::vector<LinkInfo> links, here.DumpLinks());
  std::vector<HostEnd> ends;
  for (const LinkInfo& link : links) {
    if (LeadsElsewhere(link)) ends.push_back({link.ifindex, link.name});
  }
  return ends;
}

StatusOr<BoundWorkload> Bind(const net::SocketIn& socket_in, const policy::Workload& workload) {
  const bool by_netns = !workload.netns.empty();
  StatusOr<BoundWorkload> bound = by_netns ? BindNetNs(socket_in, workload) : BindHostInterface(workload);
  if (!bound.ok()) {
    return Annotate(bound.status(), fmt::format("Workload {}: {}", workload.name.ToString(),
                                                by_netns ? "spec.netns" : "spec.hostInterface"));
  }
  return bound;
}

}  // namespace sluice::node
