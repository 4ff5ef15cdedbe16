#include "telemetry/event/fair_queue.h"

#include <gmock/gmock.h>

#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

EventPtr Of(const std::string& workload, std::uint32_t port) {
  auto event = std::make_shared<v1::Event>();
  event->mutable_flow()->mutable_source()->set_namespace_("shop");
  event->mutable_flow()->mutable_source()->set_workload(workload);
  event->mutable_flow()->mutable_l4()->set_destination_port(port);
  return event;
}

std::vector<std::string> Names(const std::vector<EventPtr>& events) {
  std::vector<std::string> names;
  for (const EventPtr& event : events)
    names.push_back(fmt::format("{}{}", OwnerOf(*event).name, event->flow().l4().destination_port()));
  return names;
}

TEST(FairQueue, KeepsTheOrder) {
  FairQueue queue({.max_events = 3}, FairQueue::GivesUp::kOldest);
  for (const std::uint32_t port : {1, 2, 3}) EXPECT_THAT(queue.Push(Of(port == 2 ? "b" : "a", port)), IsEmpty());
  EXPECT_THAT(Names(queue.Read()), ElementsAre("a1", "b2", "a3"));
  EXPECT_TRUE(queue.full());
  EXPECT_THAT(Names({queue.Pop(), queue.Pop(), queue.Pop()}), ElementsAre("a1", "b2", "a3"));
  EXPECT_EQ(queue.Pop(), nullptr);
  EXPECT_TRUE(queue.empty());
}

TEST(FairQueue, AFloodTakesNothingOfOthers) {
  for (const auto gives_up : {FairQueue::GivesUp::kOldest, FairQueue::GivesUp::kNewest}) {
    FairQueue queue({.max_events = 10}, gives_up);
    queue.Push(Of("quiet", 1));
    for (std::uint32_t port = 1; port <= 1000; port++) queue.Push(Of("flood", port));
    queue.Push(Of("quiet", 2));
    for (std::uint32_t port = 1; port <= 1000; port++) queue.Push(Of("flood", port));
    const auto names = Names(queue.Read());
    EXPECT_EQ(names.size(), 10U);
    EXPECT_EQ(std::count(names.begin(), names.end(), "quiet1"), 1);
    EXPECT_EQ(std::count(names.begin(), names.end(), "quiet2"), 1);
  }
}

TEST(FairQueue, WhoGivesUpTheOldestKeepsTheNewest) {
  FairQueue queue({.max_events = 2}, FairQueue::GivesUp::kOldest);
  queue.Push(Of("a", 1));
  queue.Push(Of("a", 2));
  EXPECT_THAT(Names(queue.Push(Of("b", 3))), ElementsAre("a1"));
  EXPECT_THAT(Names(queue.Read()), ElementsAre("a2", "b3"));
}

TEST(FairQueue, WhoGivesUpTheNewestKeepsTheOldest) {
  FairQueue queue({.max_events = 2}, FairQueue::GivesUp::kNewest);
  queue.Push(Of("a", 1));
  queue.Push(Of("a", 2));
  EXPECT_THAT(Names(queue.Push(Of("b", 3))), ElementsAre("a2"));
  EXPECT_THAT(Names(queue.Push(Of("b", 4))), ElementsAre("b4"));
  EXPECT_THAT(Names(queue.Read()), ElementsAre("a1", "b3"));
}

TEST(FairQueue, BytesCountToo) {
  const std::size_t bytes = Of("a", 1)->SpaceUsedLong();
  FairQueue queue({.max_events = 1000, .max_bytes = 10 * bytes}, FairQueue::GivesUp::kOldest);
  queue.Push(Of("b", 1));
  for (std::uint32_t port = 1; port <= 100; port++) queue.Push(Of("a", port));
  EXPECT_EQ(queue.size(), 10U);
  EXPECT_EQ(Names(queue.Read())[0], "b1");
}

TEST(FairQueue, WhatIsBesideTheLimitsTakesNoRoom) {
  FairQueue queue({.max_events = 1}, FairQueue::GivesUp::kNewest);
  queue.PushUnbounded(Of("loss", 9));
  EXPECT_THAT(queue.Push(Of("a", 1)), IsEmpty());
  EXPECT_THAT(Names({queue.Pop(), queue.Pop()}), ElementsAre("loss9", "a1"));
}

TEST(EventOwner, OfAFlowWhoOpenedItElseWhoIsCalled) {
  v1::Event event;
  event.mutable_flow()->mutable_destination()->set_workload("db");
  EXPECT_EQ(OwnerOf(event).name, "db");
  event.mutable_flow()->mutable_source()->set_workload("web");
  EXPECT_EQ(OwnerOf(event).name, "web");
  v1::Event exec;
  exec.mutable_exec()->set_workload("web");
  EXPECT_EQ(OwnerOf(exec).name, "web");
  v1::Event lost;
  lost.mutable_lost()->set_workload("web");
  EXPECT_EQ(OwnerOf(lost).name, "web");
  EXPECT_EQ(OwnerOf({}), policy::ObjectName());
}

}  // namespace
}  // namespace sluice::telemetry
