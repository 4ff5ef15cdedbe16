#include "telemetry/event/history.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>
#include <malloc.h>

#include <iostream>

#include "tests/unit/telemetry/full_flow.h"

namespace sluice::telemetry {
namespace {

TEST(History, KeepsTheNewest) {
  History history(3);
  EXPECT_TRUE(history.Read().empty());
  std::vector<EventPtr> pushed;
  for (int i = 0; i < 5; i++) {
    pushed.push_back(std::make_shared<v1::Event>());
    history.Push(pushed.back());
  }
  EXPECT_EQ(history.Read(), (std::vector<EventPtr>{pushed[2], pushed[3], pushed[4]}));
}

TEST(History, ReadingTakesNothingAway) {
  History history(3);
  history.Push(std::make_shared<v1::Event>());
  EXPECT_EQ(history.Read(), history.Read());
}

TEST(History, WhatIsReadIsAsCompleteAsCanBeByThen) {
  History history(3);
  std::string known;
  history.CompleteWith([&known](EventPtr event) {
    auto more = std::make_shared<v1::Event>(*event);
    more->mutable_exec()->set_workload(known);
    return more;
  });
  history.Push(std::make_shared<v1::Event>());
  known = "web-0";
  ASSERT_EQ(history.Read().size(), 1U);
  EXPECT_EQ(history.Read().front()->exec().workload(), "web-0");
}

TEST(History, OfNothingKeepsNothing) {
  History history(0);
  history.Push(std::make_shared<v1::Event>());
  EXPECT_TRUE(history.Read().empty());
}

// A flow is another object when it is read, so it is known by its id.
EventPtr FlowEvent(const std::string& id = "") {
  auto event = std::make_shared<v1::Event>();
  event->mutable_flow()->set_type("flow");
  event->mutable_flow()->set_flow_id(id);
  return event;
}

std::vector<std::string> IdsOf(const std::vector<EventPtr>& events) {
  std::vector<std::string> ids;
  for (const EventPtr& event : events) ids.push_back(event->has_flow() ? event->flow().flow_id() : "no flow");
  return ids;
}

EventPtr ExecEvent(std::size_t bytes = 0) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_exec()->mutable_process()->add_arguments(std::string(bytes, 'x'));
  return event;
}

TEST(History, FlowsAndProcessesDoNotCrowdEachOtherOut) {
  History history(2);
  history.Push(ExecEvent());
  for (int i = 0; i < 5; i++) history.Push(FlowEvent());
  history.Push(FlowEvent("earlier"));
  history.Push(FlowEvent("later"));
  EXPECT_EQ(IdsOf(history.Read()), (std::vector<std::string>{"earlier", "later", "no flow"}));
  for (int i = 0; i < 5; i++) history.Push(ExecEvent());
  EXPECT_EQ(history.Read().size(), 4U);
  EXPECT_EQ(history.Read().front()->flow().flow_id(), "earlier");
}

TEST(History, AFloodOfOneWorkloadsIsNotOthersLoss) {
  const auto of = [](const char* workload) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_flow()->mutable_source()->set_workload(workload);
    return event;
  };
  History history(10);
  history.Push(of("quiet"));
  for (int i = 0; i < 1000; i++) history.Push(of("flood"));
  ASSERT_EQ(history.Read().size(), 10U);
  EXPECT_EQ(history.Read().front()->flow().source().workload(), "quiet");
}

TEST(History, IsBoundedInBytes) {
  History history(1000, 40000);
  for (int i = 0; i < 10; i++) history.Push(ExecEvent(10000));
  const std::size_t kept = history.Read().size();
  EXPECT_GE(kept, 1U);
  EXPECT_LE(kept, 3U);
  history.Push(ExecEvent(100000));
  EXPECT_TRUE(history.Read().empty()) << "larger than all of it";
}

TEST(History, OfNothingKeepsNoFlow) {
  History history(0);
  history.Push(FlowEvent());
  EXPECT_TRUE(history.Read().empty());
}

TEST(History, FlowsAreBoundedInBytes) {
  constexpr std::size_t kBytes = 1U << 20;
  History history(100'000, kBytes);
  for (int i = 0; i < 20'000; ++i) history.Push(test::FullFlow(i, 10));
  const auto kept = history.Read();
  EXPECT_GT(kept.size(), 3000U);
  EXPECT_LT(kept.size(), 10'000U);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(*kept.back(), *test::FullFlow(19'999, 10)));
}

// Each flow has its own process: nothing is shared.
TEST(History, WhatFlowsShareIsBoundedToo) {
  constexpr std::size_t kBytes = 1U << 20;
  History history(100'000, kBytes);
  for (int i = 0; i < 20'000; ++i) history.Push(test::FullFlow(i, 20'000));
  const std::size_t kept = history.Read().size();
  EXPECT_GT(kept, 100U);
  EXPECT_LT(kept * 1000, kBytes) << "an end with its process takes more than 1,000 bytes";
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have allocators of their own
TEST(History, AHundredThousandFlowsTakeLittleMemory) {
  constexpr int kFlows = 100'000, kEnds = 500;
  malloc_trim(0);
  const auto before = mallinfo2();
  History history(kFlows);
  for (int i = 0; i < kFlows; ++i) history.Push(test::FullFlow(i, kEnds));
  const auto after = mallinfo2();
  const std::size_t used = after.uordblks + after.hblkhd - before.uordblks - before.hblkhd;
  RecordProperty("bytes", static_cast<int>(used));
  std::cout << kFlows << " flows between " << kEnds << " pairs of ends: " << used / 1000 << " kB\n";
  EXPECT_LT(used, 40'000'000U);
  const auto kept = history.List();
  ASSERT_EQ(kept.size(), kFlows) << "none had to go";
  for (const int number : {0, 4711, kFlows - 1}) {
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(
        *history.Load(kept[static_cast<std::size_t>(number)]), *test::FullFlow(number, kEnds)));
  }
}
#endif

}  // namespace
}  // namespace sluice::telemetry
