// A node with pods, made of real network namespaces, for tests with real packets.
//
//   SL_REQUIRE_NETNS();                                          // tests/support/environment.h
//   auto node = TestNode::Create({.pods = {"web", "db"}});
//   ASSERT_TRUE(node.ok()) << node.status();
//   const TestPod& web = (*node)->pod("web");                    // web.ip4, web.netns_path, web.host_interface ...
//   (*node)->Run([&] { return agent.Start(); });                 // in the node's namespace
//   (*node)->RunIn(web, [&] { return Connect(db.ip4, 5432); });  // in the pod's
//   (*node)->RunCommandIn(web, {"ping", "-c1", db.ip4});
//
// Addresses (S = Options.subnet, default 1), IPv4 and IPv6 without DAD, forwarding on:
//   the node itself   10.S.0.1      fd00:S::1
//   pod number k      10.S.0.(k+2)  fd00:S::(k+2)
//   the outside       192.0.2.2     2001:db8::2     behind the node's interface "uplink" (192.0.2.1, 2001:db8::1)
// MACs: 02:00:00:01:S:k host ends, 02:00:00:02:S:k pods.
//
// Wirings: routed (host routes and permanent neighbours, as Calico does) or bridged (ports of the node's "br0", real
// ARP and neighbour discovery). Namespaces are named PREFIX-PID-COUNT-NAME, PREFIX from SLUICE_TEST_NETNS_PREFIX or
// "sltest", and are deleted by the destructors. A TestNode may be used from several threads once it is made.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/net/netns.h"
#include "testbed/command.h"

namespace sluice::test {

// Runs `run` on a thread of its own inside the namespace and returns what it returns. `run` must not throw. The
// caller's own namespace never changes.
Status RunIn(int netns_fd, const std::function<Status()>& run);
// For node::Bind and similar calls; uses the test's own right to enter namespaces.
net::SocketIn EnterForSockets();

// Owner of one named namespace ("ip netns add"), with lo up. Move-only.
class TestNetNs {
 public:
  // `label` is the last part of the name.
  static StatusOr<TestNetNs> Create(const std::string& label);

  TestNetNs(TestNetNs&& other) noexcept;
  TestNetNs& operator=(TestNetNs&& other) = delete;
  ~TestNetNs();

  const std::string& name() const { return name_; }
  std::string path() const { return "/run/netns/" + name_; }
  int fd() const { return handle_.fd(); }  // for setns(2)

  // Runs on its own thread inside the namespace.
  Status Run(const std::function<Status()>& run) const { return test::RunIn(handle_.fd(), run); }
  // Runs lines of "ip -batch" inside the namespace: "link add br0 type bridge\n...".
  Status Ip(const std::string& lines) const;
  // "net/ipv4/ip_forward", "1"
  Status Sysctl(const std::string& key, const std::string& value) const;

 private:
  TestNetNs(std::string name, net::NetNs handle) : name_(std::move(name)), handle_(std::move(handle)) {}
  std::string name_;
  net::NetNs handle_;
};

struct TestPod {
  std::string name;
  std::string netns_path;
  std::string host_interface;      // in the node; "uplink" for the outside
  std::uint32_t host_ifindex = 0;  // in the node
  std::uint32_t pod_ifindex = 0;   // of eth0 in the pod
  std::string host_mac;
  std::string pod_mac;
  std::string ip4;
  std::string ip6;
};

class TestNode {
 public:
  enum class Wiring { kRouted, kBridged };
  struct Options {
    Wiring wiring = Wiring::kRouted;
    std::vector<std::string> pods;
    bool outside = false;  // with a machine behind the node's uplink
    int subnet = 1;        // 1..255
  };

  static StatusOr<std::unique_ptr<TestNode>> Create(const Options& options);

  const TestNetNs& netns() const { return node_; }
  int fd() const { return node_.fd(); }               // of the node's namespace; a pod's: netns(pod).fd()
  const TestPod& pod(const std::string& name) const;  // must be one of Options.pods
  const std::vector<TestPod>& pods() const { return pods_; }
  const TestPod& outside() const { return outside_; }  // only with Options.outside
  std::string ip4() const;
  std::string ip6() const;

  // One more pod, wired like the others.
  Status AddPod(const std::string& name);
  // Deletes the pod's namespace and its veth with it.
  Status RemovePod(const std::string& name);

  Status Run(const std::function<Status()>& run) const { return node_.Run(run); }
  Status RunIn(const TestPod& pod, const std::function<Status()>& run) const;
  StatusOr<CommandResult> RunCommandIn(const TestPod& pod, const Arguments& arguments, int seconds = 30) const;
  StatusOr<ChildProcess> StartIn(const TestPod& pod, const Arguments& arguments) const;
  const TestNetNs& netns(const TestPod& pod) const;

 private:
  TestNode(Options options, TestNetNs node) : options_(std::move(options)), node_(std::move(node)) {}
  Status PrepareNode();
  Status AddOutside();
  Status Wire(TestPod& pod, const TestNetNs& netns);
  Status FindInterfaces(TestPod& pod, const TestNetNs& netns);

  Options options_;
  TestNetNs node_;
  std::vector<TestPod> pods_;
  TestPod outside_;
  std::vector<std::unique_ptr<TestNetNs>> netns_;  // of the pods and the outside
  int next_ = 0;                                   // number of the next pod
};

}  // namespace sluice::test
