#include "ctrl/relay/cluster_observe.h"

#include <atomic>

#include "tests/unit/relay/cluster_fixture.h"

namespace sluice::cluster {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

constexpr std::int64_t kSecond = 1'000'000'000;

std::string IdOf(const ClusterEvent& event) {
  if (event.event().has_flow()) return event.event().flow().flow_id();
  if (event.event().has_lost()) return "lost " + std::to_string(event.event().lost().count());
  return event.node_state().node() + " " + NodeState::State_Name(event.node_state().state());
}

// A reader on a thread of its own, until it is stopped or has read all.
class Reading {
 public:
  Reading(const Nodes& nodes, v1::ObserveRequest request, ObserveLimits limits = Quick())
      : thread_([this, &nodes, request = std::move(request), limits] {
          ClusterObserve observe(&nodes, request, limits, "relay",
                                 {.consume =
                                      [this](const v1::Event& event) {
                                        ClusterEvent one;
                                        *one.mutable_event() = event;
                                        return Take(one);
                                      },
                                  .tell =
                                      [this](const NodeState& state) {
                                        ClusterEvent one;
                                        *one.mutable_node_state() = state;
                                        return Take(one);
                                      },
                                  .is_over = [this] { return stopped_.load(); }});
          EXPECT_TRUE(observe.Run().ok());
          ended_ = true;
        }) {}
  ~Reading() { Stop(); }

  static ObserveLimits Quick() {
    ObserveLimits limits;
    limits.hold = 100ms;
    limits.stall = 500ms;
    limits.opening = 1000ms;
    return limits;
  }
  void Stop() {
    stopped_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void BeSlow(bool slow) { slow_ = slow; }
  bool has_ended() const { return ended_; }
  std::vector<ClusterEvent> events() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::vector<std::string> ids() const {
    std::vector<std::string> ids;
    for (const ClusterEvent& event : events()) ids.push_back(IdOf(event));
    return ids;
  }
  std::size_t Count(const std::string& id) const {
    const auto all = ids();
    return static_cast<std::size_t>(std::count(all.begin(), all.end(), id));
  }

 private:
  bool Take(const ClusterEvent& event) {
    while (slow_ && !stopped_) std::this_thread::sleep_for(1ms);
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    return true;
  }

  mutable std::mutex mutex_;
  std::vector<ClusterEvent> events_;
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> slow_ = false;
  std::atomic<bool> ended_ = false;
  std::thread thread_;
};

v1::ObserveRequest Following(std::uint32_t last = 0) {
  v1::ObserveRequest request;
  request.set_follow(true);
  request.set_last(last);
  return request;
}

v1::ObserveRequest Newest(std::uint32_t last) {
  v1::ObserveRequest request;
  request.set_last(last);
  return request;
}

class Observe : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    one_ = &StartAgent("node-1");
    two_ = &StartAgent("node-2");
    Know({"node-1", "node-2"});
    ASSERT_TRUE(AwaitConnected(2));
  }
  bool AwaitFollowers() const {
    return Eventually([&] { return one_->followers() == 1 && two_->followers() == 1; });
  }

  FakeNode* one_ = nullptr;
  FakeNode* two_ = nullptr;
};

TEST_F(Observe, PastEventsOfAllNodesComeInOrder) {
  const std::int64_t now = NowNs();
  one_->SetPast({FlowAt(now - 90 * kSecond, "a"), FlowAt(now - 20 * kSecond, "c"), FlowAt(now - kSecond, "e")});
  two_->SetPast({FlowAt(now - 30 * kSecond, "b", "node-2"), FlowAt(now - 10 * kSecond, "d", "node-2")});
  Reading all(*nodes_, Newest(0));
  ASSERT_TRUE(Eventually([&] { return all.has_ended(); }));
  EXPECT_THAT(all.ids(), ElementsAre("a", "b", "c", "d", "e"));
  Reading newest(*nodes_, Newest(2));
  ASSERT_TRUE(Eventually([&] { return newest.has_ended(); }));
  EXPECT_THAT(newest.ids(), ElementsAre("d", "e")) << "two of the cluster, not of each node";
  EXPECT_EQ(one_->requests().back().last(), 2U);
}

TEST_F(Observe, NewEventsOfAllNodesComeInOrder) {
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(AwaitFollowers());
  const std::int64_t now = NowNs();
  one_->Send(FlowAt(now + 2, "b"));
  two_->Send(FlowAt(now + 1, "a", "node-2"));
  two_->Send(FlowAt(now + 3, "c", "node-2"));
  ASSERT_TRUE(Eventually([&] { return reading.events().size() == 3; }));
  EXPECT_THAT(reading.ids(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(reading.events()[0].event().flow().node(), "node-2");
}

TEST_F(Observe, AFollowerBeginsWithTheNewestOfTheCluster) {
  const std::int64_t now = NowNs();
  one_->SetPast({FlowAt(now - 90 * kSecond, "a"), FlowAt(now - 20 * kSecond, "c")});
  two_->SetPast({FlowAt(now - 30 * kSecond, "b", "node-2"), FlowAt(now - 10 * kSecond, "d", "node-2")});
  Reading reading(*nodes_, Following(2));
  ASSERT_TRUE(AwaitFollowers());
  ASSERT_TRUE(Eventually([&] { return reading.events().size() == 2; }));
  one_->Send(FlowAt(NowNs(), "e"));
  ASSERT_TRUE(Eventually([&] { return reading.events().size() == 3; }));
  EXPECT_THAT(reading.ids(), ElementsAre("c", "d", "e"));
}

TEST_F(Observe, SaysWhichNodesAreMissingAndWhichComeAndGo) {
  Know({"node-1", "node-2", "node-3"});
  ASSERT_TRUE(Eventually([&] { return nodes_->all().size() == 3; }));
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(AwaitFollowers());
  EXPECT_THAT(reading.ids(), ElementsAre(AddressOf("node-3") + " MISSING"));
  two_->Stop();
  ASSERT_TRUE(Eventually([&] { return reading.Count("node-2 MISSING") == 1; }));
  EXPECT_NE(reading.events().back().node_state().problem(), "");
  one_->Send(FlowAt(NowNs(), "meanwhile"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("meanwhile") == 1; })) << "the others go on";
  two_->Start();
  ASSERT_TRUE(Eventually([&] { return reading.Count("node-2 CONNECTED") == 1; }));
  two_->Send(FlowAt(NowNs(), "again", "node-2"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("again") == 1; }));
  EXPECT_EQ(two_->requests().back().last(), 0U) << "nothing comes twice";
  StartAgent("node-3");
  ASSERT_TRUE(Eventually([&] { return reading.Count("node-3 CONNECTED") == 1; }));
  Know({"node-1"});
  ASSERT_TRUE(Eventually([&] { return reading.Count("node-2 REMOVED") == 1; }));
  one_->Send(FlowAt(NowNs(), "last"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("last") == 1; }));
}

TEST_F(Observe, PastEventsDoNotWaitForANodeThatStalls) {
  const std::int64_t now = NowNs();
  one_->SetPast({FlowAt(now - 2 * kSecond, "a"), FlowAt(now - kSecond, "b")});
  two_->Stall(true);
  Reading reading(*nodes_, Newest(10));
  ASSERT_TRUE(Eventually([&] { return reading.has_ended(); }));
  // What is missing is told when it is known; the newest past events come last.
  EXPECT_THAT(reading.ids(), ElementsAre("node-2 MISSING", "a", "b"));
  EXPECT_THAT(reading.events()[0].node_state().problem(), HasSubstr("it sent nothing for 0.5 s"));
}

TEST_F(Observe, AFloodOfOldEventsStarvesNobody) {
  two_->Flood([] { return FlowAt(1, "flood", "node-2"); });
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(Eventually([&] { return reading.Count("flood") > 100; }));
  for (int i = 0; i < 20; ++i) one_->Send(FlowAt(NowNs(), fmt::format("victim-{}", i)));
  ASSERT_TRUE(Eventually([&] { return reading.Count("victim-19") == 1; }));
  for (int i = 0; i < 20; ++i) EXPECT_EQ(reading.Count(fmt::format("victim-{}", i)), 1U) << i;
}

TEST_F(Observe, AFloodOfPastEventsEndsThatNodesStream) {
  two_->Flood([] { return FlowAt(1, "flood", "node-2"); });
  one_->SetPast({FlowAt(NowNs() - kSecond, "a")});
  Reading reading(*nodes_, Newest(3));
  ASSERT_TRUE(Eventually([&] { return reading.has_ended(); }));
  EXPECT_THAT(reading.ids(), ElementsAre("node-2 MISSING", "flood", "flood", "a"));
  EXPECT_THAT(reading.events()[0].node_state().problem(), HasSubstr("more events than were asked for"));
}

TEST_F(Observe, ASlowReaderStopsTheReadingAndNothingGrows) {
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(AwaitFollowers());
  reading.BeSlow(true);
  one_->Flood([] { return FlowAt(NowNs(), std::string(4096, 'x')); });
  Reading other(*nodes_, Following());  // gets the flood
  other.BeSlow(true);
  std::uint64_t sent = 0;
  ASSERT_TRUE(Eventually([&] {
    const std::uint64_t before = std::exchange(sent, one_->flooded());
    std::this_thread::sleep_for(200ms);
    return sent != 0 && before == sent;
  })) << "it goes on reading";
  EXPECT_LT(sent * 4096, 16U << 20) << "its part of the inbox, and what gRPC and the socket hold";
  const NodeStatus status = nodes_->all().front()->status();
  EXPECT_GT(nodes_->all().front()->counts().paused, 0U);
  EXPECT_EQ(status.state(), NodeStatus::CONNECTED);
  other.BeSlow(false);
  ASSERT_TRUE(Eventually([&] { return one_->flooded() > sent; })) << "it does not read on";
}

TEST_F(Observe, AReaderThatGoesWhileReadingIsStoppedEndsTheCalls) {
  one_->Flood([] { return FlowAt(NowNs(), std::string(4096, 'x')); });
  {
    Reading reading(*nodes_, Following());
    reading.BeSlow(true);
    ASSERT_TRUE(Eventually([&] { return nodes_->all().front()->counts().paused > 0; }));
  }
  EXPECT_TRUE(Eventually([&] { return one_->followers() == 0 && two_->followers() == 0; }));
}

TEST_F(Observe, GarbageIsCountedAndNotPassedOn) {
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(AwaitFollowers());
  two_->Send(v1::Event());
  v1::Event bad = FlowAt(NowNs(), "bad", "node-2");
  bad.mutable_flow()->mutable_time()->set_nanos(-1);
  two_->Send(bad);
  two_->Send(FlowAt(NowNs(), "forged", "node-1"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("forged") == 1; }));
  EXPECT_THAT(reading.ids(), ElementsAre("forged"));
  EXPECT_EQ(reading.events().front().event().flow().node(), "node-2");
  const NodeStatus status = nodes_->all().back()->status();
  EXPECT_EQ(status.node(), "node-2");
  EXPECT_EQ(status.events(), 1U);
  EXPECT_EQ(status.refused(), 2U);
  EXPECT_EQ(status.renamed(), 1U);
}

TEST_F(Observe, LateEventsAreCounted) {
  Reading reading(*nodes_, Following());
  ASSERT_TRUE(AwaitFollowers());
  one_->Send(FlowAt(NowNs(), "young"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("young") == 1; }));
  two_->Send(FlowAt(NowNs() - 60 * kSecond, "old", "node-2"));
  ASSERT_TRUE(Eventually([&] { return reading.Count("old") == 1; }));
  EXPECT_EQ(nodes_->all().back()->status().late(), 1U);
  EXPECT_EQ(nodes_->all().front()->status().late(), 0U);
}

TEST_F(Observe, PastEventsThatAreHeldAreBounded) {
  std::vector<v1::Event> many;
  const std::int64_t now = NowNs();
  for (int i = 0; i < 50; ++i) many.push_back(FlowAt(now - (60 - i) * kSecond, fmt::format("{}", i)));
  one_->SetPast(many);
  ObserveLimits limits = Reading::Quick();
  limits.past_events = 10;
  Reading reading(*nodes_, Newest(40), limits);
  ASSERT_TRUE(Eventually([&] { return reading.has_ended(); }));
  ASSERT_THAT(reading.ids(), SizeIs(11));
  EXPECT_EQ(reading.ids().front(), "lost 30");
  EXPECT_EQ(reading.events().front().event().lost().cause(), "RELAY_BUFFER_FULL");
  EXPECT_EQ(reading.ids().back(), "49");
}

TEST_F(Observe, UntilEndsAFollower) {
  v1::ObserveRequest request = Following();
  request.mutable_until()->set_seconds(NowNs() / kSecond + 1);
  one_->Stop();  // its streams end with errors
  ASSERT_TRUE(AwaitConnected(1));
  Reading reading(*nodes_, request);
  ASSERT_TRUE(Eventually([&] { return two_->followers() == 1; }));
  two_->Stop();
  EXPECT_TRUE(Eventually([&] { return reading.has_ended(); }));
}

}  // namespace
}  // namespace sluice::cluster
