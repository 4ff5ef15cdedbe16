#include "ctrl/cni/pod_interface.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_link.h>
#include <linux/net_namespace.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <vector>

#include "api/cni.h"
#include "base/fd.h"

namespace sluice::cni {
namespace {

constexpr std::size_t kReceiveSize = 65536;
constexpr int kAnswerSeconds = 5;

// One request, with room for what is asked here.
class RouteMessage {
 public:
  template <typename Body>
  RouteMessage(std::uint16_t type, std::uint16_t flags, const Body& body) {
    header()->nlmsg_type = type;
    header()->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header()->nlmsg_len = NLMSG_LENGTH(sizeof(body));
    std::memcpy(NLMSG_DATA(header()), &body, sizeof(body));
  }

  RouteMessage& Put(std::uint16_t type, const void* data, std::size_t size) {
    rtattr* const attribute = End();
    attribute->rta_type = type;
    attribute->rta_len = static_cast<std::uint16_t>(RTA_LENGTH(size));
    if (size > 0) std::memcpy(RTA_DATA(attribute), data, size);
    header()->nlmsg_len = static_cast<std::uint32_t>(NLMSG_ALIGN(header()->nlmsg_len) + RTA_ALIGN(attribute->rta_len));
    return *this;
  }
  template <typename T>
  RouteMessage& PutValue(std::uint16_t type, const T& value) {
    return Put(type, &value, sizeof(value));
  }
  RouteMessage& PutText(std::uint16_t type, const std::string& text) {
    return Put(type, text.c_str(), text.size() + 1);
  }
  RouteMessage& PutNested(std::uint16_t type, const std::function<void(RouteMessage&)>& fill) {
    rtattr* const nest = End();
    Put(type, nullptr, 0);
    fill(*this);
    nest->rta_len = static_cast<std::uint16_t>(reinterpret_cast<char*>(End()) - reinterpret_cast<char*>(nest));
    return *this;
  }

  nlmsghdr* header() { return reinterpret_cast<nlmsghdr*>(bytes_.data()); }

 private:
  rtattr* End() { return reinterpret_cast<rtattr*>(bytes_.data() + NLMSG_ALIGN(header()->nlmsg_len)); }

  alignas(nlmsghdr) std::array<char, 1024> bytes_{};
};

// Attributes by type; the last one of a type counts.
class RouteAttributes {
 public:
  RouteAttributes(const void* begin, std::size_t size) {
    auto* attribute = static_cast<const rtattr*>(begin);
    auto left = static_cast<int>(size);
    for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
      const std::size_t type = attribute->rta_type & NLA_TYPE_MASK;
      if (type < found_.size()) found_[type] = attribute;
    }
  }
  const rtattr* Find(std::size_t type) const { return found_[type]; }
  template <typename T>
  T Value(std::size_t type, T otherwise) const {
    if (found_[type] == nullptr || RTA_PAYLOAD(found_[type]) < sizeof(T)) return otherwise;
    T value;
    std::memcpy(&value, RTA_DATA(found_[type]), sizeof(T));
    return value;
  }
  std::string Text(std::size_t type) const {
    if (found_[type] == nullptr) return "";
    const auto* text = static_cast<const char*>(RTA_DATA(found_[type]));
    return {text, strnlen(text, RTA_PAYLOAD(found_[type]))};
  }

 private:
  std::array<const rtattr*, 64> found_{};  // beyond the types that are asked for here
};

using VisitRoute = std::function<void(const nlmsghdr&)>;

// Sends `request` and hands its answer, if it has one, to `visit`. The error is the kernel's.
Status AskRoute(const Fd& socket, RouteMessage request, const VisitRoute& visit, const std::string& doing) {
  static std::uint32_t sequence = 0;
  request.header()->nlmsg_seq = ++sequence;
  if (send(socket.get(), request.header(), request.header()->nlmsg_len, 0) < 0) return ErrnoError(errno, "{}", doing);
  std::vector<char> answer(kReceiveSize);
  while (true) {
    const ssize_t received = recv(socket.get(), answer.data(), answer.size(), MSG_TRUNC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return ErrnoError(errno, "{}: read the kernel's answer", doing);
    if (static_cast<std::size_t>(received) > answer.size()) {
      return MakeError(absl::StatusCode::kInternal, "{}: the kernel's answer has {} bytes", doing, received);
    }
    auto left = static_cast<unsigned int>(received);
    for (auto* message = reinterpret_cast<const nlmsghdr*>(answer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_seq != sequence) continue;
      if (message->nlmsg_type != NLMSG_ERROR) {
        visit(*message);
        continue;
      }
      const int error = -static_cast<const nlmsgerr*>(NLMSG_DATA(message))->error;
      return error == 0 ? OkStatus() : ErrnoError(error, "{}", doing);
    }
  }
}

StatusOr<Fd> OpenRouteSocket() {
  Fd made(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!made.valid()) return ErrnoError(errno, "open a netlink socket");
  const timeval patience{.tv_sec = kAnswerSeconds, .tv_usec = 0};
  setsockopt(made.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  return made;
}

StatusOr<Fd> OpenNamespace(const std::string& path) {
  Fd opened(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!opened.valid()) return ErrnoError(errno, "open the network namespace {}", path);
  return opened;
}

// A socket that was made in the namespace.
StatusOr<Fd> OpenRouteSocketIn(const Fd& netns, const std::string& path) {
  const Fd home(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
  if (!home.valid()) return ErrnoError(errno, "open /proc/self/ns/net");
  if (setns(netns.get(), CLONE_NEWNET) != 0) return ErrnoError(errno, "enter the network namespace {}", path);
  auto made = OpenRouteSocket();
  if (setns(home.get(), CLONE_NEWNET) != 0) return ErrnoError(errno, "leave the network namespace {}", path);
  return made;
}

struct Link {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;
  bool is_loopback = false;
  std::uint32_t peer = 0;
  std::int32_t peer_netns = -1;  // as this namespace numbers it; -1: this one
};

void ReadLink(const nlmsghdr& message, Link& link) {
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(&message));
  if (message.nlmsg_type != RTM_NEWLINK || message.nlmsg_len < NLMSG_LENGTH(sizeof(*info))) return;
  const RouteAttributes attributes(IFLA_RTA(info), IFLA_PAYLOAD(&message));
  link.ifindex = static_cast<std::uint32_t>(info->ifi_index);
  link.is_loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
  link.name = attributes.Text(IFLA_IFNAME);
  link.peer = attributes.Value<std::uint32_t>(IFLA_LINK, 0);
  link.peer_netns = attributes.Value<std::int32_t>(IFLA_LINK_NETNSID, -1);
  if (const rtattr* nested = attributes.Find(IFLA_LINKINFO)) {
    link.kind = RouteAttributes(RTA_DATA(nested), RTA_PAYLOAD(nested)).Text(IFLA_INFO_KIND);
  }
}

StatusOr<Link> GetLinkByName(const Fd& socket, const std::string& name) {
  Link link;
  RouteMessage request(RTM_GETLINK, 0, ifinfomsg{});
  request.PutText(IFLA_IFNAME, name);
  SL_RETURN_IF_ERROR(AskRoute(
      socket, request, [&](const nlmsghdr& message) { ReadLink(message, link); },
      fmt::format("look for interface {}", name)));
  return link;
}

StatusOr<Link> GetLinkByIndex(const Fd& socket, std::uint32_t ifindex) {
  Link link;
  ifinfomsg body{};
  body.ifi_index = static_cast<int>(ifindex);
  SL_RETURN_IF_ERROR(AskRoute(
      socket, RouteMessage(RTM_GETLINK, 0, body), [&](const nlmsghdr& message) { ReadLink(message, link); },
      fmt::format("look for interface {}", ifindex)));
  return link;
}

// How the namespace of `socket` numbers the one behind `netns`; -1: it has no number.
StatusOr<std::int32_t> NumberOf(const Fd& socket, const Fd& netns) {
  std::int32_t number = -1;
  RouteMessage request(RTM_GETNSID, 0, rtgenmsg{});
  // The body has one byte, and attributes begin at the next multiple of four.
  request.header()->nlmsg_len = NLMSG_ALIGN(NLMSG_LENGTH(sizeof(rtgenmsg)));
  request.PutValue(NETNSA_FD, static_cast<std::uint32_t>(netns.get()));
  SL_RETURN_IF_ERROR(AskRoute(
      socket, request,
      [&](const nlmsghdr& message) {
        if (message.nlmsg_type != RTM_NEWNSID) return;
        constexpr std::size_t kBody = NLMSG_ALIGN(sizeof(rtgenmsg));
        const auto* begin = static_cast<const char*>(NLMSG_DATA(&message)) + kBody;
        number = RouteAttributes(begin, message.nlmsg_len - NLMSG_HDRLEN - kBody).Value(NETNSA_NSID, number);
      },
      "number the pod's network namespace"));
  return number;
}

std::string KindOf(const Link& link) {
  if (link.is_loopback) return "the loopback interface";
  if (link.kind.empty()) return "a device of the host (SR-IOV, host-device)";
  return "of kind " + link.kind;
}

Status AddClosingFilter(const Fd& socket, std::uint32_t ifindex, std::uint32_t side) {
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = static_cast<int>(ifindex);
  body.tcm_parent = TC_H_MAKE(TC_H_CLSACT, side);
  body.tcm_handle = kClosingHandle;
  body.tcm_info = TC_H_MAKE(std::uint32_t{kClosingPriority} << 16, htons(ETH_P_ALL));
  RouteMessage request(RTM_NEWTFILTER, NLM_F_CREATE, body);
  request.PutText(TCA_KIND, "bpf").PutNested(TCA_OPTIONS, [](RouteMessage& options) {
    const sock_filter drop = BPF_STMT(BPF_RET | BPF_K, TC_ACT_SHOT);
    options.PutValue(TCA_BPF_OPS_LEN, std::uint16_t{1})
        .PutValue(TCA_BPF_OPS, drop)
        .PutValue(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
  });
  return AskRoute(
      socket, request, [](const nlmsghdr&) {}, fmt::format("add a tc filter to interface {}", ifindex));
}

}  // namespace

StatusOr<HostEnd> FindHostEnd(const std::string& path, const std::string& ifname) {
  SL_ASSIGN_OR_RETURN(const Fd netns, OpenNamespace(path));
  SL_ASSIGN_OR_RETURN(const Fd inside, OpenRouteSocketIn(netns, path));
  SL_ASSIGN_OR_RETURN(const Fd here, OpenRouteSocket());
  const auto link = GetLinkByName(inside, ifname);
  if (absl::IsNotFound(link.status())) {
    return absl::NotFoundError(fmt::format("the network namespace {} has no interface {}", path, ifname));
  }
  if (!link.ok()) return Annotate(link.status(), path);
  if (link->kind != "veth") {
    return MakeError(absl::StatusCode::kFailedPrecondition, "{} in {} is {}, where a veth is needed", ifname, path,
                     KindOf(*link));
  }
  const auto other = GetLinkByIndex(here, link->peer);
  SL_ASSIGN_OR_RETURN(const std::int32_t number, NumberOf(here, netns));
  if (link->peer_netns < 0 || !other.ok() || other->kind != "veth" || other->peer != link->ifindex || number < 0 ||
      other->peer_netns != number) {
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     "{} in {} is a veth, but its other end is not in the host's network namespace", ifname, path);
  }
  return HostEnd{other->ifindex, other->name};
}

Status CloseInterface(std::uint32_t ifindex) {
  SL_ASSIGN_OR_RETURN(const Fd here, OpenRouteSocket());
  tcmsg body{};
  body.tcm_family = AF_UNSPEC;
  body.tcm_ifindex = static_cast<int>(ifindex);
  body.tcm_parent = TC_H_CLSACT;
  body.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
  RouteMessage request(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, body);
  request.PutText(TCA_KIND, "clsact");
  Status made = AskRoute(
      here, request, [](const nlmsghdr&) {}, fmt::format("add the qdisc clsact to interface {}", ifindex));
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  SL_RETURN_IF_ERROR(AddClosingFilter(here, ifindex, TC_H_MIN_INGRESS));
  return AddClosingFilter(here, ifindex, TC_H_MIN_EGRESS);
}

}  // namespace sluice::cni
