// Links and addresses by rtnetlink. netlink.cc is the only user of libmnl.
//
// A socket belongs to the network namespace that it was created in. All requests by it are about that namespace, from
// any thread:
//   SL_ASSIGN_OR_RETURN(Netlink here, Netlink::Open());                            // the calling thread's namespace
//   SL_ASSIGN_OR_RETURN(Netlink pod, Netlink::Use(*socket_in(netns.fd())));        // another one (netns.h)
//   for (const LinkInfo& link : *pod.DumpLinks()) ...
// A Netlink and a NetlinkMonitor are for one thread at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "policy/resource/address.h"

struct mnl_socket;
struct nlmsghdr;

namespace sluice::net {

using MacAddress = std::array<std::uint8_t, 6>;

struct BridgePort {
  bool forwarding = false;
  bool isolated = false;
  bool locked = false;  // accepts frames from known senders only
};

struct LinkInfo {
  std::uint32_t ifindex = 0;
  std::string name;
  std::string kind;                // "veth", "bridge", ...; empty: a device without rtnetlink kind
  std::uint32_t master = 0;        // 0: none
  std::uint32_t peer = 0;          // a veth's other end, or an upper device's lower one, in link_netnsid; 0: none
  std::int32_t link_netnsid = -1;  // the peer's namespace as this one numbers it; -1: this one
  std::uint32_t tunnel_over = 0;   // a VXLAN's interface; 0: it is bound to none, or is no VXLAN
  MacAddress mac{};
  std::uint32_t mtu = 0;
  std::string qdisc;            // its queueing discipline for sending: "noqueue" (a veth's default), "tbf", ...
  bool up = false;              // administratively
  bool native_xdp = false;      // a program is attached in the driver
  bool vlan_filtering = false;  // of a bridge
  std::optional<BridgePort> bridge_port;  // when the master is a bridge
};

struct AddressInfo {
  std::uint32_t ifindex = 0;
  policy::Address address;
  int prefix_length = 0;
  std::uint8_t scope = 0;   // RT_SCOPE_*
  std::uint32_t flags = 0;  // IFA_F_*
};

// A filter of the interface's ingress or clsact qdisc.
struct TcFilter {
  std::string kind;  // "bpf", "u32", ...
  std::uint32_t handle = 0;
  std::uint16_t priority = 0;
  bool operator==(const TcFilter&) const = default;
};

enum class TcSide { kIngress, kEgress };

class Netlink {
 public:
  // For the calling thread's namespace.
  static StatusOr<Netlink> Open();
  // For the namespace that `socket`, of NETLINK_ROUTE, was created in.
  static StatusOr<Netlink> Use(Fd socket);

  StatusOr<std::vector<LinkInfo>> DumpLinks();
  StatusOr<std::vector<AddressInfo>> DumpAddresses();

  // NotFound when there is none.
  StatusOr<LinkInfo> GetLink(std::uint32_t ifindex);
  StatusOr<LinkInfo> GetLink(const std::string& name);

  // The other end of a veth, also in another namespace. NotFound if the kernel does not say which one it is.
  StatusOr<LinkInfo> GetPeer(const LinkInfo& veth);

  // The interface by which this namespace sends to `address`, by its own routes or by those of a VRF. 0: no route.
  StatusOr<std::uint32_t> RouteTo(const policy::Address& address, std::uint32_t vrf = 0);
  StatusOr<std::vector<LinkInfo>> DumpVrfs();  // cheap if there are none

  // Empty if there is no such qdisc.
  StatusOr<std::vector<TcFilter>> DumpTcFilters(std::uint32_t ifindex, TcSide side);
  // One that DumpTcFilters listed, of all protocols. NotFound: it is gone, or its qdisc or interface.
  Status DeleteTcFilter(std::uint32_t ifindex, TcSide side, const TcFilter& filter);

  // How this namespace numbers the one behind `netns_fd`; -1: it has no number for it.
  StatusOr<std::int32_t> NetNsId(int netns_fd);

  int fd() const { return channel_.socket.get(); }

  // The socket, and the numbers that identify its answers.
  struct Channel {
    Fd socket;
    std::uint32_t port = 0;
    std::uint32_t sequence = 0;  // of the last request
  };

 private:
  explicit Netlink(Channel channel) : channel_(std::move(channel)) {}

  Channel channel_;
};

// What a NetlinkMonitor heard.
struct NetChanges {
  std::set<std::uint32_t> veths;      // of this namespace, that came, went or changed
  std::set<std::int32_t> namespaces;  // other ones in which anything changed, as this one numbers them
  bool other = false;                 // anything else, or messages were lost
  bool any() const { return other || !veths.empty() || !namespaces.empty(); }
  void Add(const NetChanges& more);
};

// Is notified of changed links, addresses, queueing disciplines and tc filters in the namespace of the creating thread,
// and (with CAP_NET_BROADCAST) in every namespace that has a number there. The namespaces of its veths' peers get a
// number automatically.
class NetlinkMonitor {
 public:
  // `own`: filters with this handle and priority are the caller's, and are no change; nor is a new qdisc clsact, which
  // does nothing by itself.
  static StatusOr<NetlinkMonitor> Open(const TcFilter& own = {});

  int fd() const;  // readable when Drain has something to do
  bool hears_pods() const { return hears_pods_; }

  // Reads all pending messages, without waiting for more. A veth from before Open may count as `other`.
  StatusOr<NetChanges> Drain();

 private:
  struct Closer {
    void operator()(mnl_socket* socket) const;
  };
  using Socket = std::unique_ptr<mnl_socket, Closer>;
  NetlinkMonitor(Socket socket, bool hears_pods, TcFilter own)
      : socket_(std::move(socket)), hears_pods_(hears_pods), own_(std::move(own)) {}

  StatusOr<bool> ReadMessage(std::vector<char>& buffer, NetChanges& changes);
  void Note(const nlmsghdr* message, NetChanges& changes);

  Socket socket_;
  bool hears_pods_ = false;
  TcFilter own_;
  std::set<std::uint32_t> veths_;  // known from messages
};

}  // namespace sluice::net
