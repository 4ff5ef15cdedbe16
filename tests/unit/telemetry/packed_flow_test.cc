#include "telemetry/event/packed_flow.h"

#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/telemetry/full_flow.h"

namespace sluice::telemetry {
namespace {

using test::FullFlow;

void ExpectSame(const v1::Event& event) {
  FlowPacker packer;
  const EventPtr same = Unpack(packer.Pack(event).flow);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(event, *same)) << event.DebugString() << "became\n"
                                                                                << same->DebugString();
}

TEST(PackedFlow, UnpacksToTheSame) {
  ExpectSame(*FullFlow(7, 3));
  v1::Event nothing;
  nothing.mutable_flow();
  ExpectSame(nothing);
}

// Also what is there and empty stays so, and what is absent stays absent.
TEST(PackedFlow, EachPartMayBeAbsentOrEmpty) {
  const std::function<void(v1::Flow*)> kChanges[] = {
      [](v1::Flow* flow) { flow->clear_source(); },
      [](v1::Flow* flow) { flow->mutable_source()->Clear(); },
      [](v1::Flow* flow) { flow->clear_destination(); },
      [](v1::Flow* flow) { flow->clear_l4(); },
      [](v1::Flow* flow) { flow->mutable_l4()->Clear(); },
      [](v1::Flow* flow) { flow->mutable_l4()->clear_source_port(); },
      [](v1::Flow* flow) { flow->mutable_l4()->set_source_port(0); },
      [](v1::Flow* flow) { flow->clear_time(); },
      [](v1::Flow* flow) { flow->mutable_time()->Clear(); },
      [](v1::Flow* flow) { flow->clear_start_time(); },
      [](v1::Flow* flow) { flow->clear_forward(); },
      [](v1::Flow* flow) { flow->mutable_forward()->Clear(); },
      [](v1::Flow* flow) { flow->mutable_backward()->set_packets(0); },
      [](v1::Flow* flow) { flow->clear_policies(); },
      [](v1::Flow* flow) { flow->clear_flow_id(); },
      [](v1::Flow* flow) { flow->mutable_service()->set_name("db"); },
  };
  for (const auto& change : kChanges) {
    v1::Event event = *FullFlow(7, 3);
    change(event.mutable_flow());
    ExpectSame(event);
  }
}

TEST(PackedFlow, WhatFlowsHaveInCommonIsKeptOnce) {
  FlowPacker packer;
  const auto first = packer.Pack(*FullFlow(0, 1));
  const auto second = packer.Pack(*FullFlow(1, 1));
  EXPECT_EQ(first.flow.source, second.flow.source);
  EXPECT_EQ(first.flow.destination, second.flow.destination);
  EXPECT_EQ(first.flow.common, second.flow.common);
  EXPECT_GT(first.bytes, 1000U);
  EXPECT_LT(second.bytes, 250U);
  EXPECT_EQ(second.flow.time_ns, 1'772'600'767'001'000'000);
}

}  // namespace
}  // namespace sluice::telemetry
