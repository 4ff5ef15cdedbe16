// KubeArmor's log service by a client of its messages, over a real socket.
#include "ctrl/kubearmor/log_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>

#include <filesystem>
#include <future>

#include "ctrl/api/server.h"
#include "tests/unit/kubearmor/alerts.h"

namespace sluice::kubearmor {
namespace {

using namespace std::chrono_literals;
using test::BlockedExec;
using test::EventOf;
using testing::HasSubstr;

class LogServiceTest : public testing::Test {
 protected:
  LogServiceTest() {
    std::string name = "/tmp/sluice-kubearmor-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) ADD_FAILURE() << "mkdtemp " << name;
    directory_ = name;
  }
  void Serve(const telemetry::EventHub::Options& options = {}) {
    hub_ = std::make_unique<telemetry::EventHub>(options, [](bool) {});
    service_ = std::make_unique<LogService>(hub_.get());
    const std::string address = "unix://" + directory_ + "/kubearmor.sock";
    auto server = api::Server::Start({.flag = "--kubearmor-api", .address = address}, service_->served());
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    stub_ = feeder::LogService::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }
  ~LogServiceTest() override {
    if (hub_) hub_->Close();
    server_.reset();
    std::filesystem::remove_all(directory_);
  }

  void Publish(const v1::Event& event) { hub_->Publish(std::make_shared<const v1::Event>(event)); }

  // A stream, once the agent collects events for it.
  template <typename Reader>
  static std::unique_ptr<Reader> Begun(std::unique_ptr<Reader> reader) {
    reader->WaitForInitialMetadata();
    return reader;
  }
  static feeder::RequestMessage Filter(const std::string& text) {
    feeder::RequestMessage request;
    request.set_filter(text);
    return request;
  }

  std::string directory_;
  std::unique_ptr<telemetry::EventHub> hub_;
  std::unique_ptr<LogService> service_;
  std::unique_ptr<api::Server> server_;
  std::unique_ptr<feeder::LogService::Stub> stub_;
  grpc::ClientContext context_;
};

TEST_F(LogServiceTest, HealthCheckReturnsTheNonce) {
  Serve();
  feeder::NonceMessage nonce;
  nonce.set_nonce(4242);
  feeder::ReplyMessage reply;
  const grpc::Status status = stub_->HealthCheck(&context_, nonce, &reply);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(reply.retval(), 4242);
}

TEST_F(LogServiceTest, AlertsAreSentAsTheyCome) {
  Serve();
  const auto reader = Begun(stub_->WatchAlerts(&context_, Filter("all")));
  Publish(EventOf("exec { type: \"exec\" process { pid: 1 } }"));
  Publish(BlockedExec());
  Publish(EventOf("lost { event: \"alert\" cause: \"ALERT_RING_FULL\" count: 2 }"));
  feeder::Alert alert;
  ASSERT_TRUE(reader->Read(&alert));
  EXPECT_EQ(alert.policyname(), "no-cat");
  EXPECT_EQ(alert.hostppid(), 40);
  ASSERT_TRUE(reader->Read(&alert));
  EXPECT_EQ(alert.type(), "SystemEvent");
  context_.TryCancel();
}

TEST_F(LogServiceTest, TheFilterPolicyLeavesOutWhatIsNoAlert) {
  Serve();
  const auto reader = Begun(stub_->WatchAlerts(&context_, Filter("policy")));
  Publish(EventOf("lost { event: \"alert\" cause: \"ALERT_RING_FULL\" count: 2 }"));
  Publish(BlockedExec());
  feeder::Alert alert;
  ASSERT_TRUE(reader->Read(&alert));
  EXPECT_EQ(alert.policyname(), "no-cat");
  context_.TryCancel();
}

TEST_F(LogServiceTest, AFilterThatDoesNotExistIsAnError) {
  Serve();
  feeder::Alert alert;
  const auto alerts = stub_->WatchAlerts(&context_, Filter("system"));
  EXPECT_FALSE(alerts->Read(&alert));
  const grpc::Status status = alerts->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "Filter system: expected all or policy");
}

TEST_F(LogServiceTest, LogsAreProgramsAndConnections) {
  Serve();
  const auto reader = Begun(stub_->WatchLogs(&context_, Filter("system")));
  Publish(BlockedExec());
  Publish(EventOf("exec { type: \"exec\" workload: \"w\" process { pid: 1 binary: \"/bin/ls\" } }"));
  feeder::Log log;
  ASSERT_TRUE(reader->Read(&log));
  EXPECT_EQ(log.processname(), "/bin/ls");
  EXPECT_EQ(log.type(), "ContainerLog");
  context_.TryCancel();
}

TEST_F(LogServiceTest, MessagesAreChanges) {
  Serve();
  const auto reader = Begun(stub_->WatchMessages(&context_, Filter("")));
  Publish(EventOf("change { type: \"change\" action: \"apply\" caller: \"uid 0, pid 7\" problem: \"no\" }"));
  feeder::Message message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.level(), "ERROR");
  EXPECT_THAT(message.message(), HasSubstr("uid 0, pid 7: apply"));
  context_.TryCancel();
}

// The queue has room for four: the rest is counted, and the reader is told.
TEST_F(LogServiceTest, ASlowReaderLosesAlertsAndIsTold) {
  telemetry::EventHub::Options options;
  options.queue_capacity = 4;
  Serve(options);
  const auto reader = Begun(stub_->WatchAlerts(&context_, Filter("all")));
  const v1::Event large = [] {
    v1::Event event = BlockedExec();
    event.mutable_alert()->set_message(std::string(60'000, 'x'));
    return event;
  }();
  constexpr int kSent = 2000;  // more than what gRPC buffers for a reader that does not read
  for (int i = 0; i < kSent; ++i) Publish(large);
  Publish(EventOf("change { type: \"change\" }"));
  int alerts = 0, missing = 0;
  feeder::Alert alert;
  while (alerts + missing < kSent && reader->Read(&alert)) {
    if (alert.type() == "SystemEvent") {
      missing += std::stoi(alert.message());
    } else {
      ++alerts;
    }
  }
  EXPECT_GT(alerts, 0);
  EXPECT_GT(missing, 0);
  EXPECT_EQ(alerts + missing, kSent);
  context_.TryCancel();
}

TEST_F(LogServiceTest, StreamsEndWithTheAgent) {
  Serve();
  const auto reader = Begun(stub_->WatchAlerts(&context_, Filter("all")));
  hub_->Close();
  feeder::Alert alert;
  EXPECT_FALSE(reader->Read(&alert));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice::kubearmor
