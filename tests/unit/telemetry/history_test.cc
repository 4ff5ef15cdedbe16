#include "telemetry/event/history.h"

#include <gtest/gtest.h>

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

EventPtr FlowEvent() {
  auto event = std::make_shared<v1::Event>();
  event->mutable_flow()->set_type("flow");
  return event;
}

EventPtr ExecEvent(std::size_t bytes = 0) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_exec()->mutable_process()->add_arguments(std::string(bytes, 'x'));
  return event;
}

TEST(History, FlowsAndProcessesDoNotCrowdEachOtherOut) {
  History history(2);
  const EventPtr exec = ExecEvent(), flow = FlowEvent(), later = FlowEvent();
  history.Push(exec);
  for (int i = 0; i < 5; i++) history.Push(FlowEvent());
  history.Push(flow);
  history.Push(later);
  EXPECT_EQ(history.Read(), (std::vector<EventPtr>{flow, later, exec}));
  for (int i = 0; i < 5; i++) history.Push(ExecEvent());
  EXPECT_EQ(history.Read().size(), 4U);
  EXPECT_EQ(history.Read().front(), flow);
}

TEST(History, AFloodOfOneWorkloadsIsNotOthersLoss) {
  const auto of = [](const char* workload) {
    auto event = std::make_shared<v1::Event>();
    event->mutable_flow()->mutable_source()->set_workload(workload);
    return event;
  };
  History history(10);
  const EventPtr quiet = of("quiet");
  history.Push(quiet);
  for (int i = 0; i < 1000; i++) history.Push(of("flood"));
  ASSERT_EQ(history.Read().size(), 10U);
  EXPECT_EQ(history.Read().front(), quiet);
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

}  // namespace
}  // namespace sluice::telemetry
