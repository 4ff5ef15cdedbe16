#include "telemetry/flow/collector.h"

#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

class CollectorTest : public ::testing::Test {
 protected:
  CollectorTest()
      : collector_({.poll_interval = 1ms, .sweep_interval = 1ms}, &scene_.datapath, &assembler_, &history_, &hub_,
                   &sweeper_) {}

  std::unique_ptr<Subscription> Follow() {
    auto subscription = hub_.Subscribe({});
    EXPECT_TRUE(subscription.ok()) << subscription.status();
    collector_.Wake();
    return std::move(*subscription);
  }
  void SetLost(std::uint64_t count) {
    datapath::Counters counters;
    counters.events[SL_COUNTER_EVENT_LOST_RING_FULL] = count;
    scene_.datapath.SetCounters(counters);
  }
  void Send(const std::string& service) {
    scene_.datapath.AddEvent(scene_.Event(scene_.Record("shop/web", "shop/db", service), SL_FLOW_NEW));
  }
  static bool Eventually(const std::function<bool()>& holds) {
    for (const auto end = std::chrono::steady_clock::now() + 1min; std::chrono::steady_clock::now() < end;) {
      if (holds()) return true;
      std::this_thread::sleep_for(1ms);
    }
    return false;
  }

  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
  History history_;
  EventHub hub_{{.node = "node-1", .clock = scene_.clock.reader()}, [](bool) {}};
  FlowSweeper sweeper_{&scene_.datapath, &assembler_, &history_, &hub_};
  Collector collector_;
};

TEST_F(CollectorTest, FollowersGetTheEventsOfThePacketPath) {
  collector_.Start();
  const auto following = Follow();
  Send("80/TCP");
  Send("81/TCP");
  for (const std::uint32_t port : {80, 81}) {
    const EventPtr event = following->Next(1min);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->flow().event(), v1::Flow::NEW);
    EXPECT_EQ(event->flow().source().workload(), "web");
    EXPECT_EQ(event->flow().l4().destination_port(), port);
  }
}

TEST_F(CollectorTest, EventsThatNobodyFollowsAreDrained) {
  Send("80/TCP");
  collector_.Start();
  ASSERT_TRUE(Eventually([&] { return scene_.datapath.waiting_events() == 0; }));
  const auto following = Follow();
  Send("81/TCP");
  const EventPtr event = following->Next(1min);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->flow().l4().destination_port(), 81U);
}

TEST_F(CollectorTest, WakingEndsTheSleepOfAnUnwatchedAgent) {
  Collector sleepy({.poll_interval = 1ms, .idle_interval = 10min, .sweep_interval = 10min, .max_sweep_interval = 10min},
                   &scene_.datapath, &assembler_, &history_, &hub_, &sweeper_);
  sleepy.Start();
  auto subscription = hub_.Subscribe({});
  sleepy.Wake();
  Send("80/TCP");
  EXPECT_TRUE((*subscription)->Next(1min));
}

TEST_F(CollectorTest, EndsAreRememberedAlsoWhileNobodyFollows) {
  FlowRecord record = scene_.Record("shop/web", "shop/db", "80/TCP");
  record.entry.id = 7;
  scene_.datapath.AddEvent(scene_.Event(record, SL_FLOW_NEW));
  scene_.datapath.AddEvent(scene_.Event(record, SL_FLOW_END));
  collector_.Start();
  ASSERT_TRUE(Eventually([&] { return !history_.Read().empty(); }));
  ASSERT_EQ(history_.Read().size(), 1U);
  EXPECT_EQ(history_.Read()[0]->flow().event(), v1::Flow::END);
  EXPECT_EQ(sweeper_.expired(), 1U) << "also what the packet path ended";
}

TEST_F(CollectorTest, EndsAreReadBetweenHarvests) {
  Collector rare({.idle_interval = 1ms, .sweep_interval = 10min, .max_sweep_interval = 10min}, &scene_.datapath,
                 &assembler_, &history_, &hub_, &sweeper_);
  rare.Start();
  const FlowRecord record = scene_.Record("shop/web", "shop/db", "80/TCP");
  for (std::size_t i = 1; i <= 3; i++) {
    scene_.datapath.AddEvent(scene_.Event(record, SL_FLOW_END));
    ASSERT_TRUE(Eventually([&] { return history_.Read().size() == i; })) << "the ring does not fill up";
  }
}

TEST_F(CollectorTest, TimesAreRightWhenTheClockWasSetWhileNobodyAsked) {
  std::atomic<std::uint64_t> ahead = 0, readings = 0;
  FlowAssembler assembler("node-1", &scene_.datapath, scene_.policy(), [&] {
    ClockReading reading = scene_.clock.reader()();
    reading.realtime_ns += ahead;
    readings++;
    return reading;
  });
  Collector collector({.idle_interval = 1ms, .sweep_interval = 10min, .max_sweep_interval = 10min}, &scene_.datapath,
                      &assembler, &history_, &hub_, &sweeper_);
  collector.Start();
  const auto is_read_again = [&] {
    return Eventually([&, before = readings.load()] { return readings > before + 1; });
  };
  ASSERT_TRUE(is_read_again());
  ahead = 3600 * FakeClock::kSecond;
  ASSERT_TRUE(is_read_again());
  scene_.clock.Advance(FakeClock::kSecond);
  const FlowRecord record = scene_.Record("shop/web", "shop/db", "80/TCP");
  scene_.clock.Advance(FakeClock::kSecond);
  const v1::Flow flow = assembler.Capture().Assemble(FromRecord(record));
  EXPECT_EQ(flow.time().seconds(),
            static_cast<std::int64_t>((FakeClock::kBoot + record.entry.last_seen_ns) / FakeClock::kSecond + 3600));
}

TEST_F(CollectorTest, ABeginningWaitsUntilItsProcessesAreKnown) {
  std::atomic<int> caught_up = 0;
  collector_.NameProcesses([&] { caught_up++; });
  collector_.Start();
  const auto following = Follow();
  FlowRecord record = scene_.Record("shop/web", "shop/db", "80/TCP");
  record.entry.id = 7;
  record.entry.initiator_process = 1;
  scene_.datapath.AddEvent(scene_.Event(record, SL_FLOW_NEW));
  EXPECT_EQ(following->Next(50ms), nullptr) << "nobody answered yet";
  record.entry.responder_process = 2;
  scene_.datapath.AddFlow(record);
  ASSERT_TRUE(following->Next(1min));
  EXPECT_GT(caught_up, 0) << "what the sensors said was read before it was told";
}

TEST_F(CollectorTest, ABeginningWithoutAnswerIsToldAMomentLater) {
  collector_.NameProcesses([] {});
  collector_.Start();
  const auto following = Follow();
  FlowRecord record = scene_.Record("shop/web", "shop/db", "80/TCP");
  record.entry.initiator_process = 1;
  scene_.datapath.AddEvent(scene_.Event(record, SL_FLOW_NEW));
  EXPECT_EQ(following->Next(50ms), nullptr);
  scene_.clock.Advance(FakeClock::kSecond);
  EXPECT_TRUE(following->Next(1min));
}

TEST_F(CollectorTest, TellsWhoLostEventsBeyondItsShare) {
  const auto following = Follow();
  const auto refuse = [&](std::uint64_t count) {
    datapath::Counters counters;
    counters.events[SL_COUNTER_EVENT_LOST_SHARE] = count;
    std::map<std::uint32_t, std::uint64_t> lost;
    for (const policy::Endpoint& endpoint : scene_.world.snapshot().endpoints)
      if (endpoint.name == policy::ObjectName{"shop", "web"}) lost[endpoint.endpoint] = count;
    scene_.datapath.SetLostEvents(lost);
    scene_.datapath.SetCounters(counters);
  };
  refuse(100);  // of an earlier agent
  Send("80/TCP");
  collector_.Start();
  ASSERT_TRUE(following->Next(1min)->has_flow());
  Send("81/TCP");
  ASSERT_TRUE(following->Next(1min)->has_flow());
  refuse(107);
  const EventPtr event = following->Next(1min);
  ASSERT_TRUE(event && event->has_lost());
  EXPECT_EQ(event->lost().cause(), "WORKLOAD_SHARE");
  EXPECT_EQ(event->lost().count(), 7U);
  EXPECT_EQ(event->lost().workload(), "web");
  EXPECT_EQ(event->lost().event(), "flow");
}

// A workload's number is later given to another one, and its count starts at 0.
TEST_F(CollectorTest, TellsWhatANewWorkloadLost) {
  const auto following = Follow();
  const auto refuse = [&](std::uint64_t of_it, std::uint64_t all) {
    datapath::Counters counters;
    counters.events[SL_COUNTER_EVENT_LOST_SHARE] = all;
    scene_.datapath.SetLostEvents({{1, of_it}});
    scene_.datapath.SetCounters(counters);
  };
  refuse(100, 100);
  Send("80/TCP");
  collector_.Start();
  ASSERT_TRUE(following->Next(1min)->has_flow());
  Send("81/TCP");
  ASSERT_TRUE(following->Next(1min)->has_flow());
  refuse(3, 103);
  const EventPtr event = following->Next(1min);
  ASSERT_TRUE(event && event->has_lost());
  EXPECT_EQ(event->lost().count(), 3U);
}

TEST_F(CollectorTest, EndsIdleFlows) {
  FlowRecord record = scene_.Record("shop/web", "shop/db", "53/UDP");
  record.entry.last_seen_ns -= SL_CT_TIMEOUT_SINGLE + 1;
  scene_.datapath.AddFlow(record);
  collector_.Start();
  EXPECT_TRUE(Eventually([&] { return sweeper_.expired() == 1; }));
}

TEST_F(CollectorTest, TellsWhatTheRingLost) {
  SetLost(100);  // of an earlier agent
  const auto following = Follow();
  Send("80/TCP");
  collector_.Start();
  ASSERT_TRUE(following->Next(1min)->has_flow());
  // The first pass was after that event; one more event, and the hundred were not reported.
  Send("81/TCP");
  ASSERT_TRUE(following->Next(1min)->has_flow());
  for (const std::uint64_t lost : {105, 106}) {
    SetLost(lost);
    const EventPtr event = following->Next(1min);
    ASSERT_TRUE(event && event->has_lost());
    EXPECT_EQ(event->lost().cause(), "RING_FULL");
    EXPECT_EQ(event->lost().count(), lost == 105 ? 5U : 1U);
  }
}

TEST_F(CollectorTest, KernelErrorsAreSurvived) {
  for (const char* const method : {"PollEvents", "ReadEventCounters", "ForEachFlow"})
    scene_.datapath.FailNext(method, InvalidError("map: no"));
  const auto following = Follow();
  collector_.Start();
  Send("80/TCP");
  EXPECT_TRUE(following->Next(1min));
  FlowRecord record = scene_.Record("shop/web", "shop/db", "53/UDP");
  record.entry.last_seen_ns -= SL_CT_TIMEOUT_SINGLE + 1;
  scene_.datapath.AddFlow(record);
  EXPECT_TRUE(Eventually([&] { return sweeper_.expired() == 1; }));
}

TEST_F(CollectorTest, StopsTwiceAndUnstarted) {
  collector_.Stop();
  Collector started({}, &scene_.datapath, &assembler_, &history_, &hub_, &sweeper_);
  started.Start();
  started.Stop();
  started.Stop();
}

TEST(SweepPause, KeepsHarvestsBelowHalfAPercentWithinBounds) {
  const Collector::Options options{.sweep_interval = 2s, .max_sweep_interval = 30s};
  EXPECT_EQ(Collector::SweepPause(options, 0ns), 2s);
  EXPECT_EQ(Collector::SweepPause(options, 200us), 2s);
  EXPECT_EQ(Collector::SweepPause(options, 10ms), 2s);
  EXPECT_EQ(Collector::SweepPause(options, 50ms), 10s);
  EXPECT_EQ(Collector::SweepPause(options, 1s), 30s);
  EXPECT_EQ(Collector::SweepPause({.sweep_interval = 60s, .max_sweep_interval = 30s}, 1s), 60s);
}

}  // namespace
}  // namespace sluice::telemetry
