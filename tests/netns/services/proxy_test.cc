// Cluster IPs beside kube-proxy: what Sluice translates, and what it leaves to kube-proxy's rules.
#include <poll.h>

#include <filesystem>

#include "tests/netns/services/proxy_fixture.h"

namespace sluice::test {
using namespace std::chrono_literals;
namespace {

INSTANTIATE_TEST_SUITE_P(Modes, BesideProxy, kProxyModes, NameOfMode);
INSTANTIATE_TEST_SUITE_P(Places, EachPlace, ::testing::Combine(kProxyModes, ::testing::Bool()), NameOfPlace);

TEST_P(EachPlace, EgressIsJudgedByTheBackend) {
  const std::vector<Exposed> services = {{.name = "db", .ip = "10.96.0.10", .pod = "db"},
                                         {.name = "other", .ip = "10.96.0.11", .pod = "other"},
                                         {.name = "far", .ip = "10.96.0.12", .pod = "far"},
                                         {.name = "far-db", .ip = "10.96.0.13", .pod = "far-db"}};
  Expose(services);
  EnforceAll();
  for (const Exposed& one : services) ExpectReached("web", {one.ip, kServicePort}, one.pod);
  EnforceAll(WebEgress(ToPod("db") + ", " + ToPod("far-db")));
  for (const Exposed& one : services) {
    if (one.pod == "db" || one.pod == "far-db")
      ExpectReached("web", {one.ip, kServicePort}, one.pod);
    else
      ExpectDropped("web", {one.ip, kServicePort}, one.pod);
  }
}

TEST_P(EachPlace, APodReachesItselfThoughItIsClosed) {
  Expose({{.name = "web", .ip = "10.96.0.10", .pod = "web"}, {.name = "db", .ip = "10.96.0.11", .pod = "db"}});
  EnforceAll();
  const auto before = Talk("web", {"10.96.0.10", kServicePort}, "web");
  ASSERT_TRUE(before.ok() && (*before)->Exchange());
  EnforceAll(
      "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: closed, namespace: shop}\n"
      "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress]}\n");
  for (int i = 0; i < 4; ++i) EXPECT_TRUE((*before)->Exchange()) << "decided again: " << i;
  ASSERT_TRUE((*before)->Close());
  ExpectReached("web", {"10.96.0.10", kServicePort}, "web");
  ExpectDropped("web", {"10.96.0.11", kServicePort}, "db");
  ExpectDropped("db", {"10.96.0.10", kServicePort}, "web");
  ExpectDropped("far", {IpOf("web"), kTalkPort}, "web");
}

class BehindABridge : public BesideProxy {
 protected:
  BehindABridge() { wiring_ = Wiring::kBridged; }
  void SetUp() override {
    BesideProxy::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    // As CNI's plugin bridge has it with hairpinMode.
    const Status hairpin =
        node_->netns().Ip(fmt::format("link set {} type bridge_slave hairpin on\n", Pod("web").host_interface));
    ASSERT_TRUE(hairpin.ok()) << hairpin;
    Expose({{.name = "web", .ip = "10.96.0.10", .pod = "web"}});
  }
  static std::string WebIngress(const std::string& from) {
    return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: web, namespace: shop}\n"
           "spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [" +
           from + "]}\n";
  }
  // The host's rules see what its bridge forwards; otherwise a packet to a Service is routed.
  void CallIptables(bool on) {
    if (!std::filesystem::exists("/proc/sys/net/bridge")) {
      if (on) GTEST_SKIP() << "br_netfilter is not loaded (CONFIG_BRIDGE_NETFILTER)";
      return;
    }
    ASSERT_TRUE(node_->netns().Sysctl("net/bridge/bridge-nf-call-iptables", on ? "1" : "0").ok());
  }
};
INSTANTIATE_TEST_SUITE_P(Modes, BehindABridge, kProxyModes, NameOfMode);

TEST_P(BehindABridge, AClosedPodReachesItself) {
  CallIptables(true);
  if (IsSkipped()) return;
  EnforceAll(WebIngress(""));
  ExpectReached("web", {"10.96.0.10", kServicePort}, "web");
}

// The router hides which pod a packet comes from: with the node's address, it is the node's.
TEST_P(BehindABridge, WithoutBridgeNetfilterItIsTheNode) {
  CallIptables(false);
  EnforceAll(WebIngress(""));
  ExpectDropped("web", {"10.96.0.10", kServicePort}, "web");
  EnforceAll(WebIngress("{from: [" + ToBlock({kOtherNodeIp, kNodeIp}) + "]}"));
  ExpectReached("web", {"10.96.0.10", kServicePort}, "web");
}

// kube-proxy's rules translate behind the client's veth; the backend is seen where the packet, or its answer, comes in.
TEST_P(BesideProxy, WithoutATableTheServicesAddressAndTheBackendAreJudged) {
  Expose({{.name = "db", .ip = "10.96.0.10", .pod = "db"}, {.name = "far-db", .ip = "10.96.0.11", .pod = "far-db"}});
  Put({});
  const std::string backends = ToPod("db") + ", " + ToPod("far-db"), addresses = ToBlock({"10.96.0.10", "10.96.0.11"});
  EnforceAll(WebEgress(addresses + ", " + backends));
  ExpectReached("web", {"10.96.0.10", kServicePort}, "db");
  ExpectReached("web", {"10.96.0.11", kServicePort}, "far-db");
  for (const std::string& half : {addresses, backends}) {
    EnforceAll(WebEgress(half));
    ExpectDropped("web", {"10.96.0.10", kServicePort}, "db");
  }
}

// What Sluice leaves to kube-proxy although it knows the Service.
class LeftToProxy : public BesideProxy {
 protected:
  static constexpr std::size_t kFragmented = 3000;  // bytes, of which no packet holds all

  // Both protocols, with backends at kTarget, where the fixture's sockets listen.
  void ExposeAt(const std::string& ip, const std::vector<std::string>& pods) {
    std::vector<ProxiedService> rules;
    std::vector<TestService> known;
    for (const std::uint8_t protocol : {kTcp, kUdp}) {
      ProxiedService one{.name = "shop/shop",
                         .port_name = "main",
                         .protocol = protocol,
                         .cluster_ip = ip,
                         .port = kServicePort,
                         .backends = {}};
      for (const std::string& pod : pods) one.backends.push_back({IpOf(pod), kTarget, true});
      rules.push_back(one);
      known.push_back({{ip, kServicePort}, protocol, pods});
    }
    InstallRules(rules);
    Put(known);
  }
  static bool Waits(const Fd& socket) {
    pollfd polled{socket.get(), POLLIN, 0};
    return poll(&polled, 1, 5000) == 1 && (polled.revents & POLLIN) != 0;
  }
  static bool Passes(const Fd& from, const Fd& to) {
    char byte = 'x';
    return send(from.get(), &byte, 1, MSG_NOSIGNAL) == 1 && Waits(to) && recv(to.get(), &byte, 1, 0) == 1;
  }
  static bool Exchange(const Fd& client, const Fd& served) { return Passes(client, served) && Passes(served, client); }
};

INSTANTIATE_TEST_SUITE_P(Modes, LeftToProxy, kProxyModes, NameOfMode);

TEST_P(LeftToProxy, FragmentsPassIfEachBackendIsAllowed) {
  const End service{"10.96.0.10", kServicePort};
  const auto ask = [&](std::chrono::milliseconds patience) {
    const Fd client = Open("web", AF_INET, SOCK_DGRAM);
    EXPECT_EQ(Send(client, service, std::string(kFragmented, 'x')), 0);
    return FirstReached({&db_udp_, &other_udp_}, patience) != nullptr
               ? Answer(db_udp_) ? Receive(client).from : End{"db"}
               : End{"nobody"};
  };
  ExposeAt(service.ip, {"db"});
  EnforceAll(WebEgress(ToPod("db")));
  EXPECT_EQ(ask(10s), service);
  EnforceAll(WebEgress(ToPod("other")));
  EXPECT_EQ(ask(500ms), End{"nobody"});
  ExposeAt(service.ip, {"db", "other"});
  for (int i = 0; i < 4; ++i) EXPECT_EQ(ask(500ms), End{"nobody"}) << "one of two is denied";
}

TEST_P(LeftToProxy, AConnectionFromBeforeGoesOnIfEachBackendIsAllowed) {
  const End service{"10.96.0.10", kServicePort};
  ExposeAt(service.ip, {"db", "other"});
  const auto connect = [&]() -> std::pair<Fd, Fd> {
    Fd client = Open("web", AF_INET, SOCK_STREAM);
    EXPECT_EQ(Connect(client, service), 0);
    const Fd* reached = FirstReached({&db_tcp_, &other_tcp_});
    return {std::move(client), reached != nullptr ? Fd(accept4(reached->get(), nullptr, nullptr, SOCK_CLOEXEC)) : Fd()};
  };
  const auto [first, served] = connect();
  const auto [second, served_second] = connect();
  ASSERT_TRUE(Exchange(first, served) && Exchange(second, served_second)) << "kube-proxy's rules alone";

  EnforceAll(WebEgress(ToPod("db") + ", " + ToPod("other")));
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(Exchange(first, served)) << "after the attach, exchange " << i;
  EnforceAll(WebEgress(ToPod("web")));
  EXPECT_FALSE(Passes(first, served)) << "no backend is allowed";
  EXPECT_FALSE(Passes(second, served_second)) << "idle since before the attach";
}

TEST_P(LeftToProxy, AConnectionFromBeforeIsCutAtTheAttachIfABackendIsDenied) {
  const End service{"10.96.0.10", kServicePort};
  ExposeAt(service.ip, {"db", "other"});
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, service), 0);
  const Fd* reached = FirstReached({&db_tcp_, &other_tcp_});
  ASSERT_NE(reached, nullptr);
  const Fd served(accept4(reached->get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(Exchange(client, served));
  EnforceAll(WebEgress(ToPod(reached == &db_tcp_ ? "db" : "other")));
  EXPECT_FALSE(Passes(client, served)) << "the pod cannot know which of them it reached";
}

}  // namespace
}  // namespace sluice::test
