#include "ctrl/relay/event_check.h"

#include <gtest/gtest.h>

#include "telemetry/event/json.h"
#include "tests/unit/relay/events.h"

namespace sluice::cluster {
namespace {

constexpr std::int64_t kTime = 1'800'000'000'000'000'000;

TEST(EventCheck, AGoodEventStaysAsItIs) {
  v1::Event event = FlowAt(kTime, "a");
  event.mutable_flow()->mutable_source()->mutable_process()->mutable_start_time()->set_seconds(1);
  const std::string before = event.SerializeAsString();
  EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kNone);
  EXPECT_EQ(event.SerializeAsString(), before);
}

TEST(EventCheck, NoAgentSpeaksForAnotherNode) {
  v1::Event event = FlowAt(kTime, "a", "node-2");
  EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kRenamed);
  EXPECT_EQ(event.flow().node(), "node-1");
}

TEST(EventCheck, EveryTypeIsPassedOn) {
  const auto& oneof = *v1::Event::descriptor()->FindOneofByName("event");
  for (int i = 0; i < oneof.field_count(); ++i) {
    const auto& field = *oneof.field(i);
    v1::Event event;
    auto& part = *event.GetReflection()->MutableMessage(&event, &field);
    const auto* const time = part.GetDescriptor()->FindFieldByName("time");
    ASSERT_NE(time, nullptr) << field.name();
    EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kRefused) << field.name() << " without a time";
    auto& when = *part.GetReflection()->MutableMessage(&part, time);
    when.GetReflection()->SetInt64(&when, when.GetDescriptor()->FindFieldByName("seconds"), 1'800'000'000);
    EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kRenamed) << field.name();
    const auto* const node = part.GetDescriptor()->FindFieldByName("node");
    EXPECT_EQ(part.GetReflection()->GetString(part, node), "node-1") << field.name();
    EXPECT_TRUE(telemetry::EventToJson(event).ok()) << field.name();
  }
}

TEST(EventCheck, AnEventOfNoKnownTypeIsRefused) {
  v1::Event event;
  EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kRefused);
}

// Each of these would end a client's stream, which cannot print it.
TEST(EventCheck, WhatNoClientCanPrintIsRefused) {
  const std::pair<std::int64_t, std::int32_t> bad_times[] = {
      {INT64_MAX, 0}, {INT64_MIN, 0}, {253402300800, 0}, {0, -1}, {0, 1'000'000'000}};
  for (const auto& [seconds, nanos] : bad_times) {
    v1::Event event = FlowAt(kTime, "a");
    event.mutable_flow()->mutable_time()->set_seconds(seconds);
    event.mutable_flow()->mutable_time()->set_nanos(nanos);
    EXPECT_FALSE(telemetry::EventToJson(event).ok()) << seconds << " " << nanos;
    EXPECT_EQ(CheckEvent("node-1", &event), EventFault::kRefused) << seconds << " " << nanos;
    v1::Event deep = FlowAt(kTime, "a");
    auto& start = *deep.mutable_flow()->mutable_destination()->mutable_process()->mutable_start_time();
    start.set_seconds(seconds);
    start.set_nanos(nanos);
    EXPECT_EQ(CheckEvent("node-1", &deep), EventFault::kRefused) << seconds << " " << nanos;
  }
  v1::Event exit;
  exit.mutable_exit()->mutable_time()->set_seconds(1);
  exit.mutable_exit()->mutable_duration()->set_seconds(INT64_MAX);
  EXPECT_EQ(CheckEvent("node-1", &exit), EventFault::kRefused);
  exit.mutable_exit()->mutable_duration()->set_seconds(2);
  exit.mutable_exit()->mutable_duration()->set_nanos(-1);
  EXPECT_EQ(CheckEvent("node-1", &exit), EventFault::kRefused);
}

}  // namespace
}  // namespace sluice::cluster
