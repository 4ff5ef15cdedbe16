// Hubble's services with clients as Hubble's: by unix socket and by mutual TLS, with a hub that the tests fill.
#include "ctrl/hubble/hubble_api.h"

#include <grpcpp/generic/generic_stub.h>

#include "tests/unit/api_server/certificates.h"
#include "tests/unit/api_server/free_port.h"
#include "tests/unit/api_server/server_world.h"
#include "tests/unit/telemetry_hubble/flows.h"
#include "tests/unit/telemetry_hubble/wire.h"

namespace sluice::hubble {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Code = grpc::StatusCode;
using telemetry::EventOf;
using telemetry::WebToDb;

constexpr gid_t kReaders = 54322;

class HubbleServer : public api::ServerFixture {
 protected:
  ~HubbleServer() override {
    telemetry_.Stop();
    hubble_.reset();
  }

  Status Start(HubbleOptions options) {
    if (options.addresses.empty()) options.addresses = {"unix://" + socket()};
    SL_RETURN_IF_ERROR(HubbleApi::Check(options, "", std::to_string(kReaders)));
    HubbleSources sources{.telemetry = &telemetry_,
                          .complete = {},
                          .node = "node-1",
                          .version = "1.2.3",
                          .change_group = "",
                          .read_group = std::to_string(kReaders)};
    SL_ASSIGN_OR_RETURN(hubble_, HubbleApi::Start(options, std::move(sources)));
    channel_ = ChannelOf({});
    stub_ = observer::Observer::NewStub(channel_);
    return OkStatus();
  }

  void Publish(std::uint32_t port, v1::Flow::Kind kind = v1::Flow::UPDATE) {
    v1::Flow flow = WebToDb();
    flow.set_event(kind);
    flow.mutable_l4()->set_destination_port(port);
    telemetry_.hub().Publish(EventOf(std::move(flow)));
  }
  // Until the filler has taken `seen` flows.
  void AwaitSeen(std::uint64_t seen) {
    for (int i = 0; i < 1000; ++i) {
      if (StatusNow().seen_flows() >= seen) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    FAIL() << "only " << StatusNow().seen_flows() << " flows of " << seen;
  }
  observer::ServerStatusResponse StatusNow() {
    grpc::ClientContext context;
    observer::ServerStatusResponse status;
    const grpc::Status answered = stub_->ServerStatus(&context, {}, &status);
    EXPECT_TRUE(answered.ok()) << answered.error_message();
    return status;
  }
  static std::vector<observer::GetFlowsResponse> Ask(observer::Observer::Stub& stub,
                                                     const observer::GetFlowsRequest& request,
                                                     Code expected = Code::OK) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(30));
    const auto reader = stub.GetFlows(&context, request);
    std::vector<observer::GetFlowsResponse> responses;
    for (observer::GetFlowsResponse response; reader->Read(&response);) responses.push_back(response);
    const grpc::Status status = reader->Finish();
    EXPECT_EQ(status.error_code(), expected) << status.error_message();
    return responses;
  }

  std::unique_ptr<HubbleApi> hubble_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<observer::Observer::Stub> stub_;
};

// What a stock client asks, by hand.
grpc::Status Call(grpc::Channel* channel, const std::string& method, const std::string& request, std::string* answer) {
  grpc::GenericStub stub(std::shared_ptr<grpc::Channel>(channel, [](grpc::Channel*) {}));
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::ByteBuffer reply;
  grpc::Status status;
  const grpc::Slice slice(request);
  const auto call = stub.PrepareUnaryCall(&context, method, grpc::ByteBuffer(&slice, 1), &queue);
  call->StartCall();
  call->Finish(&reply, &status, nullptr);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  std::vector<grpc::Slice> slices;
  if (status.ok() && reply.Dump(&slices).ok()) {
    for (const grpc::Slice& one : slices) answer->append(reinterpret_cast<const char*>(one.begin()), one.size());
  }
  return status;
}

TEST_F(HubbleServer, HasTheNamesThatClientsCall) {
  ASSERT_TRUE(Start({}).ok());
  std::string answer;
  const auto code = [&](const char* method) {
    answer.clear();
    return Call(channel_.get(), method, "", &answer).error_code();
  };
  EXPECT_EQ(code("/observer.Observer/ServerStatus"), Code::OK);
  EXPECT_THAT(answer, HasSubstr("sluice 1.2.3"));
  EXPECT_EQ(code("/observer.Observer/GetNodes"), Code::OK);
  EXPECT_EQ(code("/observer.Observer/GetNamespaces"), Code::OK);
  EXPECT_EQ(code("/observer.Observer/GetDebugEvents"), Code::OK) << "an empty stream";
  EXPECT_EQ(code("/observer.Observer/NoSuchCall"), Code::UNIMPLEMENTED);
  EXPECT_STREQ(peer::Peer::service_full_name(), "peer.Peer");
  // `hubble status` asks for this name first, and expects SERVING.
  EXPECT_TRUE(Call(channel_.get(), "/grpc.health.v1.Health/Check",
                   test::Wire().Text(1, "hubble.server.Observer").bytes(), &(answer = ""))
                  .ok());
  EXPECT_EQ(answer, test::Wire().Number(1, 1).bytes());
  EXPECT_EQ(Call(channel_.get(), "/grpc.health.v1.Health/Check", test::Wire().Text(1, "no.such.Service").bytes(),
                 &(answer = ""))
                .error_code(),
            Code::NOT_FOUND);
}

TEST_F(HubbleServer, PastFlowsAndThoseToCome) {
  ASSERT_TRUE(Start({}).ok());
  for (std::uint32_t port = 1; port <= 3; ++port) Publish(port);
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(3));
  observer::GetFlowsRequest request;
  request.set_number(2);
  const auto past = Ask(*stub_, request);
  ASSERT_EQ(past.size(), 2U);
  EXPECT_EQ(past[0].flow().l4().tcp().destination_port(), 2U);

  request.set_follow(true);
  grpc::ClientContext context;
  const auto reader = stub_->GetFlows(&context, request);
  reader->WaitForInitialMetadata();
  Publish(4);
  observer::GetFlowsResponse response;
  for (const std::uint32_t port : {2U, 3U, 4U}) {
    ASSERT_TRUE(reader->Read(&response));
    EXPECT_EQ(response.flow().l4().tcp().destination_port(), port);
  }
  telemetry_.Stop();
  hubble_.reset();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), Code::UNAVAILABLE) << "so that a client knows that flows may be missing";
}

// Nobody asked for it, so the packet path sends no events for it until somebody does.
TEST_F(HubbleServer, TheDefaultAddressCostsNothingBeforeTheFirstCall) {
  ASSERT_TRUE(Start({.asked_for = false}).ok());
  EXPECT_FALSE(telemetry_.hub().watched());
  Publish(1);
  EXPECT_EQ(StatusNow().seen_flows(), 0U);
  EXPECT_TRUE(telemetry_.hub().watched());
  Publish(2);
  AwaitSeen(1);
  const auto flows = Ask(*stub_, {});
  ASSERT_EQ(flows.size(), 1U);
  EXPECT_EQ(flows[0].flow().l4().tcp().destination_port(), 2U);
}

TEST_F(HubbleServer, RefusesWhatItCannotDo) {
  ASSERT_TRUE(Start({}).ok());
  observer::GetFlowsRequest request;
  request.add_whitelist()->add_protocol("tpc");
  Ask(*stub_, request, Code::INVALID_ARGUMENT);
  request.clear_whitelist();
  request.add_blacklist()->mutable_experimental()->add_cel_expression("true");
  Ask(*stub_, request, Code::UNIMPLEMENTED);
  request.clear_blacklist();
  request.set_first(true);
  request.set_follow(true);
  Ask(*stub_, request, Code::INVALID_ARGUMENT);
}

// Its client reads nothing until all has been published: what does not fit into the connection and the ring is lost,
// and it is told how much.
TEST_F(HubbleServer, ASlowClientLosesFlowsAndIsTold) {
  constexpr std::uint64_t kFlows = 20000;
  ASSERT_TRUE(Start({.flows = 64}).ok());
  observer::GetFlowsRequest request;
  request.set_follow(true);
  grpc::ClientContext context;
  const auto reader = stub_->GetFlows(&context, request);
  reader->WaitForInitialMetadata();
  Publish(1);
  observer::GetFlowsResponse response;
  ASSERT_TRUE(reader->Read(&response));
  const telemetry::EventPtr event = EventOf(telemetry::WebToDb());
  for (std::uint64_t i = 0; i < kFlows / 2; ++i) {  // a verdict and a packet each
    telemetry_.hub().Publish(event);
    if (i % 1000 == 0) AwaitSeen(2 * i);  // the filler is never the one who loses
  }
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(kFlows + 1));
  std::uint64_t flows = 0, lost = 0, reports = 0;
  while (flows + lost < kFlows && reader->Read(&response)) {
    if (response.has_flow()) {
      ++flows;
      continue;
    }
    ++reports;
    EXPECT_EQ(response.lost_events().source(), flow::HUBBLE_RING_BUFFER);
    EXPECT_LE(response.lost_events().first().seconds(), response.lost_events().last().seconds());
    lost += response.lost_events().num_events_lost();
  }
  EXPECT_EQ(flows + lost, kFlows);
  EXPECT_GT(lost, 0U);
  EXPECT_LT(reports, 50U) << "losses are told together";
  EXPECT_EQ(StatusNow().num_flows(), 64U);
  context.TryCancel();
}

TEST_F(HubbleServer, NodesAndNamespaces) {
  ASSERT_TRUE(Start({.flows = 100, .cluster = "east"}).ok());
  Publish(1, v1::Flow::NEW);
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(2));
  grpc::ClientContext nodes_context, namespaces_context;
  observer::GetNodesResponse nodes;
  ASSERT_TRUE(stub_->GetNodes(&nodes_context, {}, &nodes).ok());
  ASSERT_EQ(nodes.nodes_size(), 1);
  EXPECT_EQ(nodes.nodes(0).name(), "east/node-1");
  EXPECT_EQ(nodes.nodes(0).state(), relay::NODE_CONNECTED);
  EXPECT_EQ(nodes.nodes(0).address(), "unix://" + socket());
  EXPECT_EQ(nodes.nodes(0).version(), "sluice 1.2.3");
  EXPECT_EQ(nodes.nodes(0).num_flows(), 2U);
  EXPECT_EQ(nodes.nodes(0).max_flows(), 100U);
  EXPECT_EQ(nodes.nodes(0).seen_flows(), 2U);
  EXPECT_GT(nodes.nodes(0).uptime_ns(), 0U);
  EXPECT_FALSE(nodes.nodes(0).tls().enabled());
  observer::GetNamespacesResponse namespaces;
  ASSERT_TRUE(stub_->GetNamespaces(&namespaces_context, {}, &namespaces).ok());
  ASSERT_EQ(namespaces.namespaces_size(), 2);
  EXPECT_EQ(namespaces.namespaces(0).namespace_(), "bank");
  EXPECT_EQ(namespaces.namespaces(1).namespace_(), "shop");
  EXPECT_EQ(namespaces.namespaces(1).cluster(), "east");
}

TEST_F(HubbleServer, AgentEventsAreItsStartAndChangesOfPolicies) {
  ASSERT_TRUE(Start({}).ok());
  const auto ask = [&] {
    grpc::ClientContext context;
    const auto reader = stub_->GetAgentEvents(&context, {});
    std::vector<int> types;
    for (observer::GetAgentEventsResponse one; reader->Read(&one);) types.push_back(one.agent_event().type());
    EXPECT_TRUE(reader->Finish().ok());
    return types;
  };
  EXPECT_THAT(ask(), ElementsAre(2));
  telemetry_.hub().Publish(std::make_shared<const v1::Event>(test::FromJson<v1::Event>(
      R"({"change": {"type": "change", "action": "apply", "changes": [
          {"resource": {"kind": "NetworkPolicy", "namespace": "shop", "name": "db"}, "change": "CREATED"}]}})")));
  Publish(1);
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(1));
  EXPECT_THAT(ask(), ElementsAre(2, 3));
}

TEST_F(HubbleServer, ARelayLearnsOfThisNodeAndTheOthers) {
  ASSERT_TRUE(Start({.peers = {{.name = "node-2", .address = "192.0.2.7:4244"}}}).ok());
  const auto stub = peer::Peer::NewStub(channel_);
  grpc::ClientContext context;
  const auto reader = stub->Notify(&context, {});
  peer::ChangeNotification one;
  ASSERT_TRUE(reader->Read(&one));
  EXPECT_EQ(one.type(), peer::PEER_ADDED);
  EXPECT_EQ(one.name(), "node-1");
  EXPECT_EQ(one.address(), "unix://" + socket());
  EXPECT_FALSE(one.has_tls());
  ASSERT_TRUE(reader->Read(&one));
  EXPECT_EQ(one.name(), "node-2");
  EXPECT_EQ(one.address(), "192.0.2.7:4244");
  telemetry_.Stop();
  hubble_.reset();
  EXPECT_FALSE(reader->Read(&one)) << "the stream stays open until the agent stops";
  EXPECT_EQ(reader->Finish().error_code(), Code::UNAVAILABLE);
}

TEST_F(HubbleServer, OnlyThoseWhoMayReadTheAgentsApi) {
  ASSERT_TRUE(Start({}).ok());
  Publish(1);
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(1));
  const auto reader = observer::Observer::NewStub(ChannelOf({.uid = 1000, .gid = kReaders}));
  EXPECT_EQ(Ask(*reader, {}).size(), 1U);
  const auto stranger = observer::Observer::NewStub(ChannelOf({.uid = 1000, .gid = 1000}));
  EXPECT_TRUE(Ask(*stranger, {}, Code::UNAVAILABLE).empty());
  std::vector<std::pair<std::string, std::uint64_t>> refused;
  for (const char* cause : api::kRefusalNames) refused.emplace_back(cause, 7);
  hubble_->AddRefused(&refused);
  EXPECT_EQ(refused[0].second, 8U) << "for want of a right";
  EXPECT_EQ(refused[1].second, 7U);
}

class HubbleTls : public HubbleServer {
 protected:
  void SetUp() override {
    for (const char* ca : {"ca", "other"}) certificates_.MakeCa(ca);
    certificates_.Issue("agent", "ca", "*.default.hubble-grpc.cilium.io");
    certificates_.Issue("relay", "ca");
    certificates_.Issue("stranger", "other");
    options_.addresses = {"unix://" + socket(), test::FreeLoopbackAddress()};
    options_.tls = certificates_.FilesOf("agent");
    options_.peers = {{.name = "node.2", .address = "192.0.2.7:4244"}};
  }
  // As a relay, which checks the certificate for the name that it was told.
  std::shared_ptr<grpc::Channel> By(const std::string& name, const std::string& server_name) const {
    const auto credentials = api::MakeClientCredentials(certificates_.FilesOf(name));
    EXPECT_TRUE(credentials.ok()) << credentials.status();
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetSslTargetNameOverride(server_name);
    return grpc::CreateCustomChannel(options_.addresses[1], *credentials, arguments);
  }

  const test::Certificates certificates_{directory_};
  HubbleOptions options_;
};

TEST_F(HubbleTls, ARelayWithACertificate) {
  ASSERT_TRUE(Start(options_).ok());
  Publish(1);
  ASSERT_NO_FATAL_FAILURE(AwaitSeen(1));
  const auto channel = By("relay", "node-1.default.hubble-grpc.cilium.io");
  EXPECT_EQ(Ask(*observer::Observer::NewStub(channel), {}).size(), 1U);
  grpc::ClientContext context;
  const auto stub = peer::Peer::NewStub(channel);
  const auto reader = stub->Notify(&context, {});
  peer::ChangeNotification one;
  ASSERT_TRUE(reader->Read(&one));
  EXPECT_EQ(one.address(), options_.addresses[1]) << "the one by TCP";
  EXPECT_EQ(one.tls().server_name(), "node-1.default.hubble-grpc.cilium.io");
  ASSERT_TRUE(reader->Read(&one));
  EXPECT_EQ(one.tls().server_name(), "node-2.default.hubble-grpc.cilium.io");
  context.TryCancel();
  observer::GetNodesResponse nodes;
  grpc::ClientContext nodes_context;
  ASSERT_TRUE(stub_->GetNodes(&nodes_context, {}, &nodes).ok());
  EXPECT_TRUE(nodes.nodes(0).tls().enabled());
}

TEST_F(HubbleTls, NobodyElse) {
  ASSERT_TRUE(Start(options_).ok());
  Ask(*observer::Observer::NewStub(By("stranger", "node-1.default.hubble-grpc.cilium.io")), {}, Code::UNAVAILABLE);
  const auto plain = grpc::CreateChannel(options_.addresses[1], grpc::InsecureChannelCredentials());
  Ask(*observer::Observer::NewStub(plain), {}, Code::UNAVAILABLE);
}

TEST_F(HubbleTls, WhatIsRefusedAtTheStart) {
  const auto why = [](const HubbleOptions& options) { return Message(HubbleApi::Check(options, "", "")); };
  EXPECT_EQ(why(options_), "");
  HubbleOptions options = options_;
  options.tls = {};
  EXPECT_THAT(why(options), ::testing::AllOf(HasSubstr("--hubble-api 127.0.0.1:"), HasSubstr("mutual TLS"),
                                             HasSubstr("--hubble-tls-cert")));
  options = options_;
  options.tls.key = certificates_.File("relay.key");
  EXPECT_THAT(why(options), HasSubstr("--hubble-tls-cert, --hubble-tls-key, --hubble-tls-ca: "));
  options = options_;
  options.addresses = {"unix://" + socket()};
  EXPECT_THAT(why(options), HasSubstr("are for TCP"));
  options = options_;
  options.addresses = {"0.0.0.0:0"};
  EXPECT_THAT(why(options), HasSubstr("--hubble-api"));
  options.advertise = "node-1";
  EXPECT_THAT(why(options), HasSubstr("--hubble-advertise: node-1 is no IP:PORT"));
}

}  // namespace
}  // namespace sluice::hubble
