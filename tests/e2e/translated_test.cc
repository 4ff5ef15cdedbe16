// A Service's address, which the node rewrites to a backend's as kube-proxy does: who is named where. The client's flow
// has the address that its packets carry, the backend's has its own, and nobody else is named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/e2e/hubble_client.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

constexpr char kService[] = "10.96.0.10";
constexpr std::uint16_t kServicePort = 80;
constexpr std::uint16_t kBackendPort = 1000;

class Translated : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db", "idle"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") +
                                                   fixture_->WorkloadYaml("idle", "{app: idle}") + kDbFromWeb);
    ASSERT_TRUE(applied.ok()) << applied;
    db_ = fixture_->ip4("db").ToString();
    web_ = fixture_->ip4("web").ToString();
    const std::string rules = fmt::format(
        "table ip services {{ chain prerouting {{ type nat hook prerouting priority dstnat; "
        "ip daddr {} tcp dport {} dnat to {}:{}; }}; }}",
        kService, kServicePort, db_, kBackendPort);
    const auto translated = fixture_->Run({"nft", rules});
    ASSERT_TRUE(translated.ok() && translated->exit_code == 0) << translated->output;
    auto servers = ProbeServers::Start({{.netns_fd = fixture_->netns_fd("db"), .port = kBackendPort}});
    ASSERT_TRUE(servers.ok()) << servers.status();
    servers_ = *std::move(servers);
  }

  // One connection from the pod to the Service.
  ProbeOutcome Call(const std::string& pod) const {
    const auto results =
        RunProbes({{.netns_fd = fixture_->netns_fd(pod),
                    .destination = *policy::Address::Parse(kService),
                    .protocol = policy::kTcp,
                    .port = kServicePort,
                    .timeout = pod == "web" ? std::chrono::milliseconds(10000) : std::chrono::milliseconds(500)}});
    EXPECT_TRUE(results.ok()) << results.status();
    return results.ok() ? results->front().outcome : ProbeOutcome::kError;
  }
  std::string Sluice(const Arguments& arguments) const {
    const auto result = fixture_->agent().Sluice(arguments);
    EXPECT_TRUE(result.ok()) << result.status();
    if (!result.ok()) return "";
    EXPECT_EQ(result->exit_code, 0) << result->err;
    return result->out;
  }
  std::vector<json> Lines(const Arguments& arguments) const {
    std::vector<json> lines;
    std::istringstream text(Sluice(arguments));
    for (std::string line; std::getline(text, line);) lines.push_back(json::parse(line));
    return lines;
  }

  // "shop/web 10.1.0.2 -> (world) 10.96.0.10:80"
  static std::string Ends(const json& flow) {
    const auto name = [&](const char* end) {
      const json peer = flow.value(end, json::object());
      if (peer.contains("workload")) return peer.value("namespace", "") + "/" + peer.value("workload", "");
      return "(" + peer.value("entity", "") + ")";
    };
    return fmt::format("{} {} -> {} {}:{}", name("source"), flow["ip"].value("source", ""), name("destination"),
                       flow["ip"].value("destination", ""), flow["l4"].value("destinationPort", 0));
  }
  static std::set<std::string> AllEnds(const std::vector<json>& flows) {
    std::set<std::string> ends;
    for (const json& flow : flows) ends.insert(Ends(flow));
    return ends;
  }
  std::string ClientsFlow() const { return fmt::format("shop/web {} -> (world) {}:{}", web_, kService, kServicePort); }
  std::string BackendsFlow() const { return fmt::format("shop/web {} -> shop/db {}:{}", web_, db_, kBackendPort); }

  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<ProbeServers> servers_;
  std::string db_, web_;
};

TEST_F(Translated, EachEndIsNamedByWhatItsPacketsCarry) {
  ASSERT_EQ(Call("web"), ProbeOutcome::kAllowed);
  const Arguments observe{"observe", "--all", "--type", "flow", "-o", "json"};
  ASSERT_TRUE(Eventually([&] { return AllEnds(Lines(observe)).size() >= 2; }));
  EXPECT_THAT(AllEnds(Lines(observe)), UnorderedElementsAre(ClientsFlow(), BackendsFlow()));
  EXPECT_THAT(AllEnds(Lines({"get", "flows", "-o", "json"})), UnorderedElementsAre(ClientsFlow(), BackendsFlow()));
  for (const json& flow : Lines({"get", "flows", "-o", "json"})) {
    EXPECT_EQ(flow["verdict"], "FORWARDED") << flow;
    EXPECT_GE(flow["forward"]["packets"].get<int>(), 3) << flow;
    EXPECT_GE(flow["backward"]["packets"].get<int>(), 3) << "the answers are the same flow's: " << flow;
    EXPECT_EQ(flow["reply"], false) << flow;
  }
}

TEST_F(Translated, TopAndDescribeNameTheSameEnds) {
  ASSERT_EQ(Call("web"), ProbeOutcome::kAllowed);
  const auto peers = [&](const std::string& workload) {
    std::set<std::string> names;
    for (const json& row : Lines({"top", "--once", "--interval", "0.1", "--by", "peer", "-o", "json"})) {
      if (row["workload"] == workload && row.contains("peer")) names.insert(row["peer"]);
    }
    return names;
  };
  EXPECT_TRUE(Eventually([&] { return peers("shop/web").size() >= 2; }));
  EXPECT_THAT(peers("shop/web"), UnorderedElementsAre(kService, "shop/db"));
  EXPECT_THAT(peers("shop/db"), UnorderedElementsAre("shop/web"));
  EXPECT_TRUE(peers("shop/idle").empty());
  const std::string to_service = fmt::format("({}", web_),
                    at_backend = fmt::format("shop/db:{} ({}", kBackendPort, db_);
  EXPECT_THAT(Sluice({"describe", "workload", "shop/web"}),
              AllOf(HasSubstr(fmt::format("-> {}:{} (world) TCP", kService, kServicePort)), HasSubstr(to_service),
                    HasSubstr(at_backend)));
  EXPECT_THAT(Sluice({"describe", "workload", "shop/db"}),
              AllOf(HasSubstr(to_service), HasSubstr(at_backend), Not(HasSubstr(kService))));
  EXPECT_THAT(Sluice({"describe", "workload", "shop/idle"}), HasSubstr("Last flows:\n  none are known\n"));
}

// Rules about peers count at each place with the address that packets have there: at the client the Service's, and
// where the backend is on this node too, at its interface the backend's.
TEST_F(Translated, PeersOfAKubeArmorPolicyAreWhatPacketsCarryAtEachEnd) {
  const auto apply = [&](const std::string& peer) {
    const Status applied = fixture_->agent().Apply(
        fmt::format("{{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {{name: peers, "
                    "namespace: shop}}, spec: {{selector: {{matchLabels: {{app: web}}}}, network: {{matchPeers: "
                    "[{{cidr: {}/32, protocol: tcp}}]}}}}}}\n",
                    peer));
    EXPECT_TRUE(applied.ok()) << applied;
  };
  const auto dropped = [&] {
    return AllEnds(Lines({"observe", "--all", "--type", "flow", "-o", "json", "--verdict", "DROPPED"}));
  };
  apply("10.9.0.9");
  EXPECT_EQ(Call("web"), ProbeOutcome::kAllowed);
  apply(kService);
  EXPECT_EQ(Call("web"), ProbeOutcome::kTimeout);
  ASSERT_TRUE(Eventually([&] { return !dropped().empty(); }));
  EXPECT_THAT(dropped(), UnorderedElementsAre(ClientsFlow()));
  apply(db_);
  EXPECT_EQ(Call("web"), ProbeOutcome::kTimeout);
  ASSERT_TRUE(Eventually([&] { return dropped().size() == 2; }));
  EXPECT_THAT(dropped(), UnorderedElementsAre(ClientsFlow(), BackendsFlow()));
}

// Hubble's clients see both, each with the address of its packets.
TEST_F(Translated, HubbleShowsTheSameEnds) {
  const HubbleClient client("unix://" + fixture_->agent().directory() + "/hubble.sock");
  client.Flows({});  // recorded from now on
  ASSERT_EQ(Call("web"), ProbeOutcome::kAllowed);
  observer::GetFlowsRequest request;
  request.add_whitelist()->add_event_type()->set_type(4);
  const auto ends = [&] {
    std::set<std::string> all;
    for (const flow::Flow& one : client.Flows(request)) {
      if (one.is_reply().value()) continue;
      const auto name = [](const flow::Endpoint& end) {
        return end.pod_name().empty() ? "(world)" : end.namespace_() + "/" + end.pod_name();
      };
      all.insert(fmt::format("{} {} -> {} {}:{}", name(one.source()), one.ip().source(), name(one.destination()),
                             one.ip().destination(), one.l4().tcp().destination_port()));
    }
    return all;
  };
  ASSERT_TRUE(Eventually([&] { return ends().size() >= 2; }));
  EXPECT_THAT(ends(), UnorderedElementsAre(ClientsFlow(), BackendsFlow()));
}

// The client's own flow is not what was dropped.
TEST_F(Translated, ADropAtTheBackendNamesTheRealClient) {
  EXPECT_EQ(Call("idle"), ProbeOutcome::kTimeout);
  const Arguments observe{"observe", "--all", "--type", "flow", "-o", "json", "--verdict"};
  const auto with = [&](const char* verdict) {
    Arguments all = observe;
    all.emplace_back(verdict);
    return AllEnds(Lines(all));
  };
  ASSERT_TRUE(Eventually([&] { return !with("DROPPED").empty() && !with("FORWARDED").empty(); }));
  const std::string idle = fixture_->ip4("idle").ToString();
  EXPECT_THAT(with("DROPPED"),
              UnorderedElementsAre(fmt::format("shop/idle {} -> shop/db {}:{}", idle, db_, kBackendPort)));
  EXPECT_THAT(with("FORWARDED"),
              UnorderedElementsAre(fmt::format("shop/idle {} -> (world) {}:{}", idle, kService, kServicePort)));
}

}  // namespace
}  // namespace sluice::test
