#include "telemetry/event/event_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "tests/support/fake_clock.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A flow that is identified by its port.
EventPtr Numbered(std::uint32_t port) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_flow()->mutable_l4()->set_destination_port(port);
  return event;
}

// All waiting events: "3" for a flow, "CAUSE*COUNT" for a loss.
std::vector<std::string> Drain(Subscription& subscription) {
  std::vector<std::string> out;
  while (const EventPtr event = subscription.Next(0ms)) {
    out.push_back(event->has_lost() ? fmt::format("{}*{}", event->lost().cause(), event->lost().count())
                                    : std::to_string(event->flow().l4().destination_port()));
  }
  return out;
}

class EventHubTest : public ::testing::Test {
 protected:
  EventHub Make(std::size_t capacity, std::size_t subscribers = 8) {
    return EventHub({.node = "n", .queue_capacity = capacity, .max_subscribers = subscribers, .clock = clock_.reader()},
                    [this](bool watched) { switched_.push_back(watched); });
  }
  std::unique_ptr<Subscription> Follow(EventHub& hub, const v1::ObserveRequest::Filter& filter = {}) {
    auto subscription = hub.Subscribe(EventFilter::Make(filter).value());
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    return std::move(*subscription);
  }

  test::FakeClock clock_;
  std::vector<bool> switched_;
};

TEST_F(EventHubTest, EverybodyGetsEverythingInOrder) {
  EventHub hub = Make(10);
  const auto a = Follow(hub), b = Follow(hub);
  for (const std::uint32_t port : {1, 2, 3}) hub.Publish(Numbered(port));
  EXPECT_THAT(Drain(*a), ElementsAre("1", "2", "3"));
  EXPECT_THAT(Drain(*b), ElementsAre("1", "2", "3"));
  EXPECT_EQ(hub.lost(), 0U);
}

TEST_F(EventHubTest, NothingFromBeforeTheSubscription) {
  EventHub hub = Make(10);
  hub.Publish(Numbered(1));
  EXPECT_THAT(Drain(*Follow(hub)), IsEmpty());
}

TEST_F(EventHubTest, OnlyWhatTheFilterTakes) {
  EventHub hub = Make(1);
  v1::ObserveRequest::Filter filter;
  filter.set_port(2);
  const auto following = Follow(hub, filter);
  for (const std::uint32_t port : {1, 2, 3}) hub.Publish(Numbered(port));
  EXPECT_THAT(Drain(*following), ElementsAre("2")) << "what it does not take fills no queue";
  EXPECT_EQ(hub.lost(), 0U);
}

TEST_F(EventHubTest, LossIsToldInItsPlace) {
  EventHub hub = Make(2);
  const auto following = Follow(hub);
  for (const std::uint32_t port : {1, 2, 3, 4, 5}) hub.Publish(Numbered(port));
  EXPECT_EQ(hub.lost(), 3U);
  EXPECT_EQ(following->Next(0ms)->flow().l4().destination_port(), 1U);
  hub.Publish(Numbered(6));
  EXPECT_THAT(Drain(*following), ElementsAre("2", "SUBSCRIBER_QUEUE_FULL*3", "6"));
  hub.Publish(Numbered(7));
  EXPECT_THAT(Drain(*following), ElementsAre("7")) << "told once";
}

TEST_F(EventHubTest, AFloodOfOneWorkloadsIsItsOwnLoss) {
  EventHub hub = Make(4);
  const auto following = Follow(hub);
  const auto publish = [&](const char* workload, std::uint32_t port) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_flow()->mutable_source()->set_namespace_("shop");
    event->mutable_flow()->mutable_source()->set_workload(workload);
    event->mutable_flow()->mutable_l4()->set_destination_port(port);
    hub.Publish(event);
  };
  for (std::uint32_t port = 1; port <= 100; port++) publish("flood", port);
  publish("quiet", 1001);
  publish("quiet", 1002);
  for (std::uint32_t port = 101; port <= 200; port++) publish("flood", port);
  for (const std::uint32_t port : {1, 2, 1001, 1002}) {
    EXPECT_EQ(following->Next(0ms)->flow().l4().destination_port(), port);
  }
  const EventPtr lost = following->Next(0ms);
  ASSERT_TRUE(lost && lost->has_lost());
  EXPECT_EQ(lost->lost().cause(), "SUBSCRIBER_QUEUE_FULL");
  EXPECT_EQ(lost->lost().namespace_(), "shop");
  EXPECT_EQ(lost->lost().workload(), "flood");
  EXPECT_EQ(lost->lost().count(), 198U);
  EXPECT_EQ(following->Next(0ms), nullptr);
}

TEST_F(EventHubTest, BytesThatWaitAreBounded) {
  EventHub hub({.node = "n", .queue_bytes = 1 << 20, .clock = clock_.reader()}, [](bool) {});
  const auto following = Follow(hub);
  const auto publish = [&](const char* workload, std::size_t bytes) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_flow()->mutable_source()->set_workload(workload);
    event->mutable_flow()->mutable_source()->mutable_process()->add_arguments(std::string(bytes, 'x'));
    hub.Publish(event);
  };
  publish("quiet", 1);
  for (int i = 0; i < 1000; i++) publish("large", 10000);
  publish("quiet", 1);
  std::size_t bytes = 0, quiet = 0, losses = 0;
  while (const EventPtr event = following->Next(0ms)) {
    bytes += event->SpaceUsedLong();
    quiet += event->flow().source().workload() == "quiet";
    if (!event->has_lost()) continue;
    losses++;
    EXPECT_EQ(event->lost().workload(), "large");
    EXPECT_GT(event->lost().count(), 890U);
  }
  EXPECT_LE(bytes, (1U << 20) + 10000);
  EXPECT_EQ(quiet, 2U);
  EXPECT_EQ(losses, 1U);
}

TEST_F(EventHubTest, LossAtTheEndIsToldWhenTheQueueIsEmpty) {
  EventHub hub = Make(1);
  const auto following = Follow(hub);
  hub.Publish(Numbered(1));
  hub.Publish(Numbered(2));
  EXPECT_THAT(Drain(*following), ElementsAre("1", "SUBSCRIBER_QUEUE_FULL*1"));
}

TEST_F(EventHubTest, LossSaysWhereAndWhen) {
  EventHub hub = Make(4);
  const auto following = Follow(hub);
  hub.PublishLoss("RING_FULL", 9);
  const EventPtr event = following->Next(0ms);
  EXPECT_EQ(event->lost().node(), "n");
  EXPECT_EQ(event->lost().type(), "lost");
  EXPECT_EQ(event->lost().cause(), "RING_FULL");
  EXPECT_EQ(event->lost().count(), 9U);
  EXPECT_EQ(event->lost().time().seconds(),
            static_cast<std::int64_t>((test::FakeClock::kBoot + clock_.now()) / 1'000'000'000));
}

TEST_F(EventHubTest, SourcesLossThatFindsNoRoomIsNotForgotten) {
  EventHub hub = Make(1);
  const auto following = Follow(hub);
  hub.Publish(Numbered(1));
  hub.PublishLoss("RING_FULL", 9);
  EXPECT_THAT(Drain(*following), ElementsAre("1", "SUBSCRIBER_QUEUE_FULL*9"));
  EXPECT_EQ(hub.lost(), 0U) << "the source counts it";
}

TEST_F(EventHubTest, SlowFollowerDelaysNobody) {
  EventHub hub = Make(3);
  const auto slow = Follow(hub), quick = Follow(hub);
  std::vector<std::string> got;
  for (std::uint32_t port = 1; port <= 100; port++) {
    hub.Publish(Numbered(port));
    for (const std::string& one : Drain(*quick)) got.push_back(one);
  }
  EXPECT_EQ(got.size(), 100U);
  EXPECT_EQ(got.back(), "100");
  EXPECT_THAT(Drain(*slow), ElementsAre("1", "2", "3", "SUBSCRIBER_QUEUE_FULL*97"));
}

TEST_F(EventHubTest, SwitchIsToldOfTheFirstAndTheLast) {
  EventHub hub = Make(1);
  auto a = Follow(hub), b = Follow(hub);
  EXPECT_EQ(hub.subscribers(), 2U);
  EXPECT_THAT(switched_, ElementsAre(true));
  a.reset();
  EXPECT_THAT(switched_, ElementsAre(true));
  b.reset();
  EXPECT_THAT(switched_, ElementsAre(true, false));
  EXPECT_FALSE(hub.watched());
  a = Follow(hub);
  EXPECT_THAT(switched_, ElementsAre(true, false, true));
}

TEST_F(EventHubTest, NumberOfFollowersIsBounded) {
  EventHub hub = Make(1, 2);
  auto a = Follow(hub);
  const auto b = Follow(hub);
  const auto refused = hub.Subscribe({});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(Message(refused.status()), HasSubstr("2 observers"));
  a.reset();
  EXPECT_TRUE(hub.Subscribe({}).ok());
}

TEST_F(EventHubTest, NextWaitsForAnEvent) {
  EventHub hub = Make(4);
  const auto following = Follow(hub);
  EventPtr got;
  std::thread reader([&] { got = following->Next(1min); });
  hub.Publish(Numbered(5));
  reader.join();
  ASSERT_TRUE(got);
  EXPECT_EQ(got->flow().l4().destination_port(), 5U);
}

TEST_F(EventHubTest, CloseEndsEverybodyAfterWhatWaits) {
  EventHub hub = Make(4);
  const auto waiting = Follow(hub), behind = Follow(hub);
  hub.Publish(Numbered(1));
  EXPECT_THAT(Drain(*waiting), ElementsAre("1"));
  std::thread reader([&] { EXPECT_EQ(waiting->Next(1min), nullptr); });
  hub.Close();
  reader.join();
  EXPECT_TRUE(hub.closed());
  EXPECT_THAT(Drain(*behind), ElementsAre("1"));
  EXPECT_EQ(hub.Subscribe({}).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(EventHubTest, ManyPublishersAndFollowersLoseNothingUncounted) {
  constexpr int kPublishers = 3, kEach = 2000;
  EventHub hub = Make(64);
  const auto following = Follow(hub);
  std::vector<std::thread> publishers;
  for (int i = 0; i < kPublishers; i++) {
    publishers.emplace_back([&hub] {
      for (int n = 0; n < kEach; n++) hub.Publish(Numbered(7));
    });
  }
  std::uint64_t events = 0, lost = 0;
  const auto take = [&](const EventPtr& event) { event->has_lost() ? lost += event->lost().count() : ++events; };
  while (events + lost < kPublishers * kEach) {
    const EventPtr event = following->Next(1min);
    ASSERT_TRUE(event);
    take(event);
  }
  for (std::thread& publisher : publishers) publisher.join();
  EXPECT_EQ(events + lost, static_cast<std::uint64_t>(kPublishers * kEach));
  EXPECT_EQ(lost, hub.lost());
}

}  // namespace
}  // namespace sluice::telemetry
