// Pods as other network plugins make them, with the real sluice-cni behind those and the real agent: Debian's plugins
// (package containernetworking-plugins), and interfaces and routes as Calico and AWS' plugin make them. Kindnet uses
// ptp, flannel uses bridge.
#include <arpa/inet.h>
#include <gmock/gmock.h>

#include "tests/e2e_kube/kubernetes_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Values;

std::string MissingPlugins() {
  for (const char* name : {"bridge", "ptp", "macvlan", "ipvlan", "host-device", "host-local"}) {
    const std::string path = std::string(kCniPlugins) + "/" + name;
    if (!std::filesystem::exists(path)) return path + " is missing (package containernetworking-plugins)";
  }
  return "";
}

// A pod that a runtime gives to a chain of plugins.
struct ChainedPod {
  std::string name;
  TestNetNs netns;
  std::string ip;  // of eth0
  json network;    // configuration of the primary plugin; null: this test is the plugin
  json result;     // of the primary plugin
};

class PrimaryNetworks : public KubernetesFixture {
 protected:
  void SetUp() override {
    SL_SKIP_OR_FAIL_IF(MissingPlugins());
    KubernetesFixture::SetUp();
  }
  // The node's card and its default route, without which the host is no proxy for the pods' gateway.
  void Prepare(TestNode& node) override {
    const Status made = node.netns().Ip(
        "link add card type veth peer name cable\nlink set card up\nlink set cable up\n"
        "addr add 192.0.2.1/24 dev card\nroute add default via 192.0.2.2\n");
    ASSERT_TRUE(made.ok()) << made;
  }

  CommandResult RunPlugin(const std::string& plugin, const std::string& command, const ChainedPod& pod,
                          const json& config) const {
    return RunCni(plugin, command, "sandbox-" + pod.name, pod.netns.path(), pod.name, config.dump());
  }
  json HostLocal(const std::string& subnet) const {
    return {{"type", "host-local"},
            {"ranges", {{{{"subnet", subnet}}}}},
            {"routes", {{{"dst", "0.0.0.0/0"}}}},
            {"dataDir", directory_ + "/ipam"}};
  }
  static json Network(const std::string& type, const json& keys) {
    json network = {{"cniVersion", "1.0.0"}, {"name", "net"}, {"type", type}};
    network.update(keys);
    return network;
  }
  ChainedPod MakePod(const std::string& name) const {
    auto netns = TestNetNs::Create(name);
    EXPECT_TRUE(netns.ok()) << netns.status();
    return {.name = name, .netns = *std::move(netns), .ip = "", .network = nullptr, .result = nullptr};
  }
  // Runs the primary plugin.
  testing::AssertionResult AddPrimary(ChainedPod& pod, json network) const {
    pod.network = std::move(network);
    const CommandResult added =
        RunPlugin(std::string(kCniPlugins) + "/" + pod.network["type"].get<std::string>(), "ADD", pod, pod.network);
    if (added.exit_code != 0) return testing::AssertionFailure() << added.output;
    pod.result = json::parse(added.output, nullptr, false);
    if (!pod.result.is_object()) return testing::AssertionFailure() << added.output;
    if (pod.result.contains("ips")) {
      pod.ip = pod.result["ips"][0]["address"];
      pod.ip = pod.ip.substr(0, pod.ip.find('/'));
    }
    return testing::AssertionSuccess();
  }
  CommandResult Own(const std::string& command, const ChainedPod& pod) const {
    return RunPlugin(BinDirectory() + "/sluice-cni", command, pod,
                     Network("sluice-cni", {{"socket", directory_ + "/cni.sock"}, {"prevResult", pod.result}}));
  }
  ProbeOutcome Send(std::uint8_t protocol, int from, const std::string& to, bool expect_allowed) const {
    const auto results = RunProbes({{.netns_fd = from,
                                     .destination = policy::Address::Parse(to).value(),
                                     .protocol = protocol,
                                     .port = kPort,
                                     .timeout = std::chrono::milliseconds(expect_allowed ? 10'000 : 300)}});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front().outcome : ProbeOutcome::kError;
  }
  // What UDP and TCP get, the same for both.
  ProbeOutcome SendBoth(int from, const std::string& to, bool expect_allowed) const {
    const ProbeOutcome udp = Send(policy::kUdp, from, to, expect_allowed);
    EXPECT_EQ(Send(policy::kTcp, from, to, expect_allowed), udp) << "TCP and UDP differ";
    return udp;
  }
};

// Interfaces with a host end. The parameter is the form.
class VethNetworks : public PrimaryNetworks, public ::testing::WithParamInterface<const char*> {
 protected:
  std::string form() const { return GetParam(); }

  // The pod's interface as the primary plugin leaves it.
  testing::AssertionResult AddPrimary(ChainedPod& pod, int number) {
    if (form() == "bridge") {
      return PrimaryNetworks::AddPrimary(pod, Network("bridge", {{"bridge", "cni0"},
                                                                 {"isGateway", true},
                                                                 {"hairpinMode", true},
                                                                 {"ipam", HostLocal("10.88.0.0/24")}}));
    }
    if (form() == "ptp") {
      return PrimaryNetworks::AddPrimary(pod, Network("ptp", {{"ipam", HostLocal("10.88.0.0/24")}}));
    }
    if (number == 1) {
      const Status ready = fixture_->node().netns().Ip("rule add to 10.1.0.0/24 lookup main pref 511\n");
      if (!ready.ok()) return testing::AssertionFailure() << ready;
    }
    pod.ip = fmt::format("10.88.0.{}", 10 + number);
    const Status made = form() == "calico" ? AsCalico(pod, number) : AsAws(pod, number);
    return made.ok() ? testing::AssertionSuccess() : testing::AssertionFailure() << made;
  }
  void DeletePrimary(const ChainedPod& pod, int number) const {
    if (pod.network.is_object()) {
      json network = pod.network;
      network["prevResult"] = pod.result;
      const CommandResult deleted =
          RunPlugin(std::string(kCniPlugins) + "/" + network["type"].get<std::string>(), "DEL", pod, network);
      EXPECT_EQ(deleted.exit_code, 0) << deleted.output;
      return;
    }
    const Status deleted = fixture_->node().netns().Ip(fmt::format("link del {}\n", HostEnd(number)));
    EXPECT_TRUE(deleted.ok()) << deleted;
  }

 private:
  std::string HostEnd(int number) const { return (form() == "calico" ? "cali" : "eni") + std::to_string(number); }

  // All host ends have one MAC. The gateway's is found by ARP, which the host answers as a proxy. The result names no
  // interface of the pod.
  Status AsCalico(ChainedPod& pod, int number) const {
    const TestNetNs& node = fixture_->node().netns();
    const std::string host = HostEnd(number);
    SL_RETURN_IF_ERROR(node.Ip(fmt::format("link add {} address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns {}\n",
                                           host, pod.netns.name())));
    for (const auto& [key, value] :
         {std::pair("proxy_arp", "1"), std::pair("forwarding", "1"), std::pair("rp_filter", "1")}) {
      SL_RETURN_IF_ERROR(node.Sysctl(fmt::format("net/ipv4/conf/{}/{}", host, key), value));
    }
    SL_RETURN_IF_ERROR(node.Sysctl(fmt::format("net/ipv4/neigh/{}/proxy_delay", host), "0"));
    SL_RETURN_IF_ERROR(node.Ip(fmt::format("link set {0} up\nroute add {1}/32 dev {0} scope link\n", host, pod.ip)));
    SL_RETURN_IF_ERROR(
        pod.netns.Ip(fmt::format("link set eth0 up\naddr add {}/32 dev eth0\n"
                                 "route add 169.254.1.1 dev eth0 scope link\nroute add default via 169.254.1.1\n",
                                 pod.ip)));
    pod.result = {
        {"cniVersion", "1.0.0"}, {"interfaces", {{{"name", host}}}}, {"ips", {{{"address", pod.ip + "/32"}}}}};
    return OkStatus();
  }

  // The gateway's MAC is set. The host's routes to and from a pod are in tables of its own, which rules choose, as of
  // pods with a network card of their own. What is sent to the pods of the fixture goes by the main table.
  Status AsAws(ChainedPod& pod, int number) const {
    const TestNetNs& node = fixture_->node().netns();
    const std::string host = HostEnd(number);
    const std::string mac = fmt::format("02:00:00:09:00:{:02x}", number);
    SL_RETURN_IF_ERROR(
        node.Ip(fmt::format("link add {0} address {1} type veth peer name eth0 netns {2}\n"
                            "link set {0} up\n"
                            "route add {3}/32 dev {0} scope link table {4}\n"
                            "rule add to {3}/32 lookup {4} pref 512\n"
                            "rule add from {3}/32 lookup {5} pref 1536\n"
                            "route add unreachable default table {5}\n",
                            host, mac, pod.netns.name(), pod.ip, 100 + number, 200 + number)));
    SL_RETURN_IF_ERROR(pod.netns.Ip(
        fmt::format("link set eth0 up\naddr add {}/32 dev eth0\n"
                    "route add 169.254.1.1 dev eth0 scope link\nroute add default via 169.254.1.1 dev eth0\n"
                    "neigh add 169.254.1.1 lladdr {} dev eth0 nud permanent\n",
                    pod.ip, mac)));
    pod.result = {{"cniVersion", "1.0.0"},
                  {"interfaces", {{{"name", host}, {"mac", mac}}, {{"name", "eth0"}, {"sandbox", pod.netns.path()}}}},
                  {"ips", {{{"address", pod.ip + "/32"}, {"interface", 1}}}}};
    return OkStatus();
  }
};

constexpr char kOnlyWebReachesApp[] =
    R"({"metadata": {"name": "app", "namespace": "shop"}, "spec": {"podSelector": {"matchLabels": {"app": "app"}},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}})";

// `first` has the rights of web, which db allows; `second` has none. Only those with web's label reach `second`.
TEST_P(VethNetworks, APodIsEnforcedOnFromItsFirstPacketUntilDel) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPolicies, kOnlyWebReachesApp);
  api_->Put(kPods, Pod("first", "web"));
  api_->Put(kPods, Pod("second", "app"));
  ChainedPod first = MakePod("first"), second = MakePod("second");
  const std::string db = fixture_->node().pod("db").ip4;
  auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .protocol = policy::kTcp, .port = kPort},
                                      {.netns_fd = second.netns.fd(), .protocol = policy::kTcp, .port = kPort},
                                      {.netns_fd = second.netns.fd(), .protocol = policy::kUdp, .port = kPort},
                                      {.netns_fd = first.netns.fd(), .protocol = policy::kTcp, .port = kPort},
                                      {.netns_fd = first.netns.fd(), .protocol = policy::kUdp, .port = kPort}});
  ASSERT_TRUE(servers.ok()) << servers.status();
  int number = 0;
  for (ChainedPod* pod : {&first, &second}) {
    ASSERT_TRUE(AddPrimary(*pod, ++number));
    const CommandResult added = Own("ADD", *pod);
    ASSERT_EQ(added.exit_code, 0) << added.output;
    EXPECT_EQ(json::parse(added.output), pod->result) << "the result of the plugin before it";
    // The first packet of the pod, at once.
    const bool allowed = pod == &first;
    EXPECT_EQ(Send(policy::kUdp, pod->netns.fd(), db, allowed),
              allowed ? ProbeOutcome::kAllowed : ProbeOutcome::kTimeout);
    EXPECT_EQ(Own("CHECK", *pod).exit_code, 0);
  }
  // Often enough that flows take the redirect.
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(SendBoth(first.netns.fd(), db, true), ProbeOutcome::kAllowed) << "egress";
    ASSERT_EQ(SendBoth(first.netns.fd(), second.ip, true), ProbeOutcome::kAllowed) << "between two of the form";
    ASSERT_EQ(SendBoth(fixture_->netns_fd("web"), second.ip, true), ProbeOutcome::kAllowed) << "ingress";
    ASSERT_EQ(SendBoth(second.netns.fd(), first.ip, true), ProbeOutcome::kAllowed) << "nothing isolates first";
  }
  EXPECT_EQ(SendBoth(second.netns.fd(), db, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(SendBoth(fixture_->netns_fd("db"), second.ip, false), ProbeOutcome::kTimeout);
  EXPECT_THAT(Sluice({"get", "workloads"}), AllOf(HasSubstr(first.ip), HasSubstr(second.ip)));

  // Both directions follow a change.
  api_->Put(kPods, Pod("first", "other"));
  EXPECT_TRUE(Eventually([&] { return Send(policy::kUdp, first.netns.fd(), db, false) == ProbeOutcome::kTimeout; }));
  EXPECT_EQ(SendBoth(first.netns.fd(), db, false), ProbeOutcome::kTimeout);
  EXPECT_EQ(SendBoth(first.netns.fd(), second.ip, false), ProbeOutcome::kTimeout);

  number = 0;
  for (const ChainedPod* pod : {&first, &second}) {
    const CommandResult deleted = Own("DEL", *pod);
    EXPECT_EQ(deleted.exit_code, 0) << deleted.output;
    DeletePrimary(*pod, ++number);
  }
  EXPECT_TRUE(Eventually([&] { return Sluice({"get", "workloads"}).find("first") == std::string::npos; }));
  EXPECT_THAT(Sluice({"status"}), ::testing::StartsWith("enforcing"));
}

INSTANTIATE_TEST_SUITE_P(Forms, VethNetworks, Values("bridge", "ptp", "calico", "aws"),
                         [](const auto& form) { return std::string(form.param); });

// Interfaces without a host end, by the real plugins.
class OtherNetworks : public PrimaryNetworks, public ::testing::WithParamInterface<const char*> {};

TEST_P(OtherNetworks, ARefusalNamesTheKind) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPods, Pod("other", "web"));
  ChainedPod pod = MakePod("other");
  const std::string type = GetParam();
  json network = Network(type, {{"ipam", HostLocal("10.88.0.0/24")}});
  if (type == "host-device") {
    ASSERT_TRUE(fixture_->node().netns().Ip("link add link card name spare type macvlan mode bridge\n").ok());
    network["device"] = "spare";
  } else {
    if (!fixture_->node().netns().Ip("link add link card name probe type " + type + "\nlink del probe\n").ok()) {
      GTEST_SKIP() << "this kernel has no " << type;
    }
    network["master"] = "card";
  }
  ASSERT_TRUE(AddPrimary(pod, network));
  const CommandResult added = Own("ADD", pod);
  EXPECT_NE(added.exit_code, 0);
  const std::string kind = "of kind " + (type == "host-device" ? "macvlan" : type);
  EXPECT_THAT(added.output, AllOf(HasSubstr("\"code\": 101"), HasSubstr("shop/other: eth0 in "), HasSubstr(kind),
                                  HasSubstr("a veth is needed")));
  EXPECT_EQ(Own("DEL", pod).exit_code, 0) << "as the runtime cleans up after the refusal";
  EXPECT_EQ(Sluice({"get", "workloads"}).find("other"), std::string::npos);
}

INSTANTIATE_TEST_SUITE_P(Kinds, OtherNetworks, Values("macvlan", "ipvlan", "host-device"), [](const auto& kind) {
  std::string name = kind.param;
  std::erase(name, '-');
  return name;
});

}  // namespace
}  // namespace sluice::test
