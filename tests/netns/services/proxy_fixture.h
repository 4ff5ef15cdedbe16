// A node with Sluice and the rules of kube-proxy, and a far node with the rules alone. A router joins them, which is
// also the client from outside:
//   web, db, other - node 10.1.0.1, 192.0.2.1 - outside 192.0.2.2 - far node 198.51.100.1, 10.2.0.1 - far, far-db
// Redirects are on at tc and at XDP, and the host's connection tracking is liberal: the state in which most is
// redirected.
//   Expose({{.name = "db", .ip = "10.96.0.10", .pod = "db"}});
//   EnforceAll(WebEgress("podSelector: {matchLabels: {app: db}}"));
//   ExpectReached("web", {"10.96.0.10", kServicePort}, "db");
#pragma once

#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "testbed/proxy_rules.h"
#include "tests/netns/datapath/conversation.h"
#include "tests/netns/services/fixture.h"

namespace sluice::test {

class BesideProxyFixture : public ServicesFixture {
 protected:
  static constexpr std::uint16_t kServicePort = 8000, kTalkPort = 8443, kNodePort = 30080;
  inline static const std::string kNodeIp{"192.0.2.1"}, kOtherNodeIp{"10.1.0.1"}, kFarNodeIp{"198.51.100.1"};
  inline static const std::string kOutsideIp{"192.0.2.2"}, kBalancer{"203.0.113.10"};

  // TCP and UDP, with one backend, so that it is known where a connection must arrive.
  struct Exposed {
    std::string name;
    std::string ip;   // cluster IP; with kServicePort
    std::string pod;  // at kTalkPort
    std::uint16_t node_port = 0;
    std::string balancer;
    bool is_local = false;            // externalTrafficPolicy: Local
    bool is_balancer_of_node = true;  // false: Sluice leaves the balancer's address to kube-proxy
  };

  virtual ProxyMode mode() const = 0;
  virtual bool is_at_sockets() const { return false; }  // Sluice translates there; else at the veth

  void SetUp() override;

  // A Service of each pod, with node ports from kNodePort on, in this order.
  static std::vector<Exposed> WithNodePorts(const std::vector<std::string>& pods, bool is_local);
  // In place of all Services: the rules on both nodes, and Sluice's table.
  void Expose(const std::vector<Exposed>& services);
  // The rules alone.
  void InstallRules(const std::vector<ProxiedService>& services);
  static std::vector<ProxiedService> Proxied(const std::vector<Exposed>& services, const BesideProxyFixture& in);
  // Enforce, and attaches the uplink. The far pods are in namespace shop too, with their names as label app.
  void EnforceAll(const std::string& policies = {});

  // A policy for web's egress, or db's ingress: one peer, as `podSelector: {...}` or `ipBlock: {...}`.
  static std::string WebEgress(const std::string& peer);
  static std::string DbIngress(const std::string& peer);
  static std::string ToPod(const std::string& app);
  static std::string ToBlock(const std::vector<std::string>& ips);

  StatusOr<std::unique_ptr<Conversation>> Talk(const std::string& client, const End& to, const std::string& server,
                                               std::uint8_t protocol = kTcp) const;
  // TCP and UDP of `client` (a pod of either node, or "outside") to `to` arrive at `server`, and answers come back, for
  // as many packets as show whether a redirect goes wrong.
  void ExpectReached(const std::string& client, const End& to, const std::string& server);
  // Nothing arrives, though `server` listens.
  void ExpectDropped(const std::string& client, const End& to, const std::string& server);
  void ExpectVerdict(bool is_reached, const std::string& client, const End& to, const std::string& server) {
    is_reached ? ExpectReached(client, to, server) : ExpectDropped(client, to, server);
  }

  const TestNetNs& NetNsOf(const std::string& name) const;
  std::string IpOf(const std::string& pod) const;

  std::unique_ptr<TestNode> far_;

 private:
  void JoinFarNode();
};

inline const auto kProxyModes = ::testing::Values(ProxyMode::kIptables, ProxyMode::kNftables);

// Both modes.
class BesideProxy : public BesideProxyFixture, public ::testing::WithParamInterface<ProxyMode> {
 protected:
  ProxyMode mode() const override { return GetParam(); }
};

// Both modes, and both places where Sluice translates.
class EachPlace : public BesideProxyFixture, public ::testing::WithParamInterface<std::tuple<ProxyMode, bool>> {
 protected:
  ProxyMode mode() const override { return std::get<0>(GetParam()); }
  bool is_at_sockets() const override { return std::get<1>(GetParam()); }
};

std::string NameOfMode(const ::testing::TestParamInfo<ProxyMode>& info);
std::string NameOfPlace(const ::testing::TestParamInfo<std::tuple<ProxyMode, bool>>& info);

}  // namespace sluice::test
