// Many callers, some of which do not read: requests are limited and counted, and all other callers are answered.
#include <future>

#include "tests/unit/api_server/half_request.h"
#include "tests/unit/api_server/server_world.h"

namespace sluice::api {
namespace {

using namespace std::chrono_literals;
using Code = grpc::StatusCode;

constexpr User kSuperuser{.uid = 0, .gid = 0, .groups = {}};

std::size_t Threads() {
  std::size_t count = 0;
  for (const auto& unused : std::filesystem::directory_iterator("/proc/self/task")) {
    static_cast<void>(unused);
    count++;
  }
  return count;
}

class Limits : public ServerFixture {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "needs root to be somebody else";
  }
  std::uint64_t Refused(Refusal refusal) const {
    return server_->calls().RefusedByCause()[static_cast<std::size_t>(refusal)].second;
  }
  template <typename Holds>
  static bool Eventually(const Holds& holds) {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(10ms);
    }
    return true;
  }

  struct Follower {
    std::unique_ptr<grpc::ClientContext> context;
    std::unique_ptr<grpc::ClientAsyncReader<v1::Event>> reader;
    grpc::Status status;
    bool ended = false;
  };
  // Streams without a reader, over a few connections each.
  std::vector<std::unique_ptr<Follower>> Follow(std::size_t count, const User& user, std::size_t connections,
                                                grpc::CompletionQueue* queue) {
    while (stubs_.size() < connections) stubs_.push_back(As(user));
    std::vector<std::unique_ptr<Follower>> followers;
    v1::ObserveRequest request;
    request.set_follow(true);
    for (std::size_t i = 0; i < count; ++i) {
      auto& follower = *followers.emplace_back(std::make_unique<Follower>());
      follower.context = std::make_unique<grpc::ClientContext>();
      follower.reader = stubs_[i % connections]->AsyncObserve(follower.context.get(), request, queue, nullptr);
      follower.reader->Finish(&follower.status, &follower.ended);
    }
    return followers;
  }
  // Waits until this many have ended; a minute at most.
  static void WaitForEnds(grpc::CompletionQueue* queue, std::size_t count) {
    const auto deadline = std::chrono::system_clock::now() + 60s;
    void* tag = nullptr;
    bool ok = false;
    while (count > 0 && queue->AsyncNext(&tag, &ok, deadline) == grpc::CompletionQueue::GOT_EVENT) {
      if (tag == nullptr) continue;  // the start of a call
      *static_cast<bool*>(tag) = true;
      count--;
    }
    EXPECT_EQ(count, 0U) << "have not ended";
  }

  std::vector<std::unique_ptr<v1::Sluice::Stub>> stubs_;
};

TEST_F(Limits, StreamsThatNobodyReadsTakeFewThreadsAndLeaveRoomForQuestions) {
  ASSERT_TRUE(Start({}).ok());
  const std::size_t before = Threads();
  grpc::CompletionQueue queue;
  auto followers = Follow(2000, kSuperuser, 40, &queue);
  WaitForEnds(&queue, 2000 - 60);
  const auto refused = std::count_if(followers.begin(), followers.end(), [](const auto& follower) {
    return follower->ended && follower->status.error_code() == Code::RESOURCE_EXHAUSTED;
  });
  EXPECT_EQ(refused, 2000 - 60);
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 60; }));
  EXPECT_LT(Threads(), before + 220) << "and those of the clients";
  const grpc::Status asked = Ask(*As(kSuperuser));
  EXPECT_TRUE(asked.ok()) << asked.error_message();
  EXPECT_TRUE(Apply(*As(kSuperuser), kPolicy).ok());
  EXPECT_TRUE(Get(*As(kSuperuser)).ok());
  for (const auto& follower : followers) follower->context->TryCancel();
  WaitForEnds(&queue, 60);
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 0; })) << "who goes makes room";
  queue.Shutdown();
}

TEST_F(Limits, OneUserLeavesRoomForTheOthers) {
  ServerOptions options;
  options.read_group = "54322";
  ASSERT_TRUE(Start(options).ok());
  grpc::CompletionQueue queue;
  auto followers = Follow(200, {.uid = 1000, .gid = 54322, .groups = {}}, 10, &queue);
  WaitForEnds(&queue, 200 - 30);
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 30; }));
  EXPECT_GT(Refused(Refusal::kCallLimit), 0U);
  stubs_.clear();
  auto others = Follow(200, {.uid = 1001, .gid = 54322, .groups = {}}, 10, &queue);
  WaitForEnds(&queue, 200 - 22);
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 52; }));
  stubs_.clear();
  auto of_root = Follow(8, kSuperuser, 1, &queue);
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 60; })) << "these are kept for root";
  for (auto* all : {&followers, &others, &of_root}) {
    for (const auto& follower : *all) follower->context->TryCancel();
  }
  WaitForEnds(&queue, 60);
  queue.Shutdown();
}

// Keeps the controller busy until its destructor.
class LongChange {
 public:
  explicit LongChange(reconcile::Controller* controller)
      : thread_([this, controller] {
          EXPECT_TRUE(controller
                          ->WhileNothingIsSaved([this] {
                            end_.get_future().wait();
                            return OkStatus();
                          })
                          .ok());
        }) {}
  void End() {
    end_.set_value();
    thread_.join();
  }

 private:
  std::promise<void> end_;
  std::thread thread_;
};

// Waiting changes are made together, so there may be many; and a quarantine does not need one of their places.
TEST_F(Limits, AChangeThatTakesLongLeavesPlacesForOthersAndForAQuarantine) {
  ASSERT_TRUE(Start({}).ok());
  constexpr std::size_t kPlaces = 48, kQuarantines = 32, kTooMany = 10;
  LongChange change(&controller_);
  std::vector<std::thread> callers;
  std::atomic<std::size_t> made = 0;
  for (std::size_t i = 0; i < kPlaces + kTooMany; ++i) {
    callers.emplace_back([&] { made += Apply(*As(kSuperuser), kPolicy).ok(); });
  }
  EXPECT_TRUE(Eventually([&] { return Refused(Refusal::kCallLimit) == kTooMany; }));
  std::atomic<std::size_t> looked_up = 0;
  for (std::size_t i = 0; i < kQuarantines + kTooMany; ++i) {
    callers.emplace_back([&] { looked_up += Quarantine(*As(kSuperuser)).error_code() == Code::NOT_FOUND; });
  }
  EXPECT_TRUE(Eventually([&] { return Refused(Refusal::kCallLimit) == 2 * kTooMany; }));
  change.End();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(made, kPlaces);
  EXPECT_EQ(looked_up, kQuarantines);
}

TEST_F(Limits, LargeChangesTogetherAreBounded) {
  ServerOptions options;
  options.calls.change_bytes = 100000;
  ASSERT_TRUE(Start(options).ok());
  const std::string large = std::string(kPolicy) + "\n#" + std::string(120000, 'x');
  LongChange change(&controller_);
  std::vector<std::thread> callers;
  std::atomic<int> made = 0;
  for (int i = 0; i < 3; ++i) callers.emplace_back([&] { made += Apply(*As(kSuperuser), large).ok(); });
  EXPECT_TRUE(Eventually([&] { return Refused(Refusal::kCallLimit) == 2; }));
  change.End();
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(made, 1);
}

// Each holds a record of every flow while its reader delays.
TEST_F(Limits, OneUserCannotKeepOthersFromAllFlows) {
  ServerOptions options;
  options.read_group = "54322";
  ASSERT_TRUE(Start(options).ok());
  for (int i = 0; i < 4000; ++i) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_flow()->set_interface(std::string(5000, 'x'));
    telemetry_.history().Push(event);
  }
  const auto begin = [](v1::Sluice::Stub& stub, grpc::ClientContext* context, bool follow) {
    v1::ObserveRequest request;
    request.set_follow(follow);
    request.set_last(follow ? UINT32_MAX : 0);
    return stub.Observe(context, request);
  };
  const User one{.uid = 1000, .gid = 54322, .groups = {}}, other{.uid = 1001, .gid = 54322, .groups = {}};
  const auto of_one = As(one), of_other = As(other), of_root = As(kSuperuser);
  v1::Event event;
  grpc::ClientContext contexts[4];
  const auto unread = begin(*of_one, &contexts[0], false);
  EXPECT_TRUE(unread->Read(&event));
  for (int i = 1; i <= 2; ++i) {
    const auto second = begin(*of_one, &contexts[i], i == 2);
    EXPECT_FALSE(second->Read(&event));
    EXPECT_EQ(second->Finish().error_code(), Code::RESOURCE_EXHAUSTED);
  }
  const auto others = begin(*of_other, &contexts[3], true);
  EXPECT_TRUE(others->Read(&event));
  grpc::ClientContext by_root;
  const auto all = begin(*of_root, &by_root, false);
  int read = 0;
  while (all->Read(&event)) ++read;
  EXPECT_EQ(read, 4000);
  EXPECT_TRUE(all->Finish().ok());
  contexts[0].TryCancel();
  EXPECT_TRUE(Eventually([&] {
    grpc::ClientContext again;
    const bool answered = begin(*of_one, &again, false)->Read(&event);
    again.TryCancel();
    return answered;
  })) << "who goes makes room";
  contexts[3].TryCancel();
}

// Idle connections are closed in favour of active ones.
TEST_F(Limits, IdleConnectionsGiveWay) {
  ServerOptions options;
  options.connections = {.total = 20, .of_one = 10};
  options.read_group = "54322";
  ASSERT_TRUE(Start(options).ok());
  const auto busy = As(kSuperuser);
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  const auto following = busy->Observe(&context, request);
  following->WaitForInitialMetadata();
  std::vector<Fd> idle;
  for (int i = 0; i < 100; ++i) {
    idle.push_back(Connect({.uid = i % 2 == 0 ? 0U : 1000U, .gid = 54322, .groups = {}}));
    ASSERT_TRUE(idle.back().valid()) << i;
  }
  for (int i = 0; i < 30; ++i) {
    EXPECT_TRUE(Ask(*As(kSuperuser)).ok()) << i;
    EXPECT_TRUE(Ask(*As({.uid = 1001, .gid = 54322, .groups = {}})).ok()) << i;
  }
  telemetry_.hub().PublishLoss("TEST", 1);
  v1::Event event;
  EXPECT_TRUE(following->Read(&event)) << "a connection with a call stays";
  context.TryCancel();
}

// gRPC's own service has no access check before it takes a thread for a stream.
class Reflection : public Limits {
 protected:
  struct Asked {
    std::shared_ptr<grpc::Channel> channel;
    grpc::ClientContext context;
    std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>> stream;
    bool answered = false;
  };
  std::unique_ptr<Asked> AskReflection(const std::shared_ptr<grpc::Channel>& channel) {
    auto asked = std::make_unique<Asked>();
    asked->channel = channel;
    asked->stream.reset(grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
        channel.get(), method_, &asked->context));
    const grpc::Slice text(std::string("\x3a\x01*", 3));  // ServerReflectionRequest{list_services: "*"}
    grpc::ByteBuffer reply;
    asked->stream->Write(grpc::ByteBuffer(&text, 1));
    asked->answered = asked->stream->Read(&reply);
    return asked;
  }
  // Number of 20 streams that are answered and stay open.
  int AskMany(const User& user) {
    const auto channel = ChannelOf(user);
    int answered = 0;
    for (int i = 0; i < 20; ++i) answered += asked_.emplace_back(AskReflection(channel))->answered ? 1 : 0;
    return answered;
  }
  static void End(Asked& asked) {
    asked.context.TryCancel();
    asked.stream->Finish();
  }
  void EndAll() {
    for (const auto& asked : asked_) End(*asked);
    asked_.clear();
  }

  const grpc::internal::RpcMethod method_{"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                          grpc::internal::RpcMethod::BIDI_STREAMING};
  std::vector<std::unique_ptr<Asked>> asked_;
};

TEST_F(Reflection, StreamsAreFew) {
  ASSERT_TRUE(Start({}).ok());
  EXPECT_EQ(AskMany(kSuperuser), 8);
  EXPECT_GE(Refused(Refusal::kCallLimit), 12U);
  EndAll();
  const auto channel = ChannelOf(kSuperuser);
  EXPECT_TRUE(Eventually([&] {
    const auto asked = AskReflection(channel);
    End(*asked);
    return asked->answered;
  })) << "who goes makes room";
}

TEST_F(Reflection, OneUserLeavesRoomForTheOthers) {
  ServerOptions options;
  options.read_group = "54322";
  ASSERT_TRUE(Start(options).ok());
  EXPECT_EQ(AskMany({.uid = 1000, .gid = 54322, .groups = {}}), 4);
  EXPECT_EQ(AskMany({.uid = 1001, .gid = 54322, .groups = {}}), 2);
  EXPECT_EQ(AskMany(kSuperuser), 2) << "kept for root";
  EndAll();
}

// They use memory before the server has checked their caller.
TEST_F(Limits, RequestsThatNeverEndKeepNobodyElsesOut) {
  ServerOptions options;
  options.change_group = "54321";
  ASSERT_TRUE(Start(options).ok());
  std::vector<std::unique_ptr<HalfRequest>> halves;
  for (int i = 0; i < 8; ++i) {
    halves.push_back(
        std::make_unique<HalfRequest>(Connect({.uid = 1000, .gid = 54321, .groups = {}}), std::size_t{60} << 20U));
  }
  const auto sent = [&] {
    std::size_t all = 0;
    for (const auto& half : halves) all += half->sent();
    return all;
  };
  EXPECT_TRUE(Eventually([&] { return sent() > std::size_t{150} << 20U; })) << sent();
  for (std::size_t before = 0; before != sent();) {  // as far as they are received
    before = sent();
    std::this_thread::sleep_for(1s);
  }
  const auto apply = [](v1::Sluice::Stub& stub) {
    grpc::ClientContext context;
    v1::ApplyRequest request;
    v1::ApplyReply reply;
    for (int i = 0; i < 2; ++i)
      request.add_documents()->set_yaml("#" + std::string(std::size_t{25} << 20U, 'x') + "\n");
    request.add_documents()->set_yaml(kPolicy);
    return stub.Apply(&context, request, &reply);
  };
  for (const User& user : {kSuperuser, User{.uid = 1001, .gid = 54321, .groups = {}}}) {
    EXPECT_TRUE(Ask(*As(user)).ok());
    const grpc::Status applied = apply(*As(user));
    EXPECT_TRUE(applied.ok()) << user.uid << ": " << applied.error_message();
  }
  RecordProperty("sent_mib", static_cast<int>(sent() >> 20U));
  RecordProperty("ended", static_cast<int>(std::count_if(halves.begin(), halves.end(),
                                                         [](const auto& half) { return half->ended(); })));
}

TEST_F(Limits, AReaderThatDoesNotReadIsEnded) {
  ServerOptions options;
  options.calls.slow_reader = 500ms;
  ASSERT_TRUE(Start(options).ok());
  const auto stub = As(kSuperuser);
  grpc::ClientContext context;
  v1::ObserveRequest request;
  request.set_follow(true);
  const auto following = stub->Observe(&context, request);
  following->WaitForInitialMetadata();
  const std::string large(100000, 'x');
  EXPECT_TRUE(Eventually([&] {
    telemetry_.hub().PublishLoss(large.c_str(), 1);
    return Refused(Refusal::kSlowReader) != 0;
  }));
  EXPECT_TRUE(Eventually([&] { return telemetry_.hub().subscribers() == 0; }));
  EXPECT_NE(log().find("a stream is ended, because its client does not read it"), std::string::npos);
  v1::Event event;
  while (following->Read(&event)) {
  }
  EXPECT_EQ(following->Finish().error_code(), Code::CANCELLED);
}

TEST_F(Limits, AQuestionIsSmallWhereItsCallerOnlyReads) {
  ServerOptions options;
  options.read_group = "54322";
  ASSERT_TRUE(Start(options).ok());
  const std::string large(1 << 20, ' ');
  EXPECT_EQ(Apply(*As({.uid = 1000, .gid = 54322, .groups = {}}), large).error_code(), Code::RESOURCE_EXHAUSTED);
  EXPECT_NE(Apply(*As(kSuperuser), large).error_code(), Code::RESOURCE_EXHAUSTED);
}

}  // namespace
}  // namespace sluice::api
