// Node ports and addresses of load balancers beside kube-proxy: from pods of this node and of another one, and from
// outside.
#include "tests/netns/services/proxy_fixture.h"

namespace sluice::test {
namespace {

class WaysIn : public BesideProxy {
 protected:
  // The first one has the balancer, whose address is left to kube-proxy.
  void ExposeNodePorts(const std::vector<std::string>& pods, bool is_local, const std::string& balancer = {}) {
    std::vector<Exposed> services = WithNodePorts(pods, is_local);
    services.front().balancer = balancer;
    services.front().is_balancer_of_node = false;
    Expose(services);
  }
  static std::string NodesOwn() { return ToBlock({kNodeIp, kOtherNodeIp}); }
};

INSTANTIATE_TEST_SUITE_P(Modes, WaysIn, kProxyModes, NameOfMode);

class WaysInByPlace : public EachPlace {};
INSTANTIATE_TEST_SUITE_P(Places, WaysInByPlace, ::testing::Combine(kProxyModes, ::testing::Bool()), NameOfPlace);

// The node's own ports and a balancer's address, from a pod: as a cluster IP, whatever externalTrafficPolicy says.
TEST_P(WaysInByPlace, FromAPodTheBackendIsJudged) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    std::vector<Exposed> services = WithNodePorts({"db", "other", "far-db", "far"}, is_local);
    for (std::size_t i = 0; i < services.size(); ++i) services[i].balancer = "203.0.113.1" + std::to_string(i);
    Expose(services);
    EnforceAll(WebEgress(ToPod("db") + ", " + ToPod("far-db")) + DbIngress(ToPod("web")));
    for (const Exposed& one : services)
      for (const End& to : {End{kNodeIp, one.node_port}, End{one.balancer, kServicePort}})
        ExpectVerdict(one.pod == "db" || one.pod == "far-db", "web", to, one.pod);
  }
}

// At other addresses than the Node object's, kube-proxy translates: the client's policy judges the node. With Local the
// client keeps its address, and so its policy judges the backend too.
TEST_P(WaysIn, AtAnotherAddressOfTheNodeTheNodeIsJudged) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    ExposeNodePorts({"db", "far-db"}, is_local);
    EnforceAll(WebEgress(ToBlock({kOtherNodeIp}) + (is_local ? ", " + ToPod("db") + ", " + ToPod("far-db") : "")));
    ExpectReached("web", {kOtherNodeIp, kNodePort}, "db");
    ExpectReached("web", {kOtherNodeIp, kNodePort + 1}, "far-db");
    EnforceAll(WebEgress(ToPod("db") + ", " + ToPod("far-db")));
    ExpectDropped("web", {kOtherNodeIp, kNodePort}, "db");
    if (is_local) {
      EnforceAll(WebEgress(ToBlock({kOtherNodeIp})));
      ExpectDropped("web", {kOtherNodeIp, kNodePort}, "db");
    }
    EnforceAll(DbIngress(ToPod("web")));
    ExpectVerdict(is_local, "web", {kOtherNodeIp, kNodePort}, "db");
    EnforceAll(DbIngress(NodesOwn()));
    ExpectVerdict(!is_local, "web", {kOtherNodeIp, kNodePort}, "db");
  }
}

// A balancer's address that Sluice leaves to kube-proxy, as one with loadBalancerSourceRanges.
TEST_P(WaysIn, ABalancerThatIsLeftToKubeProxyIsJudgedByItsAddress) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    for (const char* pod : {"db", "far-db"}) {
      ExposeNodePorts({pod}, is_local, kBalancer);
      EnforceAll(WebEgress(ToBlock({kBalancer}) + (is_local ? ", " + ToPod(pod) : "")));
      ExpectReached("web", {kBalancer, kServicePort}, pod);
      EnforceAll(WebEgress(ToPod(pod)));
      ExpectDropped("web", {kBalancer, kServicePort}, pod);
    }
  }
}

TEST_P(WaysIn, AtAnotherNodeThatNodeIsJudged) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    ExposeNodePorts({"far-db", "db"}, is_local);
    EnforceAll(WebEgress(ToBlock({kFarNodeIp})));
    ExpectReached("web", {kFarNodeIp, kNodePort}, "far-db");
    EnforceAll(WebEgress(ToPod("far-db") + ", " + ToPod("db")));
    ExpectDropped("web", {kFarNodeIp, kNodePort}, "far-db");
  }
  // The other node sends it back here, from its own address.
  ExposeNodePorts({"far-db", "db"}, false);
  EnforceAll(WebEgress(ToBlock({kFarNodeIp})) + DbIngress(ToBlock({kFarNodeIp})));
  ExpectReached("web", {kFarNodeIp, kNodePort + 1}, "db");
  EnforceAll(DbIngress(ToPod("web")));
  ExpectDropped("web", {kFarNodeIp, kNodePort + 1}, "db");
}

// This node is the other one.
TEST_P(WaysIn, FromAPodOfAnotherNodeItsAddressStaysWithLocalAlone) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    ExposeNodePorts({"db", "far-db"}, is_local);
    EnforceAll();
    ExpectReached("far", {kNodeIp, kNodePort}, "db");
    // Not with Local: the answer of far-db to far would not come by here, where the address was translated.
    if (!is_local) ExpectReached("far", {kNodeIp, kNodePort + 1}, "far-db");
    EnforceAll(DbIngress(ToPod("far")));
    ExpectVerdict(is_local, "far", {kNodeIp, kNodePort}, "db");
    EnforceAll(DbIngress(NodesOwn()));
    ExpectVerdict(!is_local, "far", {kNodeIp, kNodePort}, "db");
  }
}

TEST_P(WaysIn, FromOutsideTheClientsAddressStaysWithLocalAlone) {
  for (const bool is_local : {false, true}) {
    SCOPED_TRACE(is_local ? "Local" : "Cluster");
    ExposeNodePorts({"db", "far-db"}, is_local, kBalancer);
    const std::vector<End> ways = {{kNodeIp, kNodePort}, {kBalancer, kServicePort}};
    EnforceAll();
    for (const End& way : ways) ExpectReached("outside", way, "db");
    // Only with Cluster does a node lead to a backend of another one.
    ExpectVerdict(!is_local, "outside", {kNodeIp, kNodePort + 1}, "far-db");
    EnforceAll(DbIngress(ToBlock({kOutsideIp})));
    for (const End& way : ways) ExpectVerdict(is_local, "outside", way, "db");
    EnforceAll(DbIngress(NodesOwn()));
    for (const End& way : ways) ExpectVerdict(!is_local, "outside", way, "db");
  }
}

}  // namespace
}  // namespace sluice::test
