#include "telemetry/hook/hook_calls.h"

#include <gtest/gtest.h>

#include "tests/unit/telemetry_hook/hook_records.h"

namespace sluice::telemetry {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

HookRecord Record(const HookBytes& bytes) {
  auto record = DecodeHookRecord(bytes.bytes());
  EXPECT_TRUE(record.ok()) << record.status();
  return *std::move(record);
}

HookRecord Enter(std::uint64_t call, std::uint32_t subject = 0, const std::string& text = "x") {
  return Record(HookBytes({.call = call, .subject = subject}).Text(SL_HOOK_READ_STRING, text));
}

HookRecord Return(std::uint64_t call, std::int64_t value) {
  return Record(HookBytes({.kind = SL_HOOK_EVENT_RETURN, .call = call, .actions = 0, .return_value = value}));
}

std::vector<HookCall> Drain(HookCalls& calls, std::uint64_t now_ns) {
  std::vector<HookCall> all;
  while (auto call = calls.Pop(now_ns)) all.push_back(*std::move(call));
  return all;
}

TEST(HookCalls, ACallWaitsForItsReturn) {
  HookCalls calls({});
  calls.Push(Enter(1), 0);
  calls.Push(Enter(2), 0);
  EXPECT_TRUE(Drain(calls, 1).empty());
  calls.Push(Return(2, -13), 1);
  const auto joined = Drain(calls, 1);
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_TRUE(joined[0].returned);
  EXPECT_FALSE(joined[0].alone);
  EXPECT_EQ(joined[0].record.event.return_value, -13);
  EXPECT_EQ(joined[0].record.arguments.at(0).text, "x");
  EXPECT_EQ(calls.waiting(), 1U);
  EXPECT_EQ(calls.counters().joined, 1U);
}

TEST(HookCalls, ArgumentsOfTheReturnReplaceThoseOfTheCall) {
  HookCalls calls({});
  calls.Push(Record(HookBytes({.call = 1}).Number(3).Unread(SL_HOOK_READ_BYTES)), 0);
  HookBytes end({.kind = SL_HOOK_EVENT_RETURN, .call = 1, .actions = SL_HOOK_ACTION_SIGNAL});
  calls.Push(Record(end.Number(0, 0).Text(SL_HOOK_READ_BYTES, "read")), 0);
  const auto joined = Drain(calls, 0);
  ASSERT_EQ(joined.size(), 1U);
  EXPECT_EQ(joined[0].record.arguments.at(0).number, 3U);
  EXPECT_EQ(joined[0].record.arguments.at(1).text, "read");
  EXPECT_EQ(joined[0].record.event.actions, std::uint32_t{SL_HOOK_ACTION_POST});
  EXPECT_EQ(joined[0].return_actions, std::uint32_t{SL_HOOK_ACTION_SIGNAL});
}

TEST(HookCalls, RecordsWithoutAReturnPassAtOnce) {
  HookCalls calls({});
  calls.Push(Record(HookBytes({.call = 0})), 0);
  calls.Push(Record(HookBytes({.kind = SL_HOOK_EVENT_WHOLE, .return_value = 5})), 0);
  const auto passed = Drain(calls, 0);
  ASSERT_EQ(passed.size(), 2U);
  EXPECT_FALSE(passed[0].returned);
  EXPECT_TRUE(passed[1].returned);
  EXPECT_TRUE(passed[1].held);
  EXPECT_FALSE(passed[0].alone || passed[1].alone);
}

TEST(HookCalls, WithoutItsReturnACallPassesAfterASecond) {
  HookCalls calls({});
  calls.Push(Enter(1), 0);
  calls.Push(Enter(2), kSecond / 2);
  EXPECT_TRUE(Drain(calls, kSecond - 1).empty());
  const auto alone = Drain(calls, kSecond);
  ASSERT_EQ(alone.size(), 1U);
  EXPECT_TRUE(alone[0].alone);
  EXPECT_FALSE(alone[0].returned);
  EXPECT_EQ(alone[0].record.event.call, 1U);
  calls.Push(Return(1, 9), kSecond);
  const auto late = Drain(calls, kSecond);
  ASSERT_EQ(late.size(), 1U);
  EXPECT_TRUE(late[0].alone && late[0].returned);
  EXPECT_EQ(calls.counters().calls_alone, 1U);
  EXPECT_EQ(calls.counters().returns_alone, 1U);
}

TEST(HookCalls, ANumberThatIsUsedAgainIsAnotherCall) {
  HookCalls calls({});
  calls.Push(Enter(1, 0, "lost its return"), 0);
  calls.Push(Enter(1, 0, "new"), 0);
  calls.Push(Return(1, 0), 0);
  const auto all = Drain(calls, 0);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].alone);
  EXPECT_EQ(all[0].record.arguments.at(0).text, "lost its return");
  EXPECT_EQ(all[1].record.arguments.at(0).text, "new");
}

TEST(HookCalls, TheSameNumberOfAnotherHookIsAnotherCall) {
  HookCalls calls({});
  calls.Push(Record(HookBytes({.call = 1, .hook = 1})), 0);
  calls.Push(Record(HookBytes({.kind = SL_HOOK_EVENT_RETURN, .call = 1, .hook = 2})), 0);
  const auto all = Drain(calls, 0);
  ASSERT_EQ(all.size(), 1U);
  EXPECT_TRUE(all[0].alone && all[0].returned);
  EXPECT_EQ(calls.waiting(), 1U);
}

TEST(HookCalls, AFloodCostsOnlyItsOwnSubject) {
  HookCalls calls({.max_waiting = 100});
  for (std::uint64_t i = 0; i < 10; ++i) calls.Push(Enter(i + 1, 1), 0);
  for (std::uint64_t i = 0; i < 1000; ++i) calls.Push(Enter(1000 + i, 2), 0);
  EXPECT_EQ(calls.waiting(), 100U);
  const auto pushed_out = Drain(calls, 0);
  ASSERT_EQ(pushed_out.size(), 910U);
  std::uint64_t next = 1000;
  for (const HookCall& call : pushed_out) {
    EXPECT_EQ(call.record.event.subject, 2U);
    EXPECT_EQ(call.record.event.call, next++) << "the oldest first";
    EXPECT_TRUE(call.alone);
  }
  EXPECT_EQ(calls.counters().pushed_out, 910U);
}

TEST(HookCalls, MemoryIsBoundedByBytesToo) {
  HookCalls calls({.max_waiting = 1000, .max_bytes = 100'000});
  std::size_t passed = 0;
  for (std::uint64_t i = 0; i < 500; ++i) {
    calls.Push(Enter(i + 1, i % 3, std::string(4000, 'x')), 0);
    passed += Drain(calls, 0).size();
    ASSERT_LE(calls.waiting_bytes(), 100'000U);
  }
  EXPECT_EQ(passed + calls.waiting(), 500U) << "none is lost";
  EXPECT_GT(calls.waiting(), 10U);
  EXPECT_EQ(passed + Drain(calls, kSecond).size(), 500U);
  EXPECT_EQ(calls.waiting_bytes(), 0U);
}

TEST(HookCalls, ManyShortCallsLeaveNothingBehind) {
  HookCalls calls({});
  for (std::uint64_t i = 1; i <= 100'000; ++i) {
    calls.Push(Enter(i), i);
    calls.Push(Return(i, 0), i);
    ASSERT_EQ(Drain(calls, i).size(), 1U);
  }
  EXPECT_EQ(calls.waiting(), 0U);
  EXPECT_EQ(calls.waiting_bytes(), 0U);
  EXPECT_EQ(calls.counters().joined, 100'000U);
}

}  // namespace
}  // namespace sluice::telemetry
