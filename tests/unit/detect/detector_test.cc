#include "telemetry/detect/detector.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "tests/support/fake_clock.h"
#include "tests/unit/detect/rules.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using test::RuleText;

class DetectorTest : public testing::Test {
 protected:
  DetectorTest() { following_ = *hub_.Subscribe(*EventFilter::Make(v1::ObserveRequest::Filter())); }

  Detector::Options Options(policy::rules::MatchMode mode = policy::rules::MatchMode::kFirst, std::uint32_t rate = 0) {
    return {.node = "node-1", .mode = mode, .rate = rate, .clock = clock_.reader()};
  }
  std::vector<std::string> Rules() {
    std::vector<std::string> rules;
    while (const EventPtr event = following_->Next(0ms)) {
      if (event->has_detection()) rules.push_back(event->detection().rule());
    }
    return rules;
  }

  test::FakeClock clock_;
  EventHub hub_{{.node = "node-1"}, [](bool) {}};
  History history_;
  std::unique_ptr<Subscription> following_;
  policy::rules::Scene scene_;
  const policy::ObjectName workload_{"shop", "web-0"};
};

TEST_F(DetectorTest, AHitNamesRuleProcessAndWorkload) {
  Detector detector(Options(), &hub_, &history_);
  detector.SetRuleset(test::Compile(RuleText("Shell reads", "evt.type = openat and proc.name = bash")));
  detector.OnEvent(scene_.event, nullptr, workload_);
  const EventPtr event = following_->Next(0ms);
  ASSERT_TRUE(event != nullptr && event->has_detection());
  const v1::Detection& detection = event->detection();
  EXPECT_EQ(detection.type(), "detection");
  EXPECT_EQ(detection.node(), "node-1");
  EXPECT_EQ(detection.rule(), "Shell reads");
  EXPECT_EQ(detection.priority(), v1::Detection::WARNING);
  EXPECT_EQ(detection.call(), "openat");
  EXPECT_EQ(detection.namespace_() + "/" + detection.workload(), "shop/web-0");
  EXPECT_EQ(detection.process().pid(), 200U);
  EXPECT_EQ(detection.process().binary(), "/usr/bin/bash");
  EXPECT_EQ(detection.output(), "bash did openat as 0 | <NA>");
  EXPECT_THAT(detection.tags(), testing::ElementsAre("T1555", "container"));
  EXPECT_EQ(history_.Read().size(), 1U);
  EXPECT_EQ(detector.Rules().at(0).matches, 1U);
}

TEST_F(DetectorTest, TheFirstRuleOrAll) {
  const auto rules = test::Compile(RuleText("One", "evt.type = openat") + RuleText("Two", "proc.name = bash"));
  Detector first(Options(), &hub_, nullptr);
  first.SetRuleset(rules);
  first.OnEvent(scene_.event, nullptr, workload_);
  EXPECT_THAT(Rules(), testing::ElementsAre("One"));
  Detector all(Options(policy::rules::MatchMode::kAll), &hub_, nullptr);
  all.SetRuleset(rules);
  all.OnEvent(scene_.event, nullptr, workload_);
  EXPECT_THAT(Rules(), testing::ElementsAre("One", "Two"));
}

TEST_F(DetectorTest, WithoutRulesNothingIsLookedAt) {
  Detector detector(Options(), &hub_, nullptr);
  detector.OnEvent(scene_.event, nullptr, workload_);
  detector.SetRuleset(test::Compile(RuleText("One", "evt.type = openat")));
  detector.SetRuleset(nullptr);
  detector.OnEvent(scene_.event, nullptr, workload_);
  EXPECT_THAT(Rules(), testing::IsEmpty());
  EXPECT_EQ(detector.events(), 0U);
}

TEST_F(DetectorTest, CountersOfARuleOutliveAReload) {
  Detector detector(Options(), &hub_, nullptr);
  detector.SetRuleset(test::Compile(RuleText("One", "evt.type = openat") + RuleText("Gone", "evt.type = mkdir")));
  detector.OnEvent(scene_.event, nullptr, workload_);
  detector.SetRuleset(test::Compile(RuleText("One", "evt.type in (openat, open)")));
  detector.OnEvent(scene_.event, nullptr, workload_);
  const auto rules = detector.Rules();
  ASSERT_EQ(rules.size(), 1U);
  EXPECT_EQ(rules[0].matches, 2U);
}

TEST_F(DetectorTest, ARateLeavesRoomForOtherRulesAndWorkloads) {
  Detector detector(Options(policy::rules::MatchMode::kFirst, 100), &hub_, nullptr);
  detector.SetRuleset(test::Compile(RuleText("Loud", "evt.type = openat") + RuleText("Quiet", "evt.type = mkdir")));
  for (int i = 0; i < 5000; ++i) detector.OnEvent(scene_.event, nullptr, workload_);
  detector.OnEvent(scene_.event, nullptr, {"shop", "other"});
  scene_.event.type = *policy::rules::FindEventType("mkdir");
  detector.OnEvent(scene_.event, nullptr, workload_);
  std::set<std::string> seen;
  std::uint64_t loud = 0;
  while (const EventPtr event = following_->Next(0ms)) {
    seen.insert(event->detection().rule() + " " + event->detection().workload());
    loud += event->detection().rule() == "Loud";
  }
  EXPECT_THAT(seen, testing::UnorderedElementsAre("Loud web-0", "Loud other", "Quiet web-0"));
  EXPECT_LE(loud, 151U);
  EXPECT_EQ(detector.Rules()[0].matches, 5001U);
  EXPECT_EQ(detector.Rules()[0].lost, 5001 - loud);
  const auto losses = detector.Losses();
  ASSERT_EQ(losses.size(), 1U);
  EXPECT_EQ(losses[0].rule, "Loud");
  EXPECT_EQ(losses[0].workload, workload_);
  EXPECT_EQ(losses[0].lost, 5001 - loud);
  detector.Tick();
  const EventPtr told = following_->Next(0ms);
  ASSERT_TRUE(told != nullptr && told->has_lost());
  EXPECT_EQ(told->lost().cause(), "RULES_RATE");
  EXPECT_EQ(told->lost().count(), 5001 - loud);
  EXPECT_EQ(told->lost().event(), "detection");
  EXPECT_EQ(told->lost().workload(), "web-0");
}

TEST_F(DetectorTest, LostEventsCountForTheRulesThatAskForThem) {
  Detector detector(Options(), &hub_, nullptr);
  detector.SetRuleset(
      test::Compile(RuleText("Opens", "evt.type in (open, openat)") + RuleText("Makes", "evt.type = mkdir")));
  policy::rules::EventSet types;
  types.set(*policy::rules::FindEventType("open"));
  detector.NoteMissed(types, workload_, 3);
  detector.NoteMissed(types, {}, 2);
  EXPECT_EQ(detector.Rules()[0].missed, 5U);
  EXPECT_EQ(detector.Rules()[1].missed, 0U);
  EXPECT_EQ(detector.Losses().size(), 2U);
}

TEST_F(DetectorTest, LossesAreBounded) {
  RuleLosses losses(10);
  for (int i = 0; i < 100; ++i) losses.Of("r", {"ns", std::to_string(i)}).lost++;
  std::uint64_t sum = 0;
  for (const RuleLoss& loss : losses.All()) sum += loss.lost;
  EXPECT_EQ(losses.All().size(), 11U);
  EXPECT_EQ(losses.All().back().rule, "other");
  EXPECT_EQ(sum, 100U);
}

// Each hit exactly once, while the rules change under it: by the old ones or by the new ones.
TEST_F(DetectorTest, HundredsOfReloadsLoseNoHitAndDoubleNone) {
  constexpr std::uint64_t kHits = 20000;
  Detector detector(Options(), &hub_, nullptr);
  const auto one = test::Compile(RuleText("Hit", "evt.type = openat and fd.name startswith /etc"));
  const auto other = test::Compile(RuleText("Other", "evt.type = mkdir") + RuleText("Hit", "evt.type = openat"));
  detector.SetRuleset(one);
  std::atomic<bool> over = false;
  std::thread loop([&] {
    policy::rules::Scene scene;
    for (std::uint64_t i = 0; i < kHits; ++i) {
      scene.event.number = i + 1;
      detector.OnEvent(scene.event, nullptr, workload_);
    }
    over = true;
  });
  int reloads = 0;
  for (; reloads < 200 || !over; ++reloads) detector.SetRuleset(reloads % 2 == 0 ? other : one);
  loop.join();
  EXPECT_GE(reloads, 200);
  const auto rules = detector.Rules();
  const auto hit = std::find_if(rules.begin(), rules.end(), [](const auto& rule) { return rule.rule == "Hit"; });
  ASSERT_NE(hit, rules.end());
  EXPECT_EQ(hit->matches, kHits);
  std::uint64_t got = 0, lost = 0;
  while (const EventPtr event = following_->Next(0ms)) {
    if (event->has_detection()) ++got;
    if (event->has_lost()) lost += event->lost().count();
  }
  EXPECT_EQ(got + lost, kHits) << "this follower's queue is bounded: what it has no room for is counted";
}

// What 100,000 hits a second cost: bounded queues, everything counted.
TEST_F(DetectorTest, AFloodIsCountedAndBounded) {
  constexpr std::uint64_t kFlood = 200000;
  Detector detector({.node = "node-1", .rate = 1000}, &hub_, &history_);
  detector.SetRuleset(test::Compile(RuleText("Hit", "evt.type = openat")));
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint64_t i = 0; i < kFlood; ++i) detector.OnEvent(scene_.event, nullptr, workload_);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const RuleNumbers rule = detector.Rules()[0];
  EXPECT_EQ(rule.matches, kFlood);
  const auto sent = static_cast<double>(kFlood - rule.lost);
  EXPECT_LE(sent, 1500 + took.count() * 1000 + 1) << "the rate, and a burst of one second and its reserve";
  EXPECT_GE(sent, 1000);
  RecordProperty("events_a_second", std::to_string(static_cast<double>(kFlood) / took.count()));
}

}  // namespace
}  // namespace sluice::telemetry
