#include "telemetry/flow/process_traffic.h"

#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

// "web /bin/curl egress flows=1 bytes=60"; only values other than 0, and no row for the rest.
std::string Text(const std::string& who, const char* direction, const ProcessTotals& totals) {
  std::string text;
  const auto add = [&](const std::string& name, std::uint64_t value) {
    if (value != 0) text += fmt::format(" {}={}", name, value);
  };
  add("flows", totals.forwarded_flows);
  add("audited", totals.audited_flows);
  add("dropped", totals.dropped_flows);
  add("bytes", totals.bytes);
  for (std::uint32_t reason = 0; reason < SL_DROP_REASON_COUNT; reason++)
    add(fmt::format("packets[{}]", reason), totals.dropped_packets[reason]);
  return text.empty() ? "" : who + " " + direction + text;
}

class ProcessTrafficTest : public ::testing::Test {
 protected:
  enum Process : sl_process_id { kNobody, kCurl, kWget, kServer, kForgotten };

  // Sweeps `records`; returns the totals of all programs so far.
  std::vector<std::string> Pass(const std::vector<FlowRecord>& records) {
    Begin();
    for (const FlowRecord& record : records) traffic_.Note(record);
    traffic_.EndPass();
    std::vector<std::string> out;
    for (const auto& row : traffic_.Rows()) {
      const std::string who = row.workload.name + " " + row.binary;
      for (std::string text : {Text(who, "egress", row.counters.egress), Text(who, "ingress", row.counters.ingress)})
        if (!text.empty()) out.push_back(std::move(text));
    }
    return out;
  }
  void Begin() { traffic_.BeginPass(scene_.Assembler().Capture().LocalNames()); }

  FlowRecord Flow(Process initiator = kCurl, Process responder = kServer) const {
    FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
    record.entry.initiator_process = initiator;
    record.entry.responder_process = responder;
    return record;
  }
  FlowRecord Denied(Process initiator, std::uint64_t packets) const {
    FlowRecord record = scene_.Record("shop/web", "shop/db", "5432/TCP");
    record.state = FlowState::kDenied;
    record.entry.reason = SL_DROP_POLICY_DENIED;
    record.entry.initiator_process = initiator;
    record.entry.forward_packets = packets;
    return record;
  }

  Scene scene_;
  ProcessTraffic traffic_{16, [](sl_process_id id) {
                            constexpr const char* kBinaries[] = {"", "/bin/curl", "/bin/wget", "/bin/server", ""};
                            return std::string(kBinaries[id]);
                          }};
};

TEST_F(ProcessTrafficTest, BothEndsAreCounted) {
  Pass({});
  EXPECT_THAT(Pass({Flow()}),
              UnorderedElementsAre("web /bin/curl egress flows=1 bytes=60", "web /bin/curl ingress bytes=44",
                                   "db /bin/server egress bytes=44", "db /bin/server ingress flows=1 bytes=60"));
}

TEST_F(ProcessTrafficTest, FlowThatIsReadAgainCountsItsGrowthOnly) {
  Pass({});
  FlowRecord flow = Flow(kCurl, kNobody);
  Pass({flow});
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress flows=1 bytes=60", "web /bin/curl ingress bytes=44"));
  flow.entry.forward_bytes += 1000;
  flow.entry.last_seen_ns++;
  Pass({flow});
  flow.entry.reply_bytes += 2000;
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress flows=1 bytes=1060", "web /bin/curl ingress bytes=2044"));
}

TEST_F(ProcessTrafficTest, FlowThatChangesTablesIsOneFlow) {
  Pass({});
  FlowRecord established = Flow(kCurl, kNobody);
  FlowRecord pending = established;
  pending.state = FlowState::kPending;
  Pass({pending});
  established.entry.forward_bytes = 500;
  EXPECT_THAT(Pass({established, pending}),
              ElementsAre("web /bin/curl egress flows=1 bytes=500", "web /bin/curl ingress bytes=44"));
}

TEST_F(ProcessTrafficTest, NewFlowOfTheSameKeyIsAnother) {
  Pass({});
  FlowRecord flow = Flow(kCurl, kNobody);
  Pass({flow});
  flow.entry.id++;
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress flows=2 bytes=120", "web /bin/curl ingress bytes=88"));
}

TEST_F(ProcessTrafficTest, DropsAreThoseOfTheSender) {
  Pass({});
  Pass({Denied(kCurl, 2)});
  EXPECT_THAT(Pass({Denied(kCurl, 5)}), ElementsAre("web /bin/curl egress dropped=1 packets[1]=5"));
}

TEST_F(ProcessTrafficTest, AuditedFlowsAreApart) {
  Pass({});
  FlowRecord flow = Flow(kCurl, kNobody);
  flow.entry.flags |= SL_CT_AUDIT;
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress audited=1 bytes=60", "web /bin/curl ingress bytes=44"));
}

TEST_F(ProcessTrafficTest, WhatTheSocketsNewOwnerDoesIsItsOwn) {
  Pass({});
  FlowRecord flow = Flow(kCurl, kNobody);
  Pass({flow});
  flow.entry.initiator_process = kWget;
  flow.entry.forward_bytes += 7;
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress flows=1 bytes=60", "web /bin/curl ingress bytes=44",
                                        "web /bin/wget egress bytes=7"));
}

TEST_F(ProcessTrafficTest, ProcessThatIsKnownLaterGetsAllOfItsFlow) {
  Pass({});
  FlowRecord flow = Flow(kNobody, kNobody);
  EXPECT_THAT(Pass({flow}), ElementsAre());
  flow.entry.forward_bytes += 40;
  flow.entry.responder_process = kServer;
  EXPECT_THAT(Pass({flow}), ElementsAre("db /bin/server egress bytes=44", "db /bin/server ingress flows=1 bytes=100"));
}

TEST_F(ProcessTrafficTest, WhatIsNotKnownIsNobodys) {
  Pass({});
  EXPECT_THAT(Pass({Flow(kNobody, kForgotten)}), ElementsAre());
  FlowRecord spoofed = Denied(kCurl, 1);
  spoofed.entry.reason = SL_DROP_SPOOFED_SOURCE;
  spoofed.entry.hook = SL_HOOK_TC_TO_POD;
  EXPECT_THAT(Pass({spoofed}), ElementsAre()) << "the address is all that says whose it is";
  FlowRecord outside = Flow();
  outside.entry.responder = {};
  EXPECT_THAT(Pass({outside}), ElementsAre("web /bin/curl egress flows=1 bytes=60", "web /bin/curl ingress bytes=44"));
}

TEST_F(ProcessTrafficTest, AForgedSourceCountsForTheProgramThatSent) {
  Pass({});
  FlowRecord spoofed = Denied(kCurl, 3);
  spoofed.entry.reason = SL_DROP_SPOOFED_SOURCE;
  Pass({spoofed});
  const auto rows = traffic_.Rows();
  ASSERT_EQ(rows.size(), 2U) << "it, and all others";
  EXPECT_EQ(rows[0].binary, "/bin/curl");
  EXPECT_EQ(rows[0].counters.egress.dropped_packets[SL_DROP_SPOOFED_SOURCE], 3U);
}

TEST_F(ProcessTrafficTest, WhatFlowsCarriedBeforeTheAgentIsNotCounted) {
  FlowRecord flow = Flow(kNobody, kNobody);
  EXPECT_THAT(Pass({flow, Denied(kCurl, 9)}), ElementsAre());
  flow.entry.initiator_process = kCurl;
  flow.entry.forward_bytes += 40;
  EXPECT_THAT(Pass({flow, Denied(kCurl, 10)}), ElementsAre("web /bin/curl egress bytes=40 packets[1]=1"));
}

TEST_F(ProcessTrafficTest, FailedPassIsContinuedByTheNext) {
  Pass({});
  Begin();
  FlowRecord flow = Flow(kCurl, kNobody);
  traffic_.Note(flow);
  flow.entry.forward_bytes += 40;
  EXPECT_THAT(Pass({flow}), ElementsAre("web /bin/curl egress flows=1 bytes=100", "web /bin/curl ingress bytes=44"));
}

TEST_F(ProcessTrafficTest, SeriesOfAWorkloadThatIsGoneAreGone) {
  Pass({});
  const FlowRecord flow = Flow();
  Pass({flow});
  scene_.world.Delete(policy::Kind::kWorkload, {"shop", "web"});
  EXPECT_THAT(Pass({flow}), ElementsAre("db /bin/server egress bytes=44", "db /bin/server ingress flows=1 bytes=60"));
}

}  // namespace
}  // namespace sluice::telemetry
