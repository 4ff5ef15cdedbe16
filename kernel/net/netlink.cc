#include "kernel/net/netlink.h"

#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_bridge.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace sluice::net {
namespace {

constexpr std::size_t kBufferBytes = 64U << 10U;  // the kernel's largest dump part is 32 KiB
constexpr int kMonitorReceiveBytes = 4 << 20;
constexpr int kDumpTries = 16;

template <typename T>
T Scalar(const nlattr* attribute) {
  T value{};
  std::memcpy(&value, mnl_attr_get_payload(attribute),
              std::min<std::size_t>(sizeof(T), mnl_attr_get_payload_len(attribute)));
  return value;
}

std::string Text(const nlattr* attribute) {
  const char* text = static_cast<const char*>(mnl_attr_get_payload(attribute));
  return std::string(text, strnlen(text, mnl_attr_get_payload_len(attribute)));
}

// Calls `visit` for every attribute; libmnl's loop macros are C only.
template <typename Visit>
int VisitAttribute(const nlattr* attribute, void* visit) {
  (*static_cast<Visit*>(visit))(attribute);
  return MNL_CB_OK;
}
template <typename Visit>
void ForEachAttribute(const nlmsghdr* message, std::size_t header_bytes, Visit visit) {
  mnl_attr_parse(message, static_cast<unsigned int>(header_bytes), VisitAttribute<Visit>, &visit);
}
template <typename Visit>
void ForEachNested(const nlattr* parent, Visit visit) {
  mnl_attr_parse_nested(parent, VisitAttribute<Visit>, &visit);
}

// A family's message body and its attributes, turned into T.
template <typename T>
using Parse = T (*)(const nlmsghdr* message);

template <typename T>
struct Collector {
  Parse<T> parse;
  std::vector<T> found;

  static int Take(const nlmsghdr* message, void* self) {
    auto* collector = static_cast<Collector*>(self);
    collector->found.push_back(collector->parse(message));
    return MNL_CB_OK;
  }
};

// The next message or messages from the kernel. Messages from other processes are ignored.
StatusOr<std::size_t> Receive(const Fd& socket, std::vector<char>& buffer) {
  while (true) {
    sockaddr_nl sender{};
    socklen_t length = sizeof(sender);
    const ssize_t received = ::recvfrom(socket.get(), buffer.data(), buffer.size(), MSG_TRUNC,
                                        reinterpret_cast<sockaddr*>(&sender), &length);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return ErrnoError(errno, "receive");
    if (static_cast<std::size_t>(received) > buffer.size()) return ErrnoError(ENOSPC, "receive");
    if (sender.nl_pid == 0) return static_cast<std::size_t>(received);
  }
}

// Whether a change came between the parts of a dump. The rest must still be read, or it would be taken for the next
// answer. So the mark is removed, as libmnl would stop at it.
bool TakeInterruptedMark(std::vector<char>& buffer, std::size_t length) {
  bool interrupted = false;
  int left = static_cast<int>(length);
  for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
       message = mnl_nlmsg_next(message, &left)) {
    interrupted = interrupted || (message->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
    message->nlmsg_flags &= static_cast<std::uint16_t>(~NLM_F_DUMP_INTR);
  }
  return interrupted;
}

// Sends `request` and parses every answer. The returned status has only the kernel's error.
template <typename T>
StatusOr<std::vector<T>> AskOnce(Netlink::Channel& channel, nlmsghdr* request, Parse<T> parse) {
  request->nlmsg_seq = ++channel.sequence;
  if (::send(channel.socket.get(), request, request->nlmsg_len, 0) < 0) return ErrnoError(errno, "send");
  Collector<T> collector{.parse = parse, .found = {}};
  std::vector<char> buffer(kBufferBytes);
  bool interrupted = false;
  int more = MNL_CB_OK;
  while (more > MNL_CB_STOP) {
    SL_ASSIGN_OR_RETURN(const std::size_t length, Receive(channel.socket, buffer));
    interrupted = TakeInterruptedMark(buffer, length) || interrupted;
    more = mnl_cb_run(buffer.data(), length, request->nlmsg_seq, channel.port, Collector<T>::Take, &collector);
  }
  if (more < 0) return ErrnoError(errno, "answer");
  if (interrupted) return Status(absl::StatusCode::kAborted, "interrupted by changes");
  return std::move(collector.found);
}

// Repeats a dump that a change interrupted.
template <typename T>
StatusOr<std::vector<T>> Ask(Netlink::Channel& channel, nlmsghdr* request, Parse<T> parse) {
  StatusOr<std::vector<T>> answer = AskOnce<T>(channel, request, parse);
  for (int i = 1; i < kDumpTries && absl::IsAborted(answer.status()); i++) answer = AskOnce<T>(channel, request, parse);
  return answer;
}

void ParseBridgePort(const nlattr* data, BridgePort& port) {
  ForEachNested(data, [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_BRPORT_STATE:
        port.forwarding = Scalar<std::uint8_t>(attribute) == BR_STATE_FORWARDING;
        break;
      case IFLA_BRPORT_ISOLATED:
        port.isolated = Scalar<std::uint8_t>(attribute) != 0;
        break;
      case IFLA_BRPORT_LOCKED:
        port.locked = Scalar<std::uint8_t>(attribute) != 0;
        break;
      default:
        break;
    }
  });
}

bool HasVlanFiltering(const nlattr* bridge_data) {
  bool on = false;
  ForEachNested(bridge_data, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_BR_VLAN_FILTERING) on = Scalar<std::uint8_t>(attribute) != 0;
  });
  return on;
}

std::uint32_t BoundTo(const nlattr* vxlan_data) {
  std::uint32_t ifindex = 0;
  ForEachNested(vxlan_data, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_VXLAN_LINK) ifindex = Scalar<std::uint32_t>(attribute);
  });
  return ifindex;
}

void ParseLinkKind(const nlattr* info, LinkInfo& link) {
  const nlattr* data = nullptr;
  const nlattr* port_data = nullptr;
  std::string port_kind;
  ForEachNested(info, [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_INFO_KIND:
        link.kind = Text(attribute);
        break;
      case IFLA_INFO_DATA:
        data = attribute;
        break;
      case IFLA_INFO_SLAVE_KIND:
        port_kind = Text(attribute);
        break;
      case IFLA_INFO_SLAVE_DATA:
        port_data = attribute;
        break;
      default:
        break;
    }
  });
  if (data && link.kind == "bridge") link.vlan_filtering = HasVlanFiltering(data);
  if (data && link.kind == "vxlan") link.tunnel_over = BoundTo(data);
  if (port_data && port_kind == "bridge") ParseBridgePort(port_data, link.bridge_port.emplace());
}

bool HasNativeXdp(const nlattr* xdp) {
  std::uint8_t mode = XDP_ATTACHED_NONE;
  ForEachNested(xdp, [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == IFLA_XDP_ATTACHED) mode = Scalar<std::uint8_t>(attribute);
  });
  return mode == XDP_ATTACHED_DRV || mode == XDP_ATTACHED_MULTI;
}

LinkInfo ParseLink(const nlmsghdr* message) {
  const auto* header = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  LinkInfo link{.ifindex = static_cast<std::uint32_t>(header->ifi_index), .up = (header->ifi_flags & IFF_UP) != 0};
  ForEachAttribute(message, sizeof(*header), [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFLA_IFNAME:
        link.name = Text(attribute);
        break;
      case IFLA_MASTER:
        link.master = Scalar<std::uint32_t>(attribute);
        break;
      case IFLA_LINK:
        link.peer = Scalar<std::uint32_t>(attribute);
        break;
      case IFLA_LINK_NETNSID:
        link.link_netnsid = Scalar<std::int32_t>(attribute);
        break;
      case IFLA_ADDRESS:
        link.mac = Scalar<MacAddress>(attribute);
        break;
      case IFLA_QDISC:
        link.qdisc = Text(attribute);
        break;
      case IFLA_MTU:
        link.mtu = Scalar<std::uint32_t>(attribute);
        break;
      case IFLA_LINKINFO:
        ParseLinkKind(attribute, link);
        break;
      case IFLA_XDP:
        link.native_xdp = HasNativeXdp(attribute);
        break;
      default:
        break;
    }
  });
  return link;
}

policy::Address ParseAddressBytes(const nlattr* attribute) {
  const auto length = mnl_attr_get_payload_len(attribute);
  std::array<std::uint8_t, 16> bytes{};
  if (length == 4) bytes[10] = bytes[11] = 0xff;
  if (length == 4 || length == 16) std::memcpy(bytes.data() + 16 - length, mnl_attr_get_payload(attribute), length);
  return policy::Address(bytes);
}

AddressInfo ParseAddress(const nlmsghdr* message) {
  const auto* header = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  AddressInfo info{.ifindex = header->ifa_index,
                   .address = {},
                   .prefix_length = header->ifa_prefixlen,
                   .scope = header->ifa_scope,
                   .flags = header->ifa_flags};
  bool has_local = false;
  ForEachAttribute(message, sizeof(*header), [&](const nlattr* attribute) {
    switch (mnl_attr_get_type(attribute)) {
      case IFA_LOCAL:
        info.address = ParseAddressBytes(attribute);
        has_local = true;
        break;
      case IFA_ADDRESS:  // the far end, if there is an IFA_LOCAL too
        if (!has_local) info.address = ParseAddressBytes(attribute);
        break;
      case IFA_FLAGS:
        info.flags = Scalar<std::uint32_t>(attribute);
        break;
      default:
        break;
    }
  });
  return info;
}

TcFilter ParseTcFilter(const nlmsghdr* message) {
  const auto* header = static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message));
  TcFilter filter{.kind = {},
                  .handle = header->tcm_handle,
                  .priority = static_cast<std::uint16_t>(TC_H_MAJ(header->tcm_info) >> 16U)};
  ForEachAttribute(message, sizeof(*header), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == TCA_KIND) filter.kind = Text(attribute);
  });
  return filter;
}

std::int32_t ParseNetNsId(const nlmsghdr* message) {
  std::int32_t id = NETNSA_NSID_NOT_ASSIGNED;
  ForEachAttribute(message, sizeof(rtgenmsg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == NETNSA_NSID) id = Scalar<std::int32_t>(attribute);
  });
  return id;
}

std::uint32_t ParseRoute(const nlmsghdr* message) {
  std::uint32_t ifindex = 0;
  ForEachAttribute(message, sizeof(rtmsg), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == RTA_OIF) ifindex = Scalar<std::uint32_t>(attribute);
  });
  return ifindex;
}

// Whether it is the rule that the kernel adds for the first VRF.
bool ParseIsVrfRule(const nlmsghdr* message) {
  bool is_one = false;
  ForEachAttribute(message, sizeof(fib_rule_hdr), [&](const nlattr* attribute) {
    if (mnl_attr_get_type(attribute) == FRA_L3MDEV) is_one = Scalar<std::uint8_t>(attribute) != 0;
  });
  return is_one;
}

// A request and its family's header, zeroed.
class Request {
 public:
  Request(std::uint16_t type, std::uint16_t flags) : message_(mnl_nlmsg_put_header(buffer_)) {
    message_->nlmsg_type = type;
    message_->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  }
  template <typename T>
  T* PutHeader() {
    return static_cast<T*>(mnl_nlmsg_put_extra_header(message_, sizeof(T)));
  }
  nlmsghdr* get() { return message_; }

 private:
  alignas(nlmsghdr) char buffer_[512] = {};
  nlmsghdr* message_;
};

// For the filters of one side of an interface.
tcmsg* PutFilterHeader(Request& request, std::uint32_t ifindex, TcSide side) {
  auto* const header = request.PutHeader<tcmsg>();
  header->tcm_family = AF_UNSPEC;
  header->tcm_ifindex = static_cast<int>(ifindex);
  header->tcm_parent = TC_H_MAKE(TC_H_CLSACT, side == TcSide::kIngress ? TC_H_MIN_INGRESS : TC_H_MIN_EGRESS);
  return header;
}

StatusOr<LinkInfo> GetOneLink(Netlink::Channel& channel, Request& request, const std::string& what) {
  mnl_attr_put_u32(request.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  StatusOr<std::vector<LinkInfo>> links = Ask<LinkInfo>(channel, request.get(), ParseLink);
  if (absl::IsNotFound(links.status()) || (links.ok() && links->empty())) {
    return MakeError(absl::StatusCode::kNotFound, "{} does not exist", what);
  }
  if (!links.ok()) return Annotate(links.status(), "look up " + what);
  return std::move(links->front());
}

// A clsact qdisc does nothing without filters.
bool IsNewClsact(const tcmsg& tc) { return tc.tcm_parent == TC_H_CLSACT; }

bool IsFilter(const tcmsg& tc, const TcFilter& filter) {
  return tc.tcm_handle == filter.handle && TC_H_MAJ(tc.tcm_info) >> 16 == filter.priority;
}

bool IsChange(const nlmsghdr* message, const TcFilter& own) {
  const bool is_tc = mnl_nlmsg_get_payload_len(message) >= sizeof(tcmsg);
  const tcmsg tc = is_tc ? *static_cast<const tcmsg*>(mnl_nlmsg_get_payload(message)) : tcmsg{};
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
    case RTM_NEWADDR:
    case RTM_DELADDR:
    case RTM_DELQDISC:
      return true;
    case RTM_NEWQDISC:
      return !IsNewClsact(tc);
    case RTM_NEWTFILTER:
    case RTM_DELTFILTER:
      return !IsFilter(tc, own);
    default:
      return false;
  }
}

// That a change is about.
std::uint32_t InterfaceOf(const nlmsghdr* message) {
  const void* const body = mnl_nlmsg_get_payload(message);
  switch (message->nlmsg_type) {
    case RTM_NEWLINK:
    case RTM_DELLINK:
      return static_cast<std::uint32_t>(static_cast<const ifinfomsg*>(body)->ifi_index);
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return static_cast<const ifaddrmsg*>(body)->ifa_index;
    default:
      return static_cast<std::uint32_t>(static_cast<const tcmsg*>(body)->tcm_ifindex);
  }
}

// The namespace that a message is from, as this one numbers it; -1: this one.
std::int32_t NamespaceOf(msghdr* header) {
  for (const cmsghdr* part = CMSG_FIRSTHDR(header); part != nullptr;
       part = CMSG_NXTHDR(header, const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level != SOL_NETLINK || part->cmsg_type != NETLINK_LISTEN_ALL_NSID) continue;
    std::int32_t number = -1;
    std::memcpy(&number, CMSG_DATA(part), sizeof(number));
    return number;
  }
  return -1;
}

}  // namespace

StatusOr<Netlink> Netlink::Open() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return ErrnoError(errno, "open a netlink socket");
  return Use(std::move(socket));
}

StatusOr<Netlink> Netlink::Use(Fd socket) {
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  socklen_t length = sizeof(address);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), length) < 0 ||
      ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) < 0) {
    return ErrnoError(errno, "bind a netlink socket");
  }
  return Netlink({.socket = std::move(socket), .port = address.nl_pid, .sequence = 0});
}

StatusOr<std::vector<LinkInfo>> Netlink::DumpLinks() {
  Request request(RTM_GETLINK, NLM_F_DUMP);
  request.PutHeader<ifinfomsg>()->ifi_family = AF_UNSPEC;
  mnl_attr_put_u32(request.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  StatusOr<std::vector<LinkInfo>> links = Ask<LinkInfo>(channel_, request.get(), ParseLink);
  if (!links.ok()) return Annotate(links.status(), "list the network interfaces");
  return links;
}

StatusOr<std::vector<AddressInfo>> Netlink::DumpAddresses() {
  Request request(RTM_GETADDR, NLM_F_DUMP);
  request.PutHeader<ifaddrmsg>()->ifa_family = AF_UNSPEC;
  StatusOr<std::vector<AddressInfo>> addresses = Ask<AddressInfo>(channel_, request.get(), ParseAddress);
  if (!addresses.ok()) return Annotate(addresses.status(), "list the network addresses");
  return addresses;
}

StatusOr<LinkInfo> Netlink::GetLink(std::uint32_t ifindex) {
  Request request(RTM_GETLINK, NLM_F_ACK);
  request.PutHeader<ifinfomsg>()->ifi_index = static_cast<int>(ifindex);
  return GetOneLink(channel_, request, fmt::format("interface with ifindex {}", ifindex));
}

StatusOr<LinkInfo> Netlink::GetLink(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) {
    return InvalidError("interface name \"{}\": must have 1 to {} characters", name, IFNAMSIZ - 1);
  }
  Request request(RTM_GETLINK, NLM_F_ACK);
  request.PutHeader<ifinfomsg>();
  mnl_attr_put_strz(request.get(), IFLA_IFNAME, name.c_str());
  return GetOneLink(channel_, request, "interface " + name);
}

StatusOr<LinkInfo> Netlink::GetPeer(const LinkInfo& veth) {
  const std::string what = "the other end of interface " + veth.name;
  if (veth.peer == 0) return MakeError(absl::StatusCode::kNotFound, "{} is not known", what);
  Request request(RTM_GETLINK, NLM_F_ACK);
  request.PutHeader<ifinfomsg>()->ifi_index = static_cast<int>(veth.peer);
  if (veth.link_netnsid >= 0)
    mnl_attr_put_u32(request.get(), IFLA_TARGET_NETNSID, static_cast<std::uint32_t>(veth.link_netnsid));
  return GetOneLink(channel_, request, what);
}

StatusOr<std::uint32_t> Netlink::RouteTo(const policy::Address& address, std::uint32_t vrf) {
  Request request(RTM_GETROUTE, NLM_F_ACK);
  const std::size_t length = address.is_v4() ? 4 : 16;
  auto* header = request.PutHeader<rtmsg>();
  header->rtm_family = address.is_v4() ? AF_INET : AF_INET6;
  header->rtm_dst_len = static_cast<unsigned char>(length * 8);
  mnl_attr_put(request.get(), RTA_DST, length, address.bytes().data() + 16 - length);
  if (vrf != 0) mnl_attr_put_u32(request.get(), RTA_OIF, vrf);
  StatusOr<std::vector<std::uint32_t>> routes = Ask<std::uint32_t>(channel_, request.get(), ParseRoute);
  // No route, a route that rejects (unreachable, throw, prohibit, blackhole), or a kernel without IPv6.
  const Status& status = routes.status();
  if (absl::IsUnavailable(status) || absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status) ||
      absl::IsUnimplemented(status)) {
    return 0U;
  }
  if (!routes.ok()) return Annotate(status, "look up the route to " + address.ToString());
  return routes->empty() ? 0U : routes->front();
}

StatusOr<std::vector<LinkInfo>> Netlink::DumpVrfs() {
  Request rules(RTM_GETRULE, NLM_F_DUMP);
  rules.PutHeader<fib_rule_hdr>()->family = AF_INET;
  StatusOr<std::vector<bool>> are_for_vrfs = Ask<bool>(channel_, rules.get(), ParseIsVrfRule);
  if (!are_for_vrfs.ok()) return Annotate(are_for_vrfs.status(), "list the routing rules");
  if (std::find(are_for_vrfs->begin(), are_for_vrfs->end(), true) == are_for_vrfs->end()) {
    return std::vector<LinkInfo>();
  }
  Request request(RTM_GETLINK, NLM_F_DUMP);
  request.PutHeader<ifinfomsg>()->ifi_family = AF_UNSPEC;
  mnl_attr_put_u32(request.get(), IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
  nlattr* const info = mnl_attr_nest_start(request.get(), IFLA_LINKINFO);
  mnl_attr_put_strz(request.get(), IFLA_INFO_KIND, "vrf");
  mnl_attr_nest_end(request.get(), info);
  StatusOr<std::vector<LinkInfo>> links = Ask<LinkInfo>(channel_, request.get(), ParseLink);
  if (!links.ok()) return Annotate(links.status(), "list the VRFs");
  std::erase_if(*links, [](const LinkInfo& link) { return link.kind != "vrf"; });
  return links;
}

StatusOr<std::vector<TcFilter>> Netlink::DumpTcFilters(std::uint32_t ifindex, TcSide side) {
  Request request(RTM_GETTFILTER, NLM_F_DUMP);
  PutFilterHeader(request, ifindex, side);
  StatusOr<std::vector<TcFilter>> filters = Ask<TcFilter>(channel_, request.get(), ParseTcFilter);
  if (!filters.ok()) return Annotate(filters.status(), fmt::format("list the tc filters of ifindex {}", ifindex));
  // Before the filters of a chain's priority, the kernel lists the priority itself, without a handle.
  std::erase_if(*filters, [](const TcFilter& filter) { return filter.handle == 0; });
  return filters;
}

Status Netlink::DeleteTcFilter(std::uint32_t ifindex, TcSide side, const TcFilter& filter) {
  Request request(RTM_DELTFILTER, NLM_F_ACK);
  tcmsg* const header = PutFilterHeader(request, ifindex, side);
  header->tcm_handle = filter.handle;
  header->tcm_info = TC_H_MAKE(std::uint32_t{filter.priority} << 16, htons(ETH_P_ALL));
  mnl_attr_put_strz(request.get(), TCA_KIND, filter.kind.c_str());
  const std::string doing = fmt::format("delete a tc filter of ifindex {}", ifindex);
  Status deleted = Annotate(Ask<TcFilter>(channel_, request.get(), ParseTcFilter).status(), doing);
  if (!absl::IsInvalidArgument(deleted)) return deleted;
  // So says the kernel when the qdisc is gone (net/sched/cls_api.c, __tcf_qdisc_find), and with it the filter.
  SL_ASSIGN_OR_RETURN(const std::vector<TcFilter> there, DumpTcFilters(ifindex, side));
  if (std::find(there.begin(), there.end(), filter) != there.end()) return deleted;
  return MakeError(absl::StatusCode::kNotFound, "{}: there is no such filter", doing);
}

StatusOr<std::int32_t> Netlink::NetNsId(int netns_fd) {
  Request request(RTM_GETNSID, NLM_F_ACK);
  request.PutHeader<rtgenmsg>();
  mnl_attr_put_u32(request.get(), NETNSA_FD, static_cast<std::uint32_t>(netns_fd));
  StatusOr<std::vector<std::int32_t>> ids = Ask<std::int32_t>(channel_, request.get(), ParseNetNsId);
  if (!ids.ok()) return Annotate(ids.status(), "look up the number of a network namespace");
  return ids->empty() ? NETNSA_NSID_NOT_ASSIGNED : ids->front();
}

void NetlinkMonitor::Closer::operator()(mnl_socket* socket) const { mnl_socket_close(socket); }

StatusOr<NetlinkMonitor> NetlinkMonitor::Open(const TcFilter& own) {
  Socket socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!socket) return ErrnoError(errno, "open a netlink socket for changes");
  const int fd = mnl_socket_get_fd(socket.get());
  // Best effort: a smaller buffer only loses messages sooner, and lost messages count as a change.
  const int bytes = kMonitorReceiveBytes;
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)) < 0) {
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
  }
  int on = 1;
  const bool hears_pods = mnl_socket_setsockopt(socket.get(), NETLINK_LISTEN_ALL_NSID, &on, sizeof(on)) == 0;
  if (mnl_socket_bind(socket.get(), RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR | RTMGRP_TC,
                      MNL_SOCKET_AUTOPID) < 0) {
    return ErrnoError(errno, "subscribe to changes of links, addresses and queueing disciplines");
  }
  return NetlinkMonitor(std::move(socket), hears_pods, own);
}

int NetlinkMonitor::fd() const { return mnl_socket_get_fd(socket_.get()); }

void NetChanges::Add(const NetChanges& more) {
  veths.insert(more.veths.begin(), more.veths.end());
  namespaces.insert(more.namespaces.begin(), more.namespaces.end());
  other = other || more.other;
}

StatusOr<NetChanges> NetlinkMonitor::Drain() {
  std::vector<char> buffer(kBufferBytes);
  NetChanges changes;
  while (true) {
    SL_ASSIGN_OR_RETURN(const bool more, ReadMessage(buffer, changes));
    if (!more) return changes;
  }
}

// False: there is none.
StatusOr<bool> NetlinkMonitor::ReadMessage(std::vector<char>& buffer, NetChanges& changes) {
  iovec part{.iov_base = buffer.data(), .iov_len = buffer.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(std::int32_t))] = {};
  msghdr header{.msg_name = nullptr,
                .msg_namelen = 0,
                .msg_iov = &part,
                .msg_iovlen = 1,
                .msg_control = control,
                .msg_controllen = sizeof(control),
                .msg_flags = 0};
  const ssize_t received = recvmsg(fd(), &header, 0);
  if (received < 0) {
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno != ENOBUFS && errno != EINTR) return ErrnoError(errno, "read changes of links and addresses");
    if (errno == ENOBUFS) {  // messages were lost: numbers may be of other interfaces by now
      changes.other = true;
      veths_.clear();
    }
    return true;
  }
  if ((header.msg_flags & MSG_TRUNC) != 0) {
    changes.other = true;
    return true;
  }
  const std::int32_t netns = NamespaceOf(&header);
  int left = static_cast<int>(received);
  for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(message, left);
       message = mnl_nlmsg_next(message, &left)) {
    if (!IsChange(message, own_)) continue;
    if (netns >= 0) {
      changes.namespaces.insert(netns);
    } else {
      Note(message, changes);
    }
  }
  return true;
}

// Of this namespace. A bridge's message about its port does not say what the port is.
void NetlinkMonitor::Note(const nlmsghdr* message, NetChanges& changes) {
  const bool is_link = message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
  if (is_link && static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message))->ifi_family == AF_UNSPEC) {
    const LinkInfo link = ParseLink(message);
    if (link.kind == "veth") {
      veths_.insert(link.ifindex);
      changes.veths.insert(link.ifindex);
    } else {
      changes.other = true;
    }
    if (message->nlmsg_type == RTM_DELLINK || link.kind != "veth") veths_.erase(link.ifindex);
    return;
  }
  if (const std::uint32_t ifindex = InterfaceOf(message); veths_.contains(ifindex)) {
    changes.veths.insert(ifindex);
  } else {
    changes.other = true;
  }
}

}  // namespace sluice::net
