// GetEvents: filters, fields, losses, limits and slow clients.
#include "tests/unit/tetra/tetra_world.h"

namespace sluice::tetra {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kWorkload[] =
    "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {namespace: shop, name: web, labels: {app: web}}, "
    "spec: {netns: /run/netns/web}}\n";

// An exec of `binary` in shop/web, by bash, which sshd started.
telemetry::EventPtr Exec(const std::string& binary, std::uint32_t pid = 42) {
  auto event = std::make_shared<v1::Event>();
  v1::Exec& exec = *event->mutable_exec();
  exec.set_type("exec");
  exec.set_node("node-1");
  exec.set_namespace_("shop");
  exec.set_workload("web");
  exec.mutable_process()->set_exec_id("node-1:" + std::to_string(pid) + ":77");
  exec.mutable_process()->set_pid(pid);
  exec.mutable_process()->set_uid(0);
  exec.mutable_process()->set_binary(binary);
  exec.mutable_process()->add_capabilities("CAP_DAC_OVERRIDE");
  exec.mutable_process()->add_capabilities("CAP_NET_RAW");
  exec.mutable_process()->add_ancestors("/usr/bin/bash");
  exec.mutable_process()->add_ancestors("/usr/sbin/sshd");
  event->mutable_parent()->set_pid(41);
  event->mutable_parent()->set_binary("/usr/bin/bash");
  event->mutable_parent()->set_exec_id("node-1:41:70");
  return event;
}

class TetraEvents : public TetraFixture {
 protected:
  using Reader = grpc::ClientReader<tetragon::GetEventsResponse>;
  struct Following {
    grpc::ClientContext context;
    std::unique_ptr<Stub> stub;
    std::unique_ptr<Reader> reader;

    std::optional<tetragon::GetEventsResponse> Next() const {
      tetragon::GetEventsResponse event;
      return reader->Read(&event) ? std::optional(event) : std::nullopt;
    }
    grpc::Status End() {
      context.TryCancel();
      while (Next()) {
      }
      return reader->Finish();
    }
  };

  void SetUp() override {
    Serve();
    ASSERT_TRUE(controller_.SetKubernetes(Map(kWorkload)).ok());
  }
  std::unique_ptr<Following> Follow(const tetragon::GetEventsRequest& request = {}, const api::User& user = {}) {
    auto following = std::make_unique<Following>();
    following->context.set_deadline(std::chrono::system_clock::now() + 60s);
    following->stub = Client(user);
    following->reader = following->stub->GetEvents(&following->context, request);
    following->reader->WaitForInitialMetadata();
    return following;
  }
  void Publish(const telemetry::EventPtr& event) { telemetry_.hub().Publish(event); }
};

TEST_F(TetraEvents, AreCompleteAndInOrder) {
  const auto following = Follow();
  Publish(Exec("/usr/bin/cat"));
  Publish(Exec("/usr/bin/dog", 43));
  const auto first = following->Next();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->node_name(), "node-1");
  const tetragon::Process& process = first->process_exec().process();
  EXPECT_EQ(process.binary(), "/usr/bin/cat");
  EXPECT_EQ(process.pod().namespace_(), "shop");
  EXPECT_EQ(process.pod().pod_labels().at("app"), "web");
  EXPECT_THAT(process.cap().effective(), ElementsAre(tetragon::DAC_OVERRIDE, tetragon::CAP_NET_RAW));
  EXPECT_EQ(first->process_exec().parent().binary(), "/usr/bin/bash");
  const auto second = following->Next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->process_exec().process().binary(), "/usr/bin/dog");
  EXPECT_EQ(following->End().error_code(), Code::CANCELLED);
}

TEST_F(TetraEvents, AnEmptyFilterMatchesEverything) {
  tetragon::GetEventsRequest request;
  request.add_allow_list();  // as `tetra getevents` sends it
  const auto following = Follow(request);
  Publish(Exec("/usr/bin/cat"));
  EXPECT_TRUE(following->Next());
}

TEST_F(TetraEvents, AreFilteredAndTrimmed) {
  tetragon::GetEventsRequest request;
  tetragon::Filter& filter = *request.add_allow_list();
  filter.add_labels("app=web");
  filter.add_ancestor_binary_regex("sshd$");
  filter.add_binary_regex("cat$");
  filter.mutable_capabilities()->mutable_effective()->add_any(tetragon::CAP_NET_RAW);
  request.add_deny_list()->add_pid(43);
  request.add_field_filters()->mutable_fields()->add_paths("process.binary");
  request.mutable_aggregation_options();  // as Tetragon does: events are not aggregated
  const auto following = Follow(request);
  Publish(Exec("/usr/bin/dog"));
  Publish(Exec("/usr/bin/cat", 43));
  Publish(Exec("/usr/bin/cat"));
  const auto event = following->Next();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->process_exec().ShortDebugString(), "process { binary: \"/usr/bin/cat\" }");
  EXPECT_EQ(event->node_name(), "node-1");
}

TEST_F(TetraEvents, ABadRequestIsRefusedByName) {
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_cel_expression("true");
  const auto following = Follow(request);
  EXPECT_FALSE(following->Next());
  const grpc::Status status = following->reader->Finish();
  EXPECT_EQ(status.error_code(), Code::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("allow_list[0]: cel_expression"));
}

TEST_F(TetraEvents, ALossIsToldToWhoAsksForItByName) {
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_event_set(tetragon::RATE_LIMIT_INFO);
  request.mutable_allow_list(0)->add_event_set(tetragon::PROCESS_EXEC);
  const auto asking = Follow(request);
  const auto other = Follow();
  telemetry_.hub().PublishLoss("PROCESS_RING_FULL", 12);
  Publish(Exec("/usr/bin/cat"));
  const auto loss = asking->Next();
  ASSERT_TRUE(loss);
  EXPECT_EQ(loss->rate_limit_info().number_of_dropped_process_events(), 12U);
  const auto event = other->Next();
  ASSERT_TRUE(event);
  EXPECT_TRUE(event->has_process_exec()) << "tetra -o compact ends at an event that it does not know";
}

TEST_F(TetraEvents, OthersAreOfNoConcern) {
  const auto following = Follow();
  auto flow = std::make_shared<v1::Event>();
  flow->mutable_flow()->set_type("flow");
  Publish(flow);
  auto fork = std::make_shared<v1::Event>();
  fork->mutable_fork()->set_type("fork");
  Publish(fork);
  Publish(Exec("/usr/bin/cat"));
  EXPECT_TRUE(following->Next()->has_process_exec());
}

TEST_F(TetraEvents, ClientsOfOneUserHaveALimit) {
  server_.reset();
  Serve({.change_group = "54321", .calls = Limits()});
  const api::User user{.uid = 1000, .gid = 54321};
  std::vector<std::unique_ptr<Following>> all;
  const std::size_t most = Limits().of_one[static_cast<std::size_t>(api::CallKind::kFollow)];
  for (std::size_t i = 0; i < most; ++i) all.push_back(Follow({}, user));
  const auto one_more = Follow({}, user);
  EXPECT_FALSE(one_more->Next());
  EXPECT_EQ(one_more->reader->Finish().error_code(), Code::RESOURCE_EXHAUSTED);
  const auto root = Follow();
  Publish(Exec("/usr/bin/cat"));
  EXPECT_TRUE(root->Next());
  for (const auto& one : all) EXPECT_TRUE(one->Next());
  EXPECT_EQ(all.front()->End().error_code(), Code::CANCELLED);
}

TEST_F(TetraEvents, ASlowClientLosesItsOwnEventsAndIsEnded) {
  server_.reset();
  api::ServerOptions options;
  options.calls = Limits();
  options.calls.slow_reader = 1500ms;
  Serve(options);
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_event_set(tetragon::PROCESS_EXEC);
  request.mutable_allow_list(0)->add_event_set(tetragon::RATE_LIMIT_INFO);
  const auto slow = Follow(request);
  const auto quick = Follow(request);
  std::atomic<std::uint64_t> got = 0, lost = 0;
  std::thread reader([&] {
    while (const auto event = quick->Next()) {
      got += event->has_process_exec() ? 1 : 0;
      lost += event->rate_limit_info().number_of_dropped_process_events();
    }
  });
  // More than gRPC and the queue take for a client that does not read.
  const std::string binary(4000, 'x');
  constexpr std::uint64_t kEvents = 30000;
  for (std::uint64_t i = 0; i < kEvents; ++i) Publish(Exec("/" + binary));
  const auto until = std::chrono::steady_clock::now() + 30s;
  while (got + lost < kEvents && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(20ms);
  EXPECT_EQ(got + lost, kEvents) << "what is lost is counted";
  EXPECT_GT(telemetry_.hub().lost(), 0U);
  // The agent waits no longer for the slow one.
  while (telemetry_.hub().subscribers() > 1 && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(20ms);
  EXPECT_EQ(telemetry_.hub().subscribers(), 1U);
  EXPECT_THAT(log(), HasSubstr("a stream is ended, because its client does not read it"));
  quick->context.TryCancel();
  reader.join();
  slow->End();
}

TEST_F(TetraEvents, EndWithTheAgent) {
  const auto following = Follow();
  telemetry_.Stop();
  EXPECT_FALSE(following->Next());
  EXPECT_EQ(following->reader->Finish().error_code(), Code::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice::tetra
