// The ring, and which of its entries a client gets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <climits>
#include <thread>

#include "api/hubble_observer.pb.h"
#include "telemetry/event/event_ring.h"
#include "telemetry/hubble/ring_window.h"

namespace sluice::telemetry {
namespace {

using google::protobuf::Timestamp;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// A value at a time; negative: a report of a loss.
struct Entry {
  int value = 0;
  Timestamp time;
};

Timestamp At(std::int64_t seconds) {
  Timestamp time;
  time.set_seconds(seconds);
  return time;
}

class Rings : public ::testing::Test {
 protected:
  void Push(int value, std::int64_t seconds) { ring_.Push({value, At(seconds)}, 1); }
  // Values of `count` entries: 0, 1, 2, ..., at as many seconds.
  void PushMany(int count) {
    for (int i = 0; i < count; ++i) Push(i, i);
  }

  // `wanted`: which values match.
  std::vector<int> Read(
      RingWindow window, const std::function<bool(int)>& wanted = [](int) { return true; }) {
    std::vector<int> values;
    RingDelivery<Entry> delivery;
    delivery.time_of = [](const Entry& entry) -> const Timestamp& { return entry.time; };
    delivery.is_counted = [](const Entry& entry) { return entry.value >= 0; };
    delivery.matches = [&](const Entry& entry, std::uint64_t) { return wanted(entry.value); };
    delivery.deliver = [&](const Entry& entry, std::uint64_t) {
      if (entry.value >= 0 && !wanted(entry.value)) return Delivery::kSkipped;
      values.push_back(entry.value);
      if (on_value_) on_value_(entry.value);
      return entry.value == gone_at_ ? Delivery::kReaderGone : Delivery::kSent;
    };
    delivery.deliver_loss = [&](std::uint64_t count, const Timestamp&, const Timestamp&) {
      lost_ += count;
      ++reports_;
      return Delivery::kSent;
    };
    delivery.is_cancelled = [&] { return cancelled_.load(); };
    RingReader<Entry>(&ring_, std::move(window), std::move(delivery)).Run();
    return values;
  }

  EventRing<Entry> ring_{{.max_entries = 10, .max_bytes = 100}};
  std::function<void(int)> on_value_;
  int gone_at_ = INT_MAX;
  std::uint64_t lost_ = 0;
  int reports_ = 0;
  std::atomic<bool> cancelled_ = false;
};

std::vector<std::uint64_t> NumbersOf(const std::vector<std::pair<std::uint64_t, Entry>>& entries) {
  std::vector<std::uint64_t> numbers;
  for (const auto& [number, entry] : entries) numbers.push_back(number);
  return numbers;
}

TEST_F(Rings, KeepsTheNewest) {
  PushMany(25);
  EXPECT_EQ(ring_.size(), 10U);
  EXPECT_EQ(ring_.end(), 25U);
  EXPECT_EQ(ring_.Count(0, 25), 10U);
  EXPECT_EQ(ring_.Count(17, 20), 3U);
  auto batch = ring_.Read(3, 4);
  EXPECT_THAT(NumbersOf(batch.entries), ElementsAre(15, 16, 17, 18));
  EXPECT_EQ(batch.entries[0].second.value, 15);
  EXPECT_EQ(batch.next, 19U);
  batch = ring_.Read(20, 100, 22);
  EXPECT_THAT(NumbersOf(batch.entries), ElementsAre(20, 21));
  EXPECT_EQ(batch.next, 22U);
  batch = ring_.Read(25, 100);
  EXPECT_THAT(batch.entries, IsEmpty());
  EXPECT_EQ(batch.next, 25U);
  EXPECT_THAT(NumbersOf(ring_.ReadBack(25, 2)), ElementsAre(23, 24));
  EXPECT_THAT(NumbersOf(ring_.ReadBack(17, 10)), ElementsAre(15, 16));
}

TEST_F(Rings, KeepsNoMoreThanItsBytes) {
  PushMany(5);
  ring_.Push({5, At(5)}, 98);
  EXPECT_THAT(NumbersOf(ring_.Read(0, 100).entries), ElementsAre(3, 4, 5)) << "98 bytes leave room for two more";
  ring_.Push({6, At(6)}, 1000);
  EXPECT_EQ(ring_.size(), 1U) << "the newest one stays, whatever its size";
  Push(7, 7);
  EXPECT_THAT(NumbersOf(ring_.Read(0, 100).entries), ElementsAre(7));
}

TEST_F(Rings, AFloodOfOneOwnerPushesOutItsOwn) {
  const policy::ObjectName web{"shop", "web"}, db{"shop", "db"};
  for (int i = 0; i < 3; ++i) ring_.Push({i, At(i)}, 1, db);
  for (int i = 3; i < 100; ++i) ring_.Push({i, At(i)}, 1, web);
  EXPECT_THAT(NumbersOf(ring_.Read(0, 100).entries), ElementsAre(0, 1, 2, 93, 94, 95, 96, 97, 98, 99));
  EXPECT_THAT(Read({.number = 8}), ElementsAre(2, 93, 94, 95, 96, 97, 98, 99));
  // By bytes, too: what web has is more.
  ring_.Push({100, At(100)}, 80, web);
  ring_.Push({101, At(101)}, 20, db);
  EXPECT_THAT(NumbersOf(ring_.Read(0, 100).entries), ElementsAre(0, 1, 2, 101));
}

TEST_F(Rings, WithoutNumberEverything) {
  PushMany(5);
  EXPECT_THAT(Read({}), ElementsAre(0, 1, 2, 3, 4));
}

TEST_F(Rings, TheLastOnesThatMatch) {
  PushMany(10);
  EXPECT_THAT(Read({.number = 3}), ElementsAre(7, 8, 9));
  EXPECT_THAT(Read({.number = 3}, [](int value) { return value % 2 == 0; }), ElementsAre(4, 6, 8));
  EXPECT_THAT(Read({.number = UINT64_MAX}), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9));
}

TEST_F(Rings, TheFirstOnesThatMatch) {
  PushMany(10);
  EXPECT_THAT(Read({.number = 3, .first = true}), ElementsAre(0, 1, 2));
  EXPECT_THAT(Read({.number = 2, .first = true}, [](int value) { return value > 5; }), ElementsAre(6, 7));
}

TEST_F(Rings, SinceGoesBeforeNumber) {
  PushMany(10);
  EXPECT_THAT(Read({.since = At(7)}), ElementsAre(7, 8, 9));
  EXPECT_THAT(Read({.number = 2, .since = At(5)}), ElementsAre(5, 6));
  EXPECT_THAT(Read({.number = 2, .first = true, .since = At(5)}), ElementsAre(5, 6));
  EXPECT_THAT(Read({.since = At(100)}), IsEmpty());
}

TEST_F(Rings, UntilIsTheLast) {
  PushMany(10);
  EXPECT_THAT(Read({.until = At(2)}), ElementsAre(0, 1, 2));
  EXPECT_THAT(Read({.since = At(1), .until = At(2)}), ElementsAre(1, 2));
  EXPECT_THAT(Read({.number = 3, .until = At(8)}), ElementsAre(7, 8)) << "the last 3, as far as they are before";
}

TEST_F(Rings, NoEntryIsMissedBecauseALaterOneIsOlder) {
  Push(0, 10);
  Push(1, 9);
  Push(2, 11);
  Push(3, 10);
  EXPECT_THAT(Read({.since = At(10)}), ElementsAre(0, 2, 3));
  EXPECT_THAT(Read({.until = At(10)}), ElementsAre(0, 1, 3));
}

TEST_F(Rings, ReportsOfLossesAreNotCountedAndNotFiltered) {
  Push(0, 0);
  Push(1, 1);
  Push(-1, 2);
  Push(2, 3);
  EXPECT_THAT(Read({.number = 2}), ElementsAre(1, -1, 2));
  EXPECT_THAT(Read({}, [](int value) { return value == 0; }), ElementsAre(0, -1));
}

TEST_F(Rings, WhatComesWhileReadingIsNotRead) {
  PushMany(3);
  on_value_ = [&](int value) {
    if (value < 3) Push(100 + value, 100);
  };
  EXPECT_THAT(Read({}), ElementsAre(0, 1, 2));
}

TEST_F(Rings, AReaderThatIsTooSlowIsToldHowMuchItMissed) {
  PushMany(5);
  on_value_ = [&](int value) {
    if (value == 4) PushMany(25);  // 15 of them have gone when it comes back
    if (value == 24) cancelled_ = true;
  };
  EXPECT_THAT(Read({.number = 5, .follow = true}), ElementsAre(0, 1, 2, 3, 4, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24));
  EXPECT_EQ(lost_, 15U);
  EXPECT_EQ(reports_, 1);
}

TEST_F(Rings, SoIsAReaderOfThePastIfTheyGoWhileItReads) {
  PushMany(10);
  on_value_ = [&](int value) {
    if (value == 2) PushMany(300);  // all are in its first batch already
  };
  EXPECT_EQ(Read({}).size(), 10U);
  EXPECT_EQ(lost_, 0U);

  EventRing<Entry> large({.max_entries = 1000, .max_bytes = 1U << 20});
  for (int i = 0; i < 1000; ++i) large.Push({i, At(i)}, 1);
  int read = 0;
  std::uint64_t lost = 0;
  RingDelivery<Entry> delivery;
  delivery.time_of = [](const Entry& entry) -> const Timestamp& { return entry.time; };
  delivery.is_counted = [](const Entry&) { return true; };
  delivery.deliver = [&](const Entry& entry, std::uint64_t) {
    ++read;
    if (entry.value == 100) {
      for (int i = 0; i < 500; ++i) large.Push({-1, At(0)}, 1);
    }
    return Delivery::kSent;
  };
  delivery.deliver_loss = [&](std::uint64_t count, const Timestamp&, const Timestamp&) {
    lost += count;
    return Delivery::kSent;
  };
  delivery.is_cancelled = [] { return false; };
  RingReader<Entry>(&large, {}, delivery).Run();
  EXPECT_EQ(read, 756) << "a batch of 256, and what is left of the others";
  EXPECT_EQ(lost, 244U);
}

TEST_F(Rings, FollowsFromNowOn) {
  PushMany(3);
  std::thread writer([&] {
    // The reader has begun when it waits; what is pushed before is not for it.
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    Push(7, 7);
  });
  on_value_ = [&](int) { cancelled_ = true; };
  EXPECT_THAT(Read({.follow = true}), ElementsAre(7));
  writer.join();
}

TEST_F(Rings, FollowsFromTheLastOnesOn) {
  PushMany(3);
  on_value_ = [&](int value) {
    if (value == 2) Push(7, 7);
    if (value == 7) cancelled_ = true;
  };
  EXPECT_THAT(Read({.number = 1, .follow = true}), ElementsAre(2, 7)) << "the number says only where to begin";
}

TEST_F(Rings, FollowsUntilATime) {
  Push(0, 0);
  const auto now = google::protobuf::util::TimeUtil::GetCurrentTime();
  EXPECT_THAT(Read({.follow = true, .until = now}), IsEmpty()) << "ends by itself, a second later";
}

TEST_F(Rings, AFollowerEndsWithTheRing) {
  PushMany(2);
  std::thread closer([&] { ring_.Close(); });
  EXPECT_THAT(Read({.number = 5, .follow = true}), ElementsAre(0, 1));
  closer.join();
}

TEST_F(Rings, AReaderThatHasGoneGetsNoMore) {
  PushMany(5);
  gone_at_ = 1;
  EXPECT_THAT(Read({}), ElementsAre(0, 1));
}

TEST(RingWindow, RefusesWhatHubbleRefuses) {
  observer::GetFlowsRequest request;
  request.set_first(true);
  request.set_follow(true);
  EXPECT_EQ(Message(RingWindow::Make(request).status()), "first cannot be specified with follow");
  request.set_follow(false);
  request.mutable_since()->set_nanos(-1);
  EXPECT_EQ(RingWindow::Make(request).status().code(), absl::StatusCode::kInvalidArgument);
  request.mutable_since()->set_nanos(1);
  request.mutable_until()->set_seconds(INT64_MAX);
  EXPECT_EQ(RingWindow::Make(request).status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace sluice::telemetry
