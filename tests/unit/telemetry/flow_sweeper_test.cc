#include "telemetry/flow/flow_sweeper.h"

#include "telemetry/flow/event_reader.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr std::uint64_t kSecond = FakeClock::kSecond;

// "NEW db:5432"
std::string Short(const EventPtr& event) {
  const v1::Flow& flow = event->flow();
  return fmt::format("{} {}:{}", v1::Flow::Kind_Name(flow.event()), flow.destination().workload(),
                     flow.l4().destination_port());
}

std::vector<std::string> Short(const std::vector<EventPtr>& events) {
  std::vector<std::string> out;
  for (const EventPtr& event : events) out.push_back(Short(event));
  return out;
}

class FlowSweeperTest : public ::testing::Test {
 protected:
  void Sweep() {
    const Status status = sweeper_.Sweep();
    EXPECT_TRUE(status.ok()) << status;
  }
  FlowRecord Idle(FlowRecord record, std::uint64_t ns) const {
    record.entry.last_seen_ns = scene_.clock.now() - ns;
    record.entry.created_ns = record.entry.last_seen_ns - kSecond;
    return record;
  }
  std::size_t flows() { return scene_.datapath.Flows()->size(); }
  std::vector<EventPtr> Read(const v1::ObserveRequest& request = {}) {
    std::vector<EventPtr> events;
    const Status status = ReadEvents(&scene_.datapath, &assembler_, history_, EventFilter::Make(request).value(),
                                     request.last(), [&](const v1::Event& event) {
                                       events.push_back(std::make_shared<v1::Event>(event));
                                       return true;
                                     });
    EXPECT_TRUE(status.ok()) << status;
    return events;
  }

  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
  History history_;
  EventHub hub_{{.node = "node-1", .clock = scene_.clock.reader()}, [](bool) {}};
  FlowSweeper sweeper_{&scene_.datapath, &assembler_, &history_, &hub_};
};

TEST_F(FlowSweeperTest, TimeoutIsThatOfTheState) {
  const FlowRecord tcp = scene_.Record("shop/web", "shop/db", "5432/TCP");
  const FlowRecord udp = scene_.Record("shop/web", "shop/db", "53/UDP");
  const struct {
    const char* what;
    const FlowRecord& record;
    std::uint32_t flags;
    std::uint64_t timeout;
  } cases[] = {
      {"TCP opening", tcp, 0, SL_CT_TIMEOUT_TCP_TRANSITORY},
      {"TCP answered, not yet established", tcp, SL_CT_SEEN_REPLY, SL_CT_TIMEOUT_TCP_TRANSITORY},
      {"TCP established", tcp, SL_CT_SEEN_REPLY | SL_CT_ESTABLISHED, SL_CT_TIMEOUT_TCP_ESTABLISHED},
      {"TCP half closed", tcp, SL_CT_ESTABLISHED | SL_CT_FIN_FORWARD, SL_CT_TIMEOUT_TCP_ESTABLISHED},
      {"TCP half closed, and agreed", tcp, SL_CT_ESTABLISHED | SL_CT_FIN_FORWARD | SL_CT_FIN_FORWARD_AGREED,
       SL_CT_TIMEOUT_TCP_ESTABLISHED},
      {"TCP closing", tcp, SL_CT_ESTABLISHED | SL_CT_FIN_FORWARD | SL_CT_FIN_REPLY, SL_CT_TIMEOUT_TCP_TRANSITORY},
      {"TCP closed", tcp,
       SL_CT_ESTABLISHED | SL_CT_FIN_FORWARD | SL_CT_FIN_REPLY | SL_CT_FIN_FORWARD_AGREED | SL_CT_FIN_REPLY_AGREED,
       SL_CT_TIMEOUT_TCP_CLOSED},
      {"TCP reset", tcp, SL_CT_ESTABLISHED | SL_CT_RESET, SL_CT_TIMEOUT_TCP_TRANSITORY},
      {"TCP refused", tcp, SL_CT_SEEN_REPLY | SL_CT_RESET, SL_CT_TIMEOUT_TCP_CLOSED},
      {"cut", tcp, SL_CT_ESTABLISHED | SL_CT_RESET | SL_CT_REVOKED, SL_CT_TIMEOUT_CUT},
      {"UDP one way", udp, 0, SL_CT_TIMEOUT_SINGLE},
      {"UDP answered", udp, SL_CT_SEEN_REPLY, SL_CT_TIMEOUT_SINGLE},
      {"UDP, asked again", udp, SL_CT_SEEN_REPLY | SL_CT_ESTABLISHED, SL_CT_TIMEOUT_TALKING},
  };
  for (const auto& one : cases) {
    FlowRecord record = one.record;
    record.entry.flags |= one.flags;
    const std::uint64_t seen = record.entry.last_seen_ns;
    EXPECT_FALSE(IsOver(record, seen + one.timeout)) << one.what;
    EXPECT_TRUE(IsOver(record, seen + one.timeout + 1)) << one.what;
    EXPECT_FALSE(IsOver(record, seen - 1)) << one.what << ": seen after the clock was read";
  }
  FlowRecord denied = tcp;
  denied.state = FlowState::kDenied;
  EXPECT_FALSE(IsOver(denied, denied.entry.last_seen_ns + SL_CT_TIMEOUT_DENIED));
  EXPECT_TRUE(IsOver(denied, denied.entry.last_seen_ns + SL_CT_TIMEOUT_DENIED + 1));
}

TEST_F(FlowSweeperTest, WhatIsOverLeavesTheKernelAndEnds) {
  auto following = hub_.Subscribe({});
  scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "shop/db", "53/UDP"), 31 * kSecond));
  scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "bank/vault", "54/UDP"), 29 * kSecond));
  Sweep();
  EXPECT_EQ(flows(), 1U);
  EXPECT_EQ(sweeper_.expired(), 1U);
  EXPECT_THAT(Short(history_.Read()), ElementsAre("END db:53"));
  const EventPtr told = (*following)->Next(0ms);
  ASSERT_TRUE(told);
  EXPECT_EQ(Short(told), "END db:53");
  EXPECT_EQ((*following)->Next(0ms), nullptr);

  scene_.clock.Advance(2 * kSecond);
  Sweep();
  EXPECT_EQ(flows(), 0U);
  EXPECT_EQ(sweeper_.expired(), 2U);
}

TEST_F(FlowSweeperTest, EndsInTheOrderOfTheLastPackets) {
  for (const int port : {1, 2, 3})
    scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "shop/db", fmt::format("{}/UDP", port)),
                                 (40 - 3 * static_cast<std::uint64_t>(port % 3)) * kSecond));
  Sweep();
  EXPECT_THAT(Short(history_.Read()), ElementsAre("END db:3", "END db:1", "END db:2"));
}

TEST_F(FlowSweeperTest, CountsLiveFlowsByTable) {
  scene_.world.Apply(policy::PolicyYaml("bank", "closed", "podSelector: {matchLabels: {app: vault}}"));
  scene_.datapath.AddFlow(scene_.Answered("shop/web", "shop/db", "1/TCP"));
  scene_.datapath.AddFlow(scene_.Answered("shop/web", "shop/db", "2/TCP"));
  scene_.datapath.AddFlow(scene_.Record("shop/web", "shop/db", "3/TCP"));
  scene_.datapath.AddFlow(scene_.Record("shop/web", "bank/vault", "4/TCP"));
  scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "shop/db", "5/UDP"), 31 * kSecond));
  Sweep();
  EXPECT_EQ(sweeper_.active(FlowState::kEstablished), 2U);
  EXPECT_EQ(sweeper_.active(FlowState::kPending), 1U);
  EXPECT_EQ(sweeper_.active(FlowState::kDenied), 1U);
}

TEST_F(FlowSweeperTest, FlowInBothTablesEndsOnce) {
  const FlowRecord answered = Idle(scene_.Answered("shop/web", "shop/db", "53/UDP"), 200 * kSecond);
  FlowRecord moving = answered;
  moving.state = FlowState::kPending;
  scene_.datapath.AddFlow(moving);
  scene_.datapath.AddFlow(answered);
  Sweep();
  EXPECT_EQ(flows(), 0U);
  EXPECT_EQ(sweeper_.expired(), 1U);
  EXPECT_THAT(Short(history_.Read()), ElementsAre("END db:53"));
}

TEST_F(FlowSweeperTest, KernelErrorsEndNothing) {
  scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "shop/db", "53/UDP"), 31 * kSecond));
  scene_.datapath.FailNext("ForEachFlow", InvalidError("map flows: get"));
  EXPECT_FALSE(sweeper_.Sweep().ok());
  scene_.datapath.FailNext("ForgetFlows", InvalidError("map flows: get"));
  EXPECT_FALSE(sweeper_.Sweep().ok());
  EXPECT_EQ(sweeper_.expired(), 0U);
  EXPECT_THAT(history_.Read(), IsEmpty());
  Sweep();
  EXPECT_EQ(sweeper_.expired(), 1U);
}

TEST_F(FlowSweeperTest, LastTrafficOfAFlowThatIsOverIsItsPrograms) {
  ProcessTraffic traffic(16, [](sl_process_id) { return "/bin/curl"; });
  sweeper_.CountPrograms(&traffic);
  Sweep();
  FlowRecord flow = Idle(scene_.Record("shop/web", "shop/db", "53/UDP"), 29 * kSecond);
  flow.entry.initiator_process = 1;
  scene_.datapath.AddFlow(flow);
  scene_.datapath.FailNext("ForEachFlow", InvalidError("map flows: get"));
  EXPECT_FALSE(sweeper_.Sweep().ok());
  scene_.clock.Advance(2 * kSecond);
  Sweep();
  EXPECT_EQ(flows(), 0U);
  const auto rows = traffic.Rows();
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].workload.ToString(), "shop/web");
  EXPECT_EQ(rows[0].binary, "/bin/curl");
  EXPECT_EQ(rows[0].counters.egress.bytes, 60U);
  EXPECT_EQ(rows[0].counters.egress.forwarded_flows, 1U);
}

TEST_F(FlowSweeperTest, ReadingGivesPastAndLiveByTime) {
  scene_.datapath.AddFlow(Idle(scene_.Record("shop/web", "shop/db", "53/UDP"), 31 * kSecond));
  Sweep();
  scene_.datapath.AddFlow(scene_.Record("shop/web", "bank/vault", "2/TCP"));
  scene_.datapath.AddFlow(Idle(scene_.Answered("shop/web", "shop/db", "3/TCP"), kSecond));
  EXPECT_THAT(Short(Read()), ElementsAre("END db:53", "UPDATE db:3", "NEW vault:2"));

  v1::ObserveRequest request;
  request.set_last(2);
  EXPECT_THAT(Short(Read(request)), ElementsAre("UPDATE db:3", "NEW vault:2"));
  request.mutable_filter()->set_workload("db");
  request.mutable_filter()->set_namespace_("shop");
  EXPECT_THAT(Short(Read(request)), ElementsAre("END db:53", "UPDATE db:3")) << "the last of those that match";
}

TEST_F(FlowSweeperTest, ReadingGivesAFlowInBothTablesOnceAndKeepsTwoOfOneKey) {
  const FlowRecord answered = scene_.Answered("shop/web", "shop/db", "1/TCP");
  FlowRecord moving = answered;
  moving.state = FlowState::kPending;
  scene_.datapath.AddFlow(moving);
  scene_.datapath.AddFlow(answered);
  EXPECT_THAT(Short(Read()), ElementsAre("NEW db:1"));

  FlowRecord denied = answered;  // e.g. the same addresses, spoofed
  denied.state = FlowState::kDenied;
  scene_.datapath.AddFlow(denied);
  EXPECT_EQ(Read().size(), 2U);
}

}  // namespace
}  // namespace sluice::telemetry
