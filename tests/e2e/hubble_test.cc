// Hubble's API of a real agent, with real packets of real programs.
#include <gmock/gmock.h>
#include <google/protobuf/struct.pb.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "testbed/command.h"
#include "tests/e2e/constants.h"
#include "tests/e2e/hubble_client.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::HasSubstr;

class Hubble : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    char directory[] = "/tmp/sluice-hubble-XXXXXX";
    ASSERT_NE(::mkdtemp(directory), nullptr);
    directory_ = directory;
    auto fixture = NodeFixture::Create(
        {.pods = {"web", "db"}, .args = {"--hubble-api", address(), "--node-name", "node-1"}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied = fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                                   fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
    client_ = std::make_unique<HubbleClient>(address());
  }
  ~Hubble() override {
    fixture_.reset();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  std::string address() const { return "unix://" + directory_ + "/hubble.sock"; }

  // `script` for bash in web.
  void RunInWeb(const std::string& script) const {
    const auto ran = fixture_->node().RunCommandIn(fixture_->node().pod("web"), {"/bin/bash", "-c", script});
    ASSERT_TRUE(ran.ok()) << ran.status();
    EXPECT_EQ(ran->exit_code, 0) << ran->output;
  }
  // A datagram of bash's own.
  void SendToDb(std::uint16_t port) const {
    RunInWeb(fmt::format("echo hello > /dev/udp/{}/{}", fixture_->ip4("db").ToString(), port));
  }
  // As soon as `count` flows match.
  std::vector<flow::Flow> Await(const flow::FlowFilter& filter, std::size_t count = 1) const {
    observer::GetFlowsRequest request;
    *request.add_whitelist() = filter;
    std::vector<flow::Flow> flows;
    EXPECT_TRUE(Eventually([&] {
      flows = client_->Flows(request);
      return flows.size() >= count;
    })) << filter.DebugString();
    flows.resize(std::max(flows.size(), count));
    return flows;
  }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
  std::unique_ptr<HubbleClient> client_;
};

flow::FlowFilter ToPort(std::uint16_t port, std::int32_t event_type) {
  flow::FlowFilter filter;
  filter.add_source_pod("shop/web");
  filter.add_destination_pod("shop/db");
  filter.add_destination_port(std::to_string(port));
  filter.add_event_type()->set_type(event_type);
  return filter;
}

TEST_F(Hubble, AnAllowedAndADeniedFlowWithPoliciesAndPrograms) {
  SendToDb(kOpen);
  SendToDb(kClosed);
  const flow::Flow allowed = Await(ToPort(kOpen, 4))[0];
  EXPECT_EQ(allowed.verdict(), flow::FORWARDED);
  EXPECT_EQ(allowed.node_name(), "node-1");
  EXPECT_EQ(allowed.ip().source(), fixture_->ip4("web").ToString());
  EXPECT_EQ(allowed.ip().destination(), fixture_->ip4("db").ToString());
  EXPECT_FALSE(allowed.is_reply().value());
  EXPECT_THAT(allowed.source().labels(), Contains("k8s:app=web"));
  EXPECT_NE(allowed.source().identity(), allowed.destination().identity());
  EXPECT_GT(allowed.source().identity(), 255U);
  EXPECT_THAT(allowed.summary(), HasSubstr("UDP; from /usr/bin/bash"));
  google::protobuf::Struct extensions;
  ASSERT_TRUE(allowed.extensions().UnpackTo(&extensions)) << allowed.extensions().type_url();
  const auto& process = extensions.fields().at("source").struct_value().fields().at("process").struct_value();
  EXPECT_EQ(process.fields().at("binary").string_value(), "/usr/bin/bash");
  ASSERT_EQ(allowed.ingress_allowed_by_size(), 1);
  EXPECT_EQ(allowed.ingress_allowed_by(0).name(), "db");

  const flow::Flow denied = Await(ToPort(kClosed, 1))[0];
  EXPECT_EQ(denied.verdict(), flow::DROPPED);
  EXPECT_EQ(denied.event_type().sub_type(), 133);
  EXPECT_EQ(denied.drop_reason_desc(), flow::POLICY_DENIED);
  EXPECT_THAT(denied.summary(), HasSubstr("from /usr/bin/bash"));
  const flow::Flow verdict = Await(ToPort(kClosed, 5))[0];
  EXPECT_EQ(verdict.verdict(), flow::DROPPED);
  EXPECT_EQ(verdict.traffic_direction(), flow::INGRESS);
  ASSERT_EQ(verdict.ingress_denied_by_size(), 1);
  EXPECT_EQ(verdict.ingress_denied_by(0).name(), "db");
  EXPECT_EQ(verdict.ingress_denied_by(0).kind(), "NetworkPolicy");

  flow::FlowFilter by_reason;
  by_reason.add_drop_reason_desc(flow::POLICY_DENIED);
  by_reason.add_uuid(denied.uuid());
  EXPECT_EQ(Await(by_reason)[0].time().nanos(), denied.time().nanos());
}

// A later packet is reported at most every five seconds; here it is db's, which lets web wait.
TEST_F(Hubble, AReplyAfterAWhile) {
  auto server = fixture_->node().StartIn(
      fixture_->node().pod("db"), {"/usr/bin/perl", "-e",
                                   "use IO::Socket::INET; $|=1; my "
                                   "$s=IO::Socket::INET->new(Proto=>'udp',LocalPort=>1000) or die; print qq(ready\\n);"
                                   "$s->recv(my $b,99); sleep 6; $s->send('answer'); sleep 30;"});
  ASSERT_TRUE(server.ok()) << server.status();
  ASSERT_TRUE(server->WaitForOutput("ready").ok());
  RunInWeb(
      fmt::format("exec 3<>/dev/udp/{}/1000; echo hello >&3; read -r -t 12 -N 6 answer <&3; [ \"$answer\" = answer ]",
                  fixture_->ip4("db").ToString()));
  flow::FlowFilter filter;
  filter.add_reply(true);
  const flow::Flow reply = Await(filter)[0];
  EXPECT_TRUE(reply.is_reply().value());
  EXPECT_EQ(reply.source().pod_name(), "db");
  EXPECT_EQ(reply.destination().pod_name(), "web");
  EXPECT_EQ(reply.l4().udp().source_port(), 1000U);
  EXPECT_EQ(reply.trace_reason(), flow::REPLY);
}

TEST_F(Hubble, StatusNodesAndNamespaces) {
  SendToDb(kOpen);
  Await(ToPort(kOpen, 4));
  grpc::ClientContext status_context, nodes_context, namespaces_context;
  observer::ServerStatusResponse status;
  ASSERT_TRUE(client_->stub().ServerStatus(&status_context, {}, &status).ok());
  EXPECT_GE(status.num_flows(), 2U) << "the packet, and the verdict of db's policy";
  EXPECT_EQ(status.max_flows(), 4095U);
  observer::GetNodesResponse nodes;
  ASSERT_TRUE(client_->stub().GetNodes(&nodes_context, {}, &nodes).ok());
  ASSERT_EQ(nodes.nodes_size(), 1);
  EXPECT_EQ(nodes.nodes(0).name(), "node-1");
  observer::GetNamespacesResponse namespaces;
  ASSERT_TRUE(client_->stub().GetNamespaces(&namespaces_context, {}, &namespaces).ok());
  ASSERT_EQ(namespaces.namespaces_size(), 1);
  EXPECT_EQ(namespaces.namespaces(0).namespace_(), "shop");
}

TEST_F(Hubble, AWrongOptionEndsTheAgentWithItsName) {
  struct Wrong {
    Arguments arguments;
    std::string why;
    int exit_code;
  };
  for (const Wrong& wrong : std::vector<Wrong>{
           {{"--hubble-api", "127.0.0.1:4244"}, "--hubble-api 127.0.0.1:4244: TCP is served only by mutual TLS", 2},
           {{"--hubble-api", address()}, "give this one its own --hubble-api", 1},
           {{"--hubble-peer", "node-2"}, "node-2: expected NAME=IP:PORT", 2},
           {{"--hubble-flows", "0"}, "--hubble-flows", 2}}) {
    Arguments all{BinDirectory() + "/sluiced",
                  "--state-dir",
                  directory_ + "/state",
                  "--bpf-root",
                  "/sys/fs/bpf/sluice-hubble-none",
                  "--api",
                  "unix://" + directory_ + "/api.sock",
                  "--metrics",
                  ""};
    all.insert(all.end(), wrong.arguments.begin(), wrong.arguments.end());
    const auto ended = fixture_->Run(all);
    ASSERT_TRUE(ended.ok()) << ended.status();
    EXPECT_EQ(ended->exit_code, wrong.exit_code) << ended->output;
    EXPECT_THAT(ended->output, HasSubstr(wrong.why));
  }
}

// As the agent is started without a word about Hubble.
class HubbleDefault : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    socket_ = fixture_->agent().directory() + "/hubble.sock";  // beside that of --api
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::string socket_;
};

TEST_F(HubbleDefault, IsServedBesideTheApisSocketAndRecordsFromTheFirstCallOn) {
  const Status applied =
      fixture_->agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
  ASSERT_TRUE(applied.ok()) << applied;
  const HubbleClient client("unix://" + socket_);
  EXPECT_TRUE(client.Flows({}).empty());
  fixture_->Udp("web", "db", kOpen, true);
  std::vector<flow::Flow> flows;
  EXPECT_TRUE(Eventually([&] {
    flows = client.Flows({});
    return !flows.empty();
  }));
  ASSERT_FALSE(flows.empty());
  EXPECT_EQ(flows[0].source().pod_name(), "web");
}

TEST_F(HubbleDefault, AnEmptyAddressIsNotServed) {
  EXPECT_TRUE(std::filesystem::exists(socket_));
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  ASSERT_TRUE(fixture_->agent().Restart({"--hubble-api", ""}).ok()) << fixture_->agent().Log();
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

// A file of somebody else at the default address keeps no agent from starting; at one that was asked for it does.
TEST_F(HubbleDefault, AnAddressThatNobodyGaveKeepsNoAgentFromStarting) {
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  std::filesystem::create_directory(socket_);
  ASSERT_TRUE(fixture_->agent().Restart().ok()) << fixture_->agent().Log();
  EXPECT_THAT(fixture_->agent().Log(), HasSubstr("Hubble's service is not served: "));
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_FALSE(fixture_->agent().Restart({"--hubble-api", "unix://" + socket_}).ok());
}

}  // namespace
}  // namespace sluice::test
