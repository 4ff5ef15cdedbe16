// The agent's interfaces for programs: health, reflection, event stream, metrics.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <fstream>

#include "bpf/abi/events.h"
#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "testbed/traffic.h"
#include "tests/e2e/api_client.h"
#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr std::uint16_t kDenied = 1001;

class Api : public testing::Test {
 protected:
  // All tests share one agent, because none changes its policy.
  static void TearDownTestSuite() {
    echo_.reset();
    api_.reset();
    fixture_.reset();
  }

  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    if (echo_ == nullptr) StartAll();
    ASSERT_NE(echo_, nullptr);
    // The previous test may have been a follower.
    ASSERT_TRUE(Eventually([] {
      const auto status = api_->ReadStatus();
      return status.ok() && status->followers() == 0;
    }));
  }

  static void StartAll() {
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    api_ = std::make_unique<ApiClient>(fixture_->agent().api_address());
    const Status applied = api_->Apply(fixture_->WorkloadYaml("web", "{app: web}") +
                                       fixture_->WorkloadYaml("db", "{app: db}") + kDbAtUdp1000);
    ASSERT_TRUE(applied.ok()) << applied;
    auto echo = EchoServer::Start(fixture_->netns_fd("db"), {kPort, kDenied});
    ASSERT_TRUE(echo.ok()) << echo.status();
    echo_ = *std::move(echo);
  }

  // Sends datagrams of new flows, one after another.
  void Send(std::uint16_t port, std::uint64_t count) const {
    const auto pinger = Pinger::Start({.netns_fd = fixture_->netns_fd("web"),
                                       .destination = fixture_->ip4("db"),
                                       .port = port,
                                       .interval = 20us,
                                       .new_flows = true,
                                       .patience = 0ms});
    ASSERT_TRUE(pinger.ok()) << pinger.status();
    ASSERT_TRUE(Eventually([&] { return (*pinger)->counts().sent >= count; }, 60s));
  }

  // Calls a method of a service without compiled stubs.
  StatusOr<std::string> Call(const std::string& method, const std::string& request, bool stream) {
    grpc::GenericStub stub(api_->channel());
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + 10s);
    grpc::CompletionQueue queue;
    grpc::Slice slice(request);
    grpc::ByteBuffer out(&slice, 1);
    grpc::ByteBuffer in;
    const auto call = stub.PrepareCall(&context, method, &queue);
    const auto wait = [&] {
      void* tag = nullptr;
      bool ok = false;
      return queue.Next(&tag, &ok) && ok;
    };
    call->StartCall(nullptr);
    if (!wait()) return InvalidError("{}: the call did not start", method);
    call->WriteLast(out, grpc::WriteOptions(), nullptr);
    if (!wait()) return InvalidError("{}: the request was not sent", method);
    call->Read(&in, nullptr);
    const bool answered = wait();
    grpc::Status status;
    if (stream) context.TryCancel();
    call->Finish(&status, nullptr);
    wait();
    if (!answered) return api::FromGrpc(status);
    std::string bytes;
    std::vector<grpc::Slice> slices;
    if (!in.Dump(&slices).ok()) return InvalidError("{}: no answer", method);
    for (const grpc::Slice& part : slices) {
      bytes.append(reinterpret_cast<const char*>(part.begin()), part.size());
    }
    return bytes;
  }

  std::string Http(const std::string& path) const {
    const auto got = fixture_->Run({"curl", "--silent", "--noproxy", "*", "--write-out", "\n%{http_code}",
                                    "http://" + fixture_->agent().metrics_address() + path});
    return got.ok() ? got->output : got.status().ToString();
  }

  static inline std::unique_ptr<NodeFixture> fixture_;
  static inline std::unique_ptr<ApiClient> api_;
  static inline std::unique_ptr<EchoServer> echo_;
};

TEST_F(Api, HealthServiceSaysServing) {
  const auto answer = Call("/grpc.health.v1.Health/Check", "", false);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(*answer, std::string("\x08\x01", 2)) << "HealthCheckResponse{status: SERVING}";
}

TEST_F(Api, ReflectionListsTheService) {
  // ServerReflectionRequest{list_services: "*"}
  const auto answer =
      Call("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", std::string("\x3a\x01*", 3), true);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_THAT(*answer, HasSubstr("sluice.v1.Sluice"));
  EXPECT_THAT(*answer, HasSubstr("grpc.health.v1.Health"));
}

TEST_F(Api, FollowersGetWhatHappensFromThenOnAndFilteredByTheAgent) {
  Send(kPort, 50);
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  request.mutable_filter()->set_verdict(v1::Flow::DROPPED);
  const auto reader = api_->stub().Observe(&context, request);
  reader->WaitForInitialMetadata();
  const auto followers = api_->ReadStatus();
  ASSERT_TRUE(followers.ok());
  EXPECT_EQ(followers->followers(), 1U);
  Send(kPort, 50);
  Send(kDenied, 5);
  v1::Event event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.flow().verdict(), v1::Flow::DROPPED) << event.ShortDebugString();
  EXPECT_EQ(event.flow().l4().destination_port(), kDenied);
  EXPECT_EQ(event.flow().drop_reason(), "POLICY_DENIED");
  EXPECT_EQ(event.flow().source().workload(), "web");
  ASSERT_EQ(event.flow().policies_size(), 1) << event.ShortDebugString();
  EXPECT_EQ(event.flow().policies(0).name(), "db");
  EXPECT_EQ(event.flow().policies(0).effect(), v1::PolicyRef::DEFAULT_DENY);
  context.TryCancel();
  reader->Finish();
  EXPECT_TRUE(Eventually([&] {
    const auto status = api_->ReadStatus();
    return status.ok() && status->followers() == 0;
  }));
}

TEST_F(Api, LastGivesTheNewestPastEvents) {
  Send(kPort, 30);
  Send(kDenied, 30);
  const auto newest = fixture_->agent().Sluice({"observe", "--type", "flow", "--last", "3", "-o", "json"});
  ASSERT_TRUE(newest.ok()) << newest.status();
  EXPECT_EQ(newest->exit_code, 0);
  EXPECT_EQ(std::count(newest->out.begin(), newest->out.end(), '\n'), 3);
  EXPECT_THAT(newest->out, HasSubstr("\"verdict\":\"DROPPED\""));
  EXPECT_THAT(newest->out, Not(HasSubstr("FORWARDED")));
  const auto allowed = fixture_->agent().Sluice({"observe", "--last", "2", "--port", "1000", "-o", "json"});
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  EXPECT_EQ(std::count(allowed->out.begin(), allowed->out.end(), '\n'), 2);
  EXPECT_THAT(allowed->out, Not(HasSubstr("DROPPED")));
}

TEST_F(Api, ASlowReaderIsToldWhatItLostAndBlocksNobody) {
  grpc::ClientContext slow_context;
  v1::ObserveRequest request;
  request.set_follow(true);
  const auto slow = api_->stub().Observe(&slow_context, request);
  slow->WaitForInitialMetadata();
  // It does not read until the agent had to drop events for it.
  std::uint64_t lost = 0;
  for (int round = 0; round < 60 && lost == 0; ++round) {
    Send(kPort, 2000);
    const auto status = api_->ReadStatus();
    ASSERT_TRUE(status.ok()) << status.status();
    for (const auto& cause : status->lost()) {
      if (cause.cause() == "SUBSCRIBER_QUEUE_FULL") lost = cause.count();
    }
  }
  ASSERT_GT(lost, 0U);
  grpc::ClientContext fast_context;
  const auto fast = api_->stub().Observe(&fast_context, request);
  fast->WaitForInitialMetadata();
  Send(kDenied, 5);
  v1::Event event;
  while (fast->Read(&event) && event.flow().verdict() != v1::Flow::DROPPED) {
  }
  EXPECT_EQ(event.flow().verdict(), v1::Flow::DROPPED) << "the slow one delays the fast one";
  fast_context.TryCancel();
  fast->Finish();

  bool told = false;
  while (!told && slow->Read(&event)) told = event.has_lost() && event.lost().cause() == "SUBSCRIBER_QUEUE_FULL";
  EXPECT_TRUE(told);
  EXPECT_GT(event.lost().count(), 0U);
  slow_context.TryCancel();
  slow->Finish();
}

TEST_F(Api, NobodyWatchesNothingIsSent) {
  const bpf::PinLayout pins(fixture_->agent().bpf_root());
  const auto settings_fd = bpf::OpenPinnedMap(pins.map("settings"));
  ASSERT_TRUE(settings_fd.ok()) << settings_fd.status();
  const auto settings = bpf::Map<__u32, sl_settings>::Bind(settings_fd->get(), "settings");
  ASSERT_TRUE(settings.ok()) << settings.status();
  const auto events_on = [&] {
    const auto value = settings->Get(0);
    return value.ok() && value->has_value() && ((*value)->flags & SL_SETTING_EVENTS) != 0;
  };
  EXPECT_TRUE(Eventually([&] { return !events_on(); }));
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  const auto reader = api_->stub().Observe(&context, request);
  reader->WaitForInitialMetadata();
  EXPECT_TRUE(events_on());
  context.TryCancel();
  reader->Finish();
  EXPECT_TRUE(Eventually([&] { return !events_on(); }));

  // The producer position, in the ring's second page, does not change.
  const auto ring_fd = bpf::OpenPinnedMap(pins.map("flow_events"));
  ASSERT_TRUE(ring_fd.ok()) << ring_fd.status();
  void* const page = mmap(nullptr, 4096, PROT_READ, MAP_SHARED, ring_fd->get(), 4096);
  ASSERT_NE(page, MAP_FAILED);
  const auto* const produced = static_cast<const volatile std::uint64_t*>(page);
  const std::uint64_t before = *produced;
  Send(kPort, 300);
  Send(kDenied, 300);
  EXPECT_EQ(*produced, before);
  munmap(page, 4096);
}

TEST_F(Api, MetricsAreCleanAndCountWhatHappened) {
  Send(kPort, 20);
  Send(kDenied, 20);
  EXPECT_EQ(Http("/healthz"), "ok\n\n200");
  EXPECT_EQ(Http("/readyz"), "ready\n\n200");
  EXPECT_THAT(Http("/nothing"), HasSubstr("404"));
  std::string metrics = Http("/metrics");
  ASSERT_THAT(metrics, testing::EndsWith("\n200"));
  metrics.resize(metrics.size() - 4);
  EXPECT_THAT(metrics, testing::ContainsRegex("reason=\"POLICY_DENIED\"\\} [0-9]*[1-9]"));
  EXPECT_THAT(metrics, testing::ContainsRegex("namespace=\"shop\",workload=\"web\""));
  SL_SKIP_OR_FAIL_IF(MissingPromtool());
  const auto checked = RunCommand({"promtool", "check", "metrics"}, metrics);
  ASSERT_TRUE(checked.ok()) << checked.status();
  EXPECT_EQ(checked->exit_code, 0) << checked->output;
}

}  // namespace
}  // namespace sluice::test
