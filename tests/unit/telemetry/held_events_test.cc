#include "telemetry/event/held_events.h"

#include <gtest/gtest.h>

namespace sluice::telemetry {
namespace {

constexpr std::uint64_t kHold = 100;

sl_flow_event Event(sl_flow_event_type type, std::uint64_t id, std::uint64_t time_ns = 1000, std::uint32_t opener = 1) {
  sl_flow_event event{};
  event.type = static_cast<std::uint8_t>(type);
  event.time_ns = time_ns;
  event.entry.id = id;
  event.entry.initiator.endpoint = opener;
  event.entry.responder.endpoint = 2;
  event.entry.initiator_process = 11;
  return event;
}

class HeldEventsTest : public ::testing::Test {
 protected:
  HeldEvents held_{4, [this](const sl_flow_key&, std::uint64_t id) -> std::optional<sl_flow_entry> {
                     if (late_.entry.id == id) held_.Push(late_);
                     return now_.id == id ? std::optional(now_) : std::nullopt;
                   }};
  sl_flow_entry now_{};   // the flow's entry; id 0: gone
  sl_flow_event late_{};  // arrives while the flow is read; id 0: none
};

TEST_F(HeldEventsTest, WhatIsCompleteIsNotHeld) {
  sl_flow_event complete = Event(SL_FLOW_NEW, 1);
  complete.entry.responder_process = 22;
  held_.Push(complete);
  held_.Push(Event(SL_FLOW_UPDATE, 2));
  sl_flow_event denied = Event(SL_FLOW_NEW, 3);
  denied.entry.reason = SL_DROP_POLICY_DENIED;
  held_.Push(denied);
  sl_flow_event outside = Event(SL_FLOW_NEW, 4);
  outside.entry.responder.endpoint = 0;
  held_.Push(outside);
  for (const std::uint64_t id : {1, 2, 3, 4}) {
    const auto event = held_.Pop(1000, kHold);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->entry.id, id);
  }
  EXPECT_TRUE(held_.empty());
  EXPECT_FALSE(held_.Pop(1000, kHold));
}

TEST_F(HeldEventsTest, ABeginningWaitsForWhoAnswers) {
  held_.Push(Event(SL_FLOW_NEW, 1));
  held_.Push(Event(SL_FLOW_UPDATE, 2));
  EXPECT_FALSE(held_.Pop(1001, kHold)) << "in their order";
  now_ = Event(SL_FLOW_NEW, 1).entry;
  now_.responder_process = 22;
  now_.reply_packets = 5;
  const auto event = held_.Pop(1001, kHold);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->entry.responder_process, 22U);
  EXPECT_EQ(event->entry.initiator_process, 11U);
  EXPECT_EQ(event->entry.reply_packets, 0U) << "as it was after the packet";
  EXPECT_EQ(held_.Pop(1001, kHold)->entry.id, 2U);
}

TEST_F(HeldEventsTest, NotForLong) {
  held_.Push(Event(SL_FLOW_NEW, 1));
  EXPECT_FALSE(held_.Pop(1099, kHold));
  EXPECT_EQ(held_.Pop(1100, kHold)->entry.responder_process, 0U);
  held_.Push(Event(SL_FLOW_NEW, 2, 2000));
  EXPECT_TRUE(held_.Pop(2000, 0)) << "where nobody knows processes";
}

TEST_F(HeldEventsTest, AListenerIsNotYetWhoAccepts) {
  sl_flow_event event = Event(SL_FLOW_NEW, 1);
  event.entry.responder_process = 21;
  event.entry.flags = SL_CT_LISTENER_RESPONDER;
  held_.Push(event);
  EXPECT_FALSE(held_.Pop(1001, kHold));
  now_ = event.entry;
  now_.responder_process = 22;
  now_.flags = 0;
  EXPECT_EQ(held_.Pop(1001, kHold)->entry.responder_process, 22U);
}

TEST_F(HeldEventsTest, ARecordThatIsOverTellsOfItsBeginning) {
  held_.Push(Event(SL_FLOW_NEW, 1));
  sl_flow_event end = Event(SL_FLOW_END, 1);
  end.entry.responder_process = 22;
  held_.Push(end);
  EXPECT_EQ(held_.Pop(1001, kHold)->entry.responder_process, 22U);
  EXPECT_EQ(held_.Pop(1001, kHold)->type, SL_FLOW_END);
}

TEST_F(HeldEventsTest, LikewiseOneThatEndsMeanwhile) {
  held_.Push(Event(SL_FLOW_NEW, 1));
  late_ = Event(SL_FLOW_END, 1);
  late_.entry.responder_process = 22;
  EXPECT_EQ(held_.Pop(1200, kHold)->entry.responder_process, 22U) << "though it was held for long enough";
  EXPECT_EQ(held_.Pop(1200, kHold)->type, SL_FLOW_END);
}

TEST_F(HeldEventsTest, AnotherRecordOfTheFlowTellsNothing) {
  held_.Push(Event(SL_FLOW_NEW, 1));
  sl_flow_event end = Event(SL_FLOW_END, 9);
  end.entry.responder_process = 99;
  held_.Push(end);
  now_ = end.entry;
  EXPECT_FALSE(held_.Pop(1001, kHold));
  EXPECT_EQ(held_.Pop(1200, kHold)->entry.responder_process, 0U);
}

TEST_F(HeldEventsTest, AFloodOfOneWorkloadsTakesNoOthersProcesses) {
  held_.Push(Event(SL_FLOW_NEW, 100, 1000, 7));
  for (std::uint64_t id = 1; id <= 50; id++) held_.Push(Event(SL_FLOW_NEW, id, 1000, 8));
  for (std::uint64_t id = 1; id <= 47; id++) {
    const auto event = held_.Pop(1001, kHold);
    ASSERT_TRUE(event);
    EXPECT_EQ(event->entry.id, id) << "the flood's own, in their order";
  }
  EXPECT_FALSE(held_.Pop(1001, kHold)) << "the others are held";
  now_ = Event(SL_FLOW_NEW, 100, 1000, 7).entry;
  now_.responder_process = 22;
  const auto event = held_.Pop(1002, kHold);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->entry.id, 100U);
  EXPECT_EQ(event->entry.responder_process, 22U);
}

TEST_F(HeldEventsTest, OneWorkloadDoesNotWaitForAnother) {
  held_.Push(Event(SL_FLOW_NEW, 1, 1000, 7));
  held_.Push(Event(SL_FLOW_UPDATE, 2, 1000, 8));
  const auto event = held_.Pop(1001, kHold);
  ASSERT_TRUE(event);
  EXPECT_EQ(event->entry.id, 2U);
  EXPECT_FALSE(held_.Pop(1001, kHold));
}

TEST_F(HeldEventsTest, MoreThanThereMayBeAreNotHeld) {
  for (std::uint64_t id = 1; id <= 6; id++) held_.Push(Event(SL_FLOW_NEW, id));
  EXPECT_TRUE(held_.Pop(1001, kHold));
  EXPECT_TRUE(held_.Pop(1001, kHold));
  EXPECT_FALSE(held_.Pop(1001, kHold));
}

}  // namespace
}  // namespace sluice::telemetry
