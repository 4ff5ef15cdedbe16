#include "ctrl/relay/event_merge.h"

#include <gmock/gmock.h>

#include "tests/unit/relay/events.h"

namespace sluice::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kHold = 500 * kMs;
constexpr std::int64_t kStart = 1'800'000'000'000 * kMs;

// Times are milliseconds after kStart.
class Merge : public ::testing::Test {
 protected:
  explicit Merge(bool past = false) : merge_({.hold_ns = kHold, .stall_ns = 2000 * kMs, .past = past}) {
    merge_.Add(1, kStart);
    merge_.Add(2, kStart);
  }
  void Push(EventMerge::Source source, std::int64_t time, std::int64_t arrives, const std::string& id) {
    merge_.Push(source, FlowAt(kStart + time * kMs, id), kStart + arrives * kMs);
  }
  std::vector<std::string> Take(std::int64_t now, bool drain = false) {
    std::vector<std::string> ids;
    while (auto next = merge_.Next(kStart + now * kMs, drain)) {
      ids.push_back(next->event.flow().flow_id() + (next->late ? " late" : ""));
    }
    return ids;
  }

  EventMerge merge_;
};

TEST_F(Merge, AnEventWaitsForTheOtherNodes) {
  Push(1, 100, 100, "b");
  EXPECT_THAT(Take(110), IsEmpty());
  Push(2, 50, 120, "a");
  EXPECT_THAT(Take(120), ElementsAre("a")) << "node 2 may still have something before b";
  Push(2, 130, 130, "c");
  EXPECT_THAT(Take(130), ElementsAre("b"));
}

TEST_F(Merge, NobodyIsWaitedForLongerThanHold) {
  Push(1, 100, 100, "a");
  EXPECT_THAT(Take(599), IsEmpty());
  ASSERT_TRUE(merge_.NextAt().has_value());
  EXPECT_EQ(*merge_.NextAt(), kStart + 600 * kMs);
  EXPECT_THAT(Take(600), ElementsAre("a"));
}

TEST_F(Merge, WhatComesTooLateIsPassedOnAndMarked) {
  Push(1, 1000, 1000, "young");
  EXPECT_THAT(Take(1500), ElementsAre("young"));
  Push(2, 900, 1501, "old");
  EXPECT_THAT(Take(2001), ElementsAre("old late"));
  Push(2, 800, 2002, "older");
  EXPECT_THAT(Take(2502), ElementsAre("older late"));
  Push(1, 1001, 2600, "again");
  EXPECT_THAT(Take(3100), ElementsAre("again")) << "nothing younger of another node came before it";
}

TEST_F(Merge, ANodeThatHasEndedIsNotWaitedFor) {
  Push(1, 100, 100, "a");
  Push(1, 110, 110, "b");
  merge_.End(2);
  EXPECT_TRUE(merge_.is_over(2));
  EXPECT_THAT(Take(120), ElementsAre("a", "b"));
}

TEST_F(Merge, WhatANodeSentBeforeItsEndIsPassedOn) {
  Push(2, 100, 100, "last");
  merge_.End(2);
  EXPECT_FALSE(merge_.is_over(2));
  Push(2, 101, 101, "after the end");
  Push(1, 200, 200, "a");
  EXPECT_THAT(Take(200), ElementsAre("last", "a"));
  EXPECT_TRUE(merge_.is_over(2));
}

TEST_F(Merge, KeepsTheOrderOfEachNode) {
  Push(1, 300, 300, "1a");
  Push(1, 200, 301, "1b");  // a flow's END has the time of its last packet
  Push(2, 250, 302, "2a");
  Push(2, 400, 400, "2b");
  EXPECT_THAT(Take(5000), ElementsAre("2a", "1a", "1b late", "2b"));
}

// A node whose clock is behind, or that floods with old events, is never before others for longer than `hold`.
TEST_F(Merge, OldEventsOfOneNodeDoNotStarveAnother) {
  Push(2, 1000, 1000, "victim");
  int passed = 0;
  bool seen = false;
  for (std::int64_t now = 1000; now < 2000 && !seen; now += 10) {
    Push(1, now - 3'600'000, now, "flood");
    for (const std::string& id : Take(now)) {
      seen = seen || id.starts_with("victim");
      if (!seen) ++passed;
    }
  }
  EXPECT_TRUE(seen);
  EXPECT_LE(passed, 52) << "those of 500 ms, one every 10 ms";
}

TEST_F(Merge, EventsFromTheFutureCountAsOfNow) {
  Push(1, 3'600'000, 1000, "future");
  Push(2, 1001, 1001, "now");
  EXPECT_THAT(Take(1001), ElementsAre("future"));
  EXPECT_THAT(Take(1501), ElementsAre("now late")) << "as the client will see it";
}

TEST_F(Merge, CountsWhatWaits) {
  Push(1, 100, 100, "a");
  Push(1, 101, 101, "b");
  EXPECT_EQ(merge_.waiting(1), 2U);
  EXPECT_EQ(merge_.waiting_bytes(1), 2 * FlowAt(kStart + 100 * kMs, "a").ByteSizeLong());
  EXPECT_EQ(merge_.waiting(2), 0U);
  EXPECT_EQ(merge_.waiting(3), 0U) << "there is no such source";
  EXPECT_THAT(Take(0, true), ElementsAre("a", "b"));
  EXPECT_TRUE(merge_.is_empty());
}

class MergeOfThePast : public Merge {
 protected:
  MergeOfThePast() : Merge(true) {}
};

TEST_F(MergeOfThePast, OldEventsAreInOrderHoweverOld) {
  Push(1, -90'000, 10, "b");
  Push(1, -10, 10, "d");
  EXPECT_THAT(Take(1000), IsEmpty()) << "node 2 has not answered";
  Push(2, -3'600'000, 1001, "a");
  Push(2, -20, 1001, "c");
  EXPECT_THAT(Take(1001), ElementsAre("a", "b", "c"));
  merge_.End(2);
  EXPECT_THAT(Take(1001), ElementsAre("d"));
  EXPECT_FALSE(merge_.IsQuiet(kStart + 1001 * kMs)) << "node 1 may have more";
  merge_.End(1);
  EXPECT_TRUE(merge_.IsQuiet(kStart + 1001 * kMs));
}

TEST_F(MergeOfThePast, ANodeThatStallsIsLeftBehind) {
  Push(1, -10, 10, "a");
  EXPECT_THAT(Take(1999), IsEmpty());
  EXPECT_THAT(Take(2000), ElementsAre("a"));
  Push(2, -20, 2100, "b");
  EXPECT_THAT(Take(4011), ElementsAre("b late"));
}

TEST_F(MergeOfThePast, AFutureEventDoesNotWaitForItsTimeOnceItIsLive) {
  Push(1, 3'600'000, 10, "future");
  merge_.GoLive(kStart + 100 * kMs);
  EXPECT_THAT(Take(600), ElementsAre("future"));
  Push(1, 3'600'001, 700, "again");
  EXPECT_THAT(Take(1200), ElementsAre("again"));
}

}  // namespace
}  // namespace sluice::cluster
