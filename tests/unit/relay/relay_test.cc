// The relay as a whole, in this process, with fake agents and real clients.
#include "ctrl/relay/relay.h"

#include <grpcpp/create_channel.h>

#include "ctrl/relay/relay_metrics.h"
#include "tests/unit/relay/cluster_fixture.h"

namespace sluice::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

class RelayTest : public ClusterTest {
 protected:
  void Begin(const std::vector<std::string>& names) {
    RelayOptions options;
    options.listen.address = Listen();
    options.metrics = "127.0.0.1:0";
    options.hold_ms = 100;
    for (const std::string& name : names) options.agents.push_back({.name = "", .address = AddressOf(name)});
    auto relay = ClusterRelay::Start(options, "9.8.7");
    ASSERT_TRUE(relay.ok()) << relay.status();
    relay_ = *std::move(relay);
    channel_ = grpc::CreateChannel(Listen(), grpc::InsecureChannelCredentials());
    stub_ = v1::Sluice::NewStub(channel_);
    relay_stub_ = Relay::NewStub(channel_);
  }
  std::string Listen() const { return "unix://" + directory_ + "/relay.sock"; }
  ClusterStatus StatusNow(bool with_agents = false) {
    grpc::ClientContext context;
    ClusterStatusRequest request;
    request.set_with_agents(with_agents);
    ClusterStatus status;
    const grpc::Status answered = relay_stub_->ReadCluster(&context, request, &status);
    EXPECT_TRUE(answered.ok()) << answered.error_message();
    return status;
  }
  bool AwaitAnswers(std::size_t count) {
    return Eventually([&] { return relay_->nodes().connected().size() == count; });
  }

  std::unique_ptr<ClusterRelay> relay_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Sluice::Stub> stub_;
  std::unique_ptr<Relay::Stub> relay_stub_;
};

TEST_F(RelayTest, ServesEventsOfAllNodesAndSaysWhatIsMissing) {
  FakeNode& one = StartAgent("node-1");
  FakeNode& two = StartAgent("node-2");
  Begin({"node-1", "node-2", "node-3"});
  ASSERT_TRUE(AwaitAnswers(2));
  const std::int64_t now = NowNs();
  one.SetPast({FlowAt(now - 1000, "a")});
  two.SetPast({FlowAt(now - 2000, "b", "node-2")});
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_last(20);
  const auto reader = relay_stub_->Observe(&context, request);
  reader->WaitForInitialMetadata();
  std::string notice;
  std::string name;
  for (const auto& [key, value] : context.GetServerInitialMetadata()) {
    if (key == api::kNoticeKey) notice.assign(value.data(), value.size());
    if (key == api::kNodeKey) name.assign(value.data(), value.size());
  }
  EXPECT_EQ(name, "relay");
  EXPECT_THAT(notice, HasSubstr("2 of 3 nodes answer"));
  std::vector<std::string> seen;
  for (ClusterEvent event; reader->Read(&event);) {
    seen.push_back(event.has_event() ? event.event().flow().flow_id()
                                     : NodeState::State_Name(event.node_state().state()));
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_THAT(seen, ElementsAre("MISSING", "b", "a"));
  // The same for a client of agents.
  grpc::ClientContext other;
  const auto plain = stub_->Observe(&other, request);
  seen.clear();
  for (v1::Event event; plain->Read(&event);) {
    seen.push_back(event.has_flow() ? event.flow().flow_id() : event.lost().cause() + " " + event.lost().node());
  }
  EXPECT_TRUE(plain->Finish().ok());
  EXPECT_THAT(seen, ElementsAre("NODE_MISSING " + AddressOf("node-3"), "b", "a"));
}

TEST_F(RelayTest, TellsEachNodesStatus) {
  StartAgent("node-1");
  Begin({"node-1", "node-2"});
  ASSERT_TRUE(AwaitAnswers(1));
  const ClusterStatus status = StatusNow(true);
  ASSERT_EQ(status.nodes_size(), 2);
  EXPECT_EQ(status.version(), "9.8.7");
  EXPECT_EQ(status.source(), "--agent");
  EXPECT_EQ(status.nodes(0).node(), "node-1");
  EXPECT_TRUE(status.nodes(0).agent().ready());
  EXPECT_EQ(status.nodes(1).state(), NodeStatus::MISSING);
  EXPECT_FALSE(status.nodes(1).has_agent());
  EXPECT_FALSE(StatusNow(false).nodes(0).has_agent());
  agents_.front()->SpoilStatus(true);
  EXPECT_FALSE(StatusNow(true).nodes(0).has_agent()) << "no client could print it";
}

TEST_F(RelayTest, ListsWorkloadsOfEachNodeAndSharedPoliciesOnce) {
  StartAgent("node-1");
  StartAgent("node-2");
  Begin({"node-1", "node-2"});
  ASSERT_TRUE(AwaitAnswers(2));
  grpc::ClientContext context;
  v1::GetRequest request;
  request.set_kind("workloads");
  const auto reader = stub_->Get(&context, request);
  std::vector<std::string> seen;
  for (v1::Object object; reader->Read(&object);) seen.push_back(object.resource().ref().kind());
  const grpc::Status ended = reader->Finish();
  EXPECT_TRUE(ended.ok()) << ended.error_message();
  EXPECT_THAT(seen, ElementsAre("Workload", "NetworkPolicy", "Workload"));
}

TEST_F(RelayTest, OnlyReads) {
  Begin({"node-1"});
  grpc::ClientContext context;
  v1::QuarantineReply reply;
  const grpc::Status refused = stub_->Quarantine(&context, {}, &reply);
  EXPECT_EQ(refused.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(refused.error_message(), HasSubstr("a relay only reads"));
  grpc::ClientContext other;
  v1::AgentStatus status;
  EXPECT_THAT(stub_->Status(&other, {}, &status).error_message(), HasSubstr("sluice --cluster status"));
  grpc::ClientContext third;
  v1::ObserveRequest request;
  request.mutable_filter()->set_type("nonsense");
  const auto reader = stub_->Observe(&third, request);
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(RelayTest, EndsStreamsWhenItStops) {
  FakeNode& one = StartAgent("node-1");
  Begin({"node-1"});
  ASSERT_TRUE(AwaitAnswers(1));
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  const auto reader = stub_->Observe(&context, request);
  ASSERT_TRUE(Eventually([&] { return one.followers() == 1; }));
  EXPECT_EQ(StatusNow().followers(), 1U);
  relay_.reset();
  v1::Event event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(Eventually([&] { return one.followers() == 0; }));
}

TEST_F(RelayTest, MetricsSayWhatIsMissing) {
  StartAgent("node-1");
  Begin({"node-1", "node-2"});
  ASSERT_TRUE(AwaitAnswers(1));
  const std::string text = MetricsText(StatusNow());
  EXPECT_THAT(text, HasSubstr("sluice_relay_nodes{state=\"connected\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_relay_nodes{state=\"missing\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("sluice_relay_node_up{node=\"node-1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("# TYPE sluice_relay_late_events_total counter\n"));
  EXPECT_NE(relay_->metrics_port(), 0);
}

TEST(RelayOptionsTest, NeedsAgentsAndTheirTls) {
  RelayOptions options;
  EXPECT_THAT(Message(CheckOptions(options)), HasSubstr("give --agent, --agents or --kube"));
  options.agents = {{.name = "", .address = "10.0.0.1:9471"}};
  EXPECT_THAT(Message(CheckOptions(options)), HasSubstr("agent 10.0.0.1:9471: TCP needs --agent-tls-cert"));
  options.tls.files.certificate = "/nowhere";
  EXPECT_THAT(Message(CheckOptions(options)), HasSubstr("go together"));
  options = {};
  options.kube.kube = "in-cluster";
  EXPECT_THAT(Message(CheckOptions(options)), HasSubstr("agents answer by mutual TLS"));
  options.agents = {{.name = "", .address = "unix:///run/a.sock"}};
  EXPECT_THAT(Message(CheckOptions(options)), HasSubstr("without --agent and --agents"));
}

}  // namespace
}  // namespace sluice::cluster
