#include "telemetry/flow/top_traffic.h"

#include "telemetry/event/event_hub.h"
#include "telemetry/event/history.h"
#include "telemetry/flow/flow_sweeper.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;

class TopTrafficTest : public ::testing::Test {
 protected:
  void SetUp() override {
    top_.NameProcesses([](sl_process_id id) { return "/bin/" + std::to_string(id); });
    sweeper_.TellTop(&top_);
  }
  v1::TopReply Read(v1::TopRequest::By by, TopTraffic* top = nullptr) {
    v1::TopRequest request;
    request.set_by(by);
    auto reply = (top == nullptr ? top_ : *top).Read(&scene_.datapath, assembler_.Capture(), request);
    EXPECT_TRUE(reply.ok()) << reply.status();
    return reply.ok() ? *reply : v1::TopReply();
  }
  // "shop/web /bin/1: 1/60 1/44 0 1": packets and bytes sent and received, packets dropped, flows.
  static std::vector<std::string> Lines(const v1::TopReply& reply) {
    std::vector<std::string> lines;
    for (const auto& row : reply.rows()) {
      lines.push_back(fmt::format("{}/{} {}{}: {}/{} {}/{} {} {}", row.namespace_(), row.workload(), row.binary(),
                                  row.peer(), row.sent().packets(), row.sent().bytes(), row.received().packets(),
                                  row.received().bytes(), row.dropped_packets(), row.flows()));
    }
    return lines;
  }

  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
  History history_;
  EventHub hub_{{.node = "node-1", .queue_capacity = 1}, [](bool) {}};
  FlowSweeper sweeper_{&scene_.datapath, &assembler_, &history_, &hub_};
  TopTraffic top_{TopTraffic::Options()};
};

TEST_F(TopTrafficTest, WorkloadsTheirProgramsAndPeers) {
  FlowRecord flow = scene_.Answered("shop/web", "shop/db", "1/TCP");
  flow.entry.initiator_process = 7;
  scene_.datapath.AddFlow(flow);
  FlowRecord denied = scene_.Record("shop/web", "192.0.2.9", "2/UDP");
  denied.state = FlowState::kDenied;
  denied.entry.reason = SL_DROP_POLICY_DENIED;
  denied.entry.forward_packets = 5;
  scene_.datapath.AddFlow(denied);
  EXPECT_THAT(Lines(Read(v1::TopRequest::BY_UNSPECIFIED)),
              ElementsAre("shop/db : 1/44 1/60 0 1", "shop/web : 1/60 1/44 5 2"));
  EXPECT_THAT(Lines(Read(v1::TopRequest::PROGRAM)),
              ElementsAre("shop/db : 1/44 1/60 0 1", "shop/web : 1/60 1/44 5 2", "shop/web /bin/7: 1/60 1/44 0 1"));
  EXPECT_THAT(Lines(Read(v1::TopRequest::PEER)),
              ElementsAre("shop/db : 1/44 1/60 0 1", "shop/db shop/web: 1/44 1/60 0 1", "shop/web : 1/60 1/44 5 2",
                          "shop/web 192.0.2.9: 0/0 0/0 5 1", "shop/web shop/db: 1/60 1/44 0 1"));
}

TEST_F(TopTrafficTest, OneNamespace) {
  scene_.datapath.AddFlow(scene_.Answered("shop/web", "shop/db", "1/TCP"));
  v1::TopRequest request;
  request.set_namespace_("ops");
  const auto reply = top_.Read(&scene_.datapath, assembler_.Capture(), request);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->rows_size(), 0);
  EXPECT_GT(reply->time().seconds(), 0);
}

TEST_F(TopTrafficTest, WhatHasEndedStaysInTheSumWhileSomebodyAsks) {
  FlowRecord flow = scene_.Answered("shop/web", "shop/db", "1/UDP");
  scene_.datapath.AddFlow(flow);
  Read(v1::TopRequest::WORKLOAD);
  scene_.clock.Advance(3600 * FakeClock::kSecond);
  ASSERT_TRUE(sweeper_.Sweep().ok());
  EXPECT_THAT(Lines(Read(v1::TopRequest::WORKLOAD)),
              ElementsAre("shop/db : 1/44 1/60 0 0", "shop/web : 1/60 1/44 0 0"));
  // The same when the packet path ends the record.
  sweeper_.Note(FromRecord(flow));
  EXPECT_THAT(Lines(Read(v1::TopRequest::WORKLOAD)),
              ElementsAre("shop/db : 2/88 2/120 0 0", "shop/web : 2/120 2/88 0 0"));
}

TEST_F(TopTrafficTest, WhatEndedBeforeAnybodyAskedIsNotKept) {
  sweeper_.Note(FromRecord(scene_.Answered("shop/web", "shop/db", "1/UDP")));
  EXPECT_EQ(Read(v1::TopRequest::WORKLOAD).rows_size(), 0);
}

TEST_F(TopTrafficTest, ForgedSourcesAreNobodys) {
  FlowRecord forged = scene_.Record("shop/web", "shop/db", "1/UDP");
  forged.state = FlowState::kDenied;
  forged.entry.reason = SL_DROP_SPOOFED_SOURCE;
  scene_.datapath.AddFlow(forged);
  EXPECT_EQ(Read(v1::TopRequest::WORKLOAD).rows_size(), 0);
}

TEST_F(TopTrafficTest, OneWorkloadHasAnEighthOfTheRows) {
  TopTraffic top({.max_rows = 16});
  for (int i = 1; i <= 5; ++i)
    scene_.datapath.AddFlow(scene_.Answered("shop/web", fmt::format("192.0.2.{}", i), "1/TCP"));
  const auto lines = Lines(Read(v1::TopRequest::PEER, &top));
  EXPECT_THAT(lines, ElementsAre("shop/web : 5/300 5/220 0 5", "shop/web 192.0.2.1: 1/60 1/44 0 1",
                                 "shop/web 192.0.2.2: 1/60 1/44 0 1", "shop/web other: 3/180 3/132 0 3"));
  EXPECT_EQ(Lines(Read(v1::TopRequest::PEER, &top)), lines) << "the same have rows of their own";
}

TEST_F(TopTrafficTest, ATableThatCannotBeReadIsAnError) {
  scene_.datapath.FailNext("ForEachFlow", InvalidError("map flows: no"));
  EXPECT_FALSE(top_.Read(&scene_.datapath, assembler_.Capture(), {}).ok());
}

}  // namespace
}  // namespace sluice::telemetry
