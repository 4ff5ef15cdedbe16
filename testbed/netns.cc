#include "testbed/netns.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <thread>

#include "kernel/net/netlink.h"

namespace sluice::test {
namespace {

std::string UniqueName(const std::string& label) {
  static std::atomic<int> count{0};
  const char* prefix = std::getenv("SLUICE_TEST_NETNS_PREFIX");
  return fmt::format("{}-{}-{}-{}", prefix ? prefix : "sltest", ::getpid(), count++, label);
}

template <typename T>
StatusOr<T> RunForValue(const TestNetNs& netns, const std::function<StatusOr<T>()>& run) {
  StatusOr<T> result = Status(absl::StatusCode::kInternal, "did not run");
  SL_RETURN_IF_ERROR(netns.Run([&] {
    result = run();
    return result.status();
  }));
  return result;
}

StatusOr<net::LinkInfo> FindLink(const std::string& name) {
  SL_ASSIGN_OR_RETURN(net::Netlink here, net::Netlink::Open());
  return here.GetLink(name);
}

}  // namespace

Status RunIn(int netns_fd, const std::function<Status()>& run) {
  Status result;
  try {
    std::thread thread([&] {
      if (::setns(netns_fd, CLONE_NEWNET) < 0) {
        result = ErrnoError(errno, "enter a network namespace (needs CAP_SYS_ADMIN)");
      } else {
        result = run();
      }
    });
    thread.join();
  } catch (const std::system_error& error) {
    return ErrnoError(error.code().value(), "start a thread to enter a network namespace");
  }
  return result;
}

net::SocketIn EnterForSockets() {
  return [](int netns_fd) -> StatusOr<Fd> {
    Fd socket;
    SL_RETURN_IF_ERROR(RunIn(netns_fd, [&socket]() -> Status {
      socket = Fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
      return socket.valid() ? OkStatus() : ErrnoError(errno, "open a netlink socket");
    }));
    return socket;
  };
}

StatusOr<TestNetNs> TestNetNs::Create(const std::string& label) {
  const std::string name = UniqueName(label);
  SL_RETURN_IF_ERROR(RunChecked({"ip", "netns", "add", name}));
  SL_ASSIGN_OR_RETURN(net::NetNs handle, net::NetNs::Open("/run/netns/" + name));
  TestNetNs netns(name, std::move(handle));
  for (const char* scope : {"all", "default"}) {
    const std::string ipv6 = fmt::format("net/ipv6/conf/{}/", scope);
    SL_RETURN_IF_ERROR(netns.Sysctl(ipv6 + "accept_dad", "0"));
    SL_RETURN_IF_ERROR(netns.Sysctl(ipv6 + "accept_ra", "0"));
    SL_RETURN_IF_ERROR(netns.Sysctl(ipv6 + "router_solicitations", "0"));
    SL_RETURN_IF_ERROR(netns.Sysctl(ipv6 + "mldv2_unsolicited_report_interval", "1"));  // soon over
    SL_RETURN_IF_ERROR(netns.Sysctl(fmt::format("net/ipv4/conf/{}/rp_filter", scope), "0"));
  }
  SL_RETURN_IF_ERROR(netns.Ip("link set lo up\n"));
  return netns;
}

TestNetNs::TestNetNs(TestNetNs&& other) noexcept
    : name_(std::exchange(other.name_, {})), handle_(std::move(other.handle_)) {}

TestNetNs::~TestNetNs() {
  if (name_.empty()) return;
  const Status deleted = RunChecked({"ip", "netns", "delete", name_});
  if (!deleted.ok()) std::fprintf(stderr, "%s\n", Message(deleted).c_str());
}

Status TestNetNs::Ip(const std::string& lines) const {
  return Run([&] { return RunChecked({"ip", "-batch", "-"}, lines); });
}

Status TestNetNs::Sysctl(const std::string& key, const std::string& value) const {
  return Run([&]() -> Status {
    const std::string path = "/proc/sys/" + key;
    const Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.valid() || ::write(file.get(), value.data(), value.size()) < 0) {
      return ErrnoError(errno, "{}: set {} to {}", name_, path, value);
    }
    return OkStatus();
  });
}

StatusOr<std::unique_ptr<TestNode>> TestNode::Create(const Options& options) {
  SL_ASSIGN_OR_RETURN(TestNetNs netns, TestNetNs::Create("node"));
  std::unique_ptr<TestNode> node(new TestNode(options, std::move(netns)));
  SL_RETURN_IF_ERROR(node->PrepareNode());
  if (options.outside) SL_RETURN_IF_ERROR(node->AddOutside());
  for (const std::string& pod : options.pods) SL_RETURN_IF_ERROR(node->AddPod(pod));
  return node;
}

std::string TestNode::ip4() const { return fmt::format("10.{}.0.1", options_.subnet); }
std::string TestNode::ip6() const { return fmt::format("fd00:{:x}::1", options_.subnet); }

Status TestNode::PrepareNode() {
  SL_RETURN_IF_ERROR(node_.Sysctl("net/ipv4/ip_forward", "1"));
  SL_RETURN_IF_ERROR(node_.Sysctl("net/ipv6/conf/all/forwarding", "1"));
  if (options_.wiring == Wiring::kRouted) {
    return node_.Ip(fmt::format("addr add {}/32 dev lo\naddr add {}/128 dev lo nodad\n", ip4(), ip6()));
  }
  return node_.Ip(
      fmt::format("link add br0 type bridge mcast_snooping 0\n"
                  "link set br0 up\n"
                  "addr add {}/24 dev br0\n"
                  "addr add {}/64 dev br0 nodad\n",
                  ip4(), ip6()));
}

Status TestNode::AddOutside() {
  SL_ASSIGN_OR_RETURN(TestNetNs created, TestNetNs::Create("outside"));
  netns_.push_back(std::make_unique<TestNetNs>(std::move(created)));
  const TestNetNs& netns = *netns_.back();
  outside_ = {.name = "outside",
              .netns_path = netns.path(),
              .host_interface = "uplink",
              .host_mac = "02:00:00:03:00:01",
              .pod_mac = "02:00:00:03:00:02",
              .ip4 = "192.0.2.2",
              .ip6 = "2001:db8::2"};
  SL_RETURN_IF_ERROR(
      node_.Ip(fmt::format("link add uplink address {} type veth peer name eth0 address {} netns {}\n"
                           "link set uplink up\n"
                           "addr add 192.0.2.1/24 dev uplink\n"
                           "addr add 2001:db8::1/64 dev uplink nodad\n"
                           "neigh add 192.0.2.2 lladdr {} dev uplink nud permanent\n"
                           "neigh add 2001:db8::2 lladdr {} dev uplink nud permanent\n",
                           outside_.host_mac, outside_.pod_mac, netns.name(), outside_.pod_mac, outside_.pod_mac)));
  SL_RETURN_IF_ERROR(
      netns.Ip(fmt::format("link set eth0 up\n"
                           "addr add 192.0.2.2/24 dev eth0\n"
                           "addr add 2001:db8::2/64 dev eth0 nodad\n"
                           "neigh add 192.0.2.1 lladdr {} dev eth0 nud permanent\n"
                           "neigh add 2001:db8::1 lladdr {} dev eth0 nud permanent\n"
                           "route add default via 192.0.2.1\n"
                           "route add default via 2001:db8::1\n",
                           outside_.host_mac, outside_.host_mac)));
  return FindInterfaces(outside_, netns);
}

Status TestNode::AddPod(const std::string& name) {
  const int number = next_++;
  SL_ASSIGN_OR_RETURN(TestNetNs created, TestNetNs::Create(name));
  netns_.push_back(std::make_unique<TestNetNs>(std::move(created)));
  TestPod pod{.name = name,
              .netns_path = netns_.back()->path(),
              .host_interface = fmt::format("veth{}", number),
              .host_mac = fmt::format("02:00:00:01:{:02x}:{:02x}", options_.subnet, number),
              .pod_mac = fmt::format("02:00:00:02:{:02x}:{:02x}", options_.subnet, number),
              .ip4 = fmt::format("10.{}.0.{}", options_.subnet, number + 2),
              .ip6 = fmt::format("fd00:{:x}::{:x}", options_.subnet, number + 2)};
  SL_RETURN_IF_ERROR(Wire(pod, *netns_.back()));
  SL_RETURN_IF_ERROR(FindInterfaces(pod, *netns_.back()));
  pods_.push_back(std::move(pod));
  return OkStatus();
}

Status TestNode::Wire(TestPod& pod, const TestNetNs& netns) {
  using namespace fmt::literals;
  const auto fill = [&](std::string_view lines) {
    return fmt::format(fmt::runtime(lines), "host"_a = pod.host_interface, "host_mac"_a = pod.host_mac,
                       "pod_mac"_a = pod.pod_mac, "ip4"_a = pod.ip4, "ip6"_a = pod.ip6, "netns"_a = netns.name(),
                       "node4"_a = ip4(), "node6"_a = ip6());
  };
  const std::string pair =
      "link add {host} address {host_mac} type veth peer name eth0 address {pod_mac} netns {netns}\n";
  if (options_.wiring == Wiring::kBridged) {
    SL_RETURN_IF_ERROR(node_.Ip(fill(pair + "link set {host} master br0 up\n")));
    return netns.Ip(
        fill("link set eth0 up\n"
             "addr add {ip4}/24 dev eth0\n"
             "addr add {ip6}/64 dev eth0 nodad\n"
             "route add default via {node4}\n"
             "route add default via {node6}\n"));
  }
  SL_RETURN_IF_ERROR(node_.Ip(fill(pair + "link set {host} up\n"
                                          "route add {ip4}/32 dev {host} src {node4}\n"
                                          "route add {ip6}/128 dev {host} src {node6}\n"
                                          "neigh add {ip4} lladdr {pod_mac} dev {host} nud permanent\n"
                                          "neigh add {ip6} lladdr {pod_mac} dev {host} nud permanent\n")));
  return netns.Ip(
      fill("link set eth0 up\n"
           "addr add {ip4}/32 dev eth0\n"
           "addr add {ip6}/128 dev eth0 nodad\n"
           "neigh add 169.254.1.1 lladdr {host_mac} dev eth0 nud permanent\n"
           "neigh add fe80::1 lladdr {host_mac} dev eth0 nud permanent\n"
           "route add default via 169.254.1.1 dev eth0 onlink\n"
           "route add default via fe80::1 dev eth0\n"));
}

Status TestNode::FindInterfaces(TestPod& pod, const TestNetNs& netns) {
  SL_ASSIGN_OR_RETURN(const net::LinkInfo host,
                      RunForValue<net::LinkInfo>(node_, [&] { return FindLink(pod.host_interface); }));
  pod.host_ifindex = host.ifindex;
  SL_ASSIGN_OR_RETURN(const net::LinkInfo eth0, RunForValue<net::LinkInfo>(netns, [] { return FindLink("eth0"); }));
  pod.pod_ifindex = eth0.ifindex;
  return OkStatus();
}

Status TestNode::RemovePod(const std::string& name) {
  const TestPod removed = pod(name);
  // Delete the veth first: a namespace may live on for a while after its name is removed.
  SL_RETURN_IF_ERROR(node_.Ip(fmt::format("link delete {}\n", removed.host_interface)));
  std::erase_if(netns_, [&](const auto& netns) { return netns->path() == removed.netns_path; });
  std::erase_if(pods_, [&](const TestPod& pod) { return pod.name == name; });
  return OkStatus();
}

const TestPod& TestNode::pod(const std::string& name) const {
  const auto found = std::find_if(pods_.begin(), pods_.end(), [&](const TestPod& pod) { return pod.name == name; });
  if (found == pods_.end()) {
    std::fprintf(stderr, "this test's node has no pod %s\n", name.c_str());
    std::abort();
  }
  return *found;
}

const TestNetNs& TestNode::netns(const TestPod& pod) const {
  const auto found =
      std::find_if(netns_.begin(), netns_.end(), [&](const auto& netns) { return netns->path() == pod.netns_path; });
  if (found == netns_.end()) {
    std::fprintf(stderr, "this test's node has no namespace of pod %s\n", pod.name.c_str());
    std::abort();
  }
  return **found;
}

Status TestNode::RunIn(const TestPod& pod, const std::function<Status()>& run) const { return netns(pod).Run(run); }

StatusOr<CommandResult> TestNode::RunCommandIn(const TestPod& pod, const Arguments& arguments, int seconds) const {
  return RunForValue<CommandResult>(netns(pod), [&] { return RunCommand(arguments, {}, seconds); });
}

StatusOr<ChildProcess> TestNode::StartIn(const TestPod& pod, const Arguments& arguments) const {
  return RunForValue<ChildProcess>(netns(pod), [&] { return ChildProcess::Start(arguments); });
}

}  // namespace sluice::test
