// Records of the rings -> messages with names, for each kind of packet.
#include "telemetry/capture/packet_namer.h"

#include <google/protobuf/util/time_util.h>

#include "bpf/abi/events.h"
#include "telemetry/pcapng/capture_writer.h"
#include "tests/unit/telemetry/scene.h"

namespace sluice::telemetry {
namespace {

using ::testing::HasSubstr;

class PacketNamerTest : public ::testing::Test {
 protected:
  // As the packet path records a packet of this flow at the initiator's hook.
  sl_capture_packet FactsOf(const FlowRecord& record) {
    sl_capture_packet facts{.time_ns = scene_.clock.now() - 5,
                            .ifindex = record.entry.initiator.ifindex,
                            .length = 60,
                            .captured = 4,
                            .hook = SL_HOOK_TC_FROM_POD,
                            .outcome = record.entry.reason,
                            .flags = SL_CAPTURE_HAS_FLOW | SL_CAPTURE_SENT};
    facts.flow_reason = record.entry.reason;
    facts.flow_hook = record.entry.hook;
    facts.flow_flags = record.entry.flags;
    facts.key = record.key;
    facts.flow_id = record.entry.id == 0 ? 7 : record.entry.id;
    facts.initiator_process = record.entry.initiator_process;
    facts.responder_process = record.entry.responder_process;
    facts.initiator_identity = record.entry.initiator.identity;
    facts.initiator_workload = record.entry.initiator.workload;
    facts.responder_identity = record.entry.responder.identity;
    facts.responder_workload = record.entry.responder.workload;
    facts.egress_decision = record.entry.egress_decision;
    facts.ingress_decision = record.entry.ingress_decision;
    facts.created = static_cast<__u32>(record.entry.created_ns >> SL_TICK_SHIFT);
    return facts;
  }
  v1::CapturedFlow Describe(const sl_capture_packet& facts) {
    return DescribePacket(assembler_.Capture(), kWeb, facts);
  }
  bool Add(PacketNamer* namer, const sl_capture_packet& facts, std::uint32_t snaplen = 9216) {
    const std::uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 8, 0};
    return namer->Add(assembler_.Capture(), kWeb, facts, bytes, snaplen, &reply_);
  }

  const policy::ObjectName kWeb{"shop", "web"};
  Scene scene_;
  FlowAssembler assembler_ = scene_.Assembler();
  v1::CaptureReply reply_;
};

TEST_F(PacketNamerTest, TheFlowIsTheOneThatEventsName) {
  FlowRecord record = scene_.Answered("shop/web", "shop/db", "5432/TCP");
  record.entry.id = 9;
  const v1::CapturedFlow described = Describe(FactsOf(record));
  const v1::Flow& flow = described.flow();
  const v1::Flow event = assembler_.Capture().Assemble(FromRecord(record));
  EXPECT_EQ(flow.flow_id(), event.flow_id()) << "to find its events";
  EXPECT_EQ(flow.source().workload(), "web");
  EXPECT_EQ(flow.destination().workload(), "db");
  EXPECT_EQ(flow.ip().source(), event.ip().source());
  EXPECT_EQ(flow.l4().destination_port(), 5432u);
  EXPECT_EQ(flow.policies_size(), event.policies_size());
  EXPECT_EQ(flow.verdict(), v1::Flow::FORWARDED);
  EXPECT_EQ(flow.direction(), v1::Flow::EGRESS);
  EXPECT_FALSE(flow.has_forward()) << "not known";
  EXPECT_EQ(described.hook(), "tc_from_pod");
  EXPECT_EQ(described.workload(), "shop/web");
  EXPECT_TRUE(described.sent());
}

TEST_F(PacketNamerTest, TheVerdictIsThePacketsOwn) {
  sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  facts.outcome = SL_DROP_QUARANTINED;
  EXPECT_EQ(Describe(facts).flow().verdict(), v1::Flow::DROPPED);
  EXPECT_EQ(Describe(facts).flow().drop_reason(), "QUARANTINED");
  EXPECT_EQ(Describe(facts).flow().policies_size(), 0) << "no policy did that";
  facts.outcome = SL_OUTCOME_AUDITED;
  EXPECT_EQ(Describe(facts).flow().verdict(), v1::Flow::AUDIT);
  EXPECT_EQ(Describe(facts).flow().drop_reason(), "");
}

TEST_F(PacketNamerTest, APacketWithoutAFlowHasItsWorkloadAlone) {
  sl_capture_packet facts{
      .time_ns = scene_.clock.now(), .ifindex = 3, .hook = SL_HOOK_TC_FROM_POD, .outcome = SL_DROP_MALFORMED_IPV4};
  facts.flags = SL_CAPTURE_SENT;
  const v1::CapturedFlow sent = Describe(facts);
  EXPECT_FALSE(sent.flow().has_ip());
  EXPECT_EQ(sent.flow().source().workload(), "web");
  EXPECT_EQ(sent.flow().drop_reason(), "MALFORMED_IPV4");
  EXPECT_THAT(pcapng::CommentOf(sent), HasSubstr("of no flow"));
  facts.flags = 0;
  EXPECT_EQ(Describe(facts).flow().destination().workload(), "web");
}

TEST_F(PacketNamerTest, AStreamNamesAFlowOnce) {
  PacketNamer namer{EventFilter()};
  const sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  sl_capture_packet later = facts;
  later.time_ns += 3;
  later.length = 90;
  EXPECT_TRUE(Add(&namer, facts));
  EXPECT_TRUE(Add(&namer, later));
  sl_capture_packet dropped = facts;
  dropped.outcome = SL_DROP_QUARANTINED;
  EXPECT_TRUE(Add(&namer, dropped));
  ASSERT_EQ(reply_.flows_size(), 2) << "by verdict";
  EXPECT_EQ(reply_.packets(0).flow(), reply_.packets(1).flow());
  EXPECT_NE(reply_.packets(0).flow(), reply_.packets(2).flow());
  EXPECT_EQ(reply_.packets(1).length(), 90u);
}

TEST_F(PacketNamerTest, NumbersOfFlowsAreBounded) {
  PacketNamer namer{EventFilter(), 2};
  sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  for (const std::uint64_t id : {1, 2, 3, 2, 1}) {
    facts.flow_id = id;
    EXPECT_TRUE(Add(&namer, facts));
  }
  std::vector<std::uint32_t> numbers;
  for (const v1::CapturedFlow& flow : reply_.flows()) numbers.push_back(flow.number());
  EXPECT_EQ(numbers, (std::vector<std::uint32_t>{0, 1, 0, 1})) << "the second was still known; the first was not";
  EXPECT_EQ(reply_.packets(4).flow(), 1u);
}

TEST_F(PacketNamerTest, AFilterOfFlowsChooses) {
  v1::ObserveRequest::Filter filter;
  filter.add_verdicts(v1::Flow::DROPPED);
  PacketNamer namer{EventFilter::Make(filter).value()};
  sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  EXPECT_FALSE(Add(&namer, facts));
  facts.outcome = SL_DROP_QUARANTINED;
  EXPECT_TRUE(Add(&namer, facts));
  EXPECT_EQ(reply_.flows_size(), 1);
  EXPECT_EQ(reply_.packets_size(), 1);
}

TEST_F(PacketNamerTest, ATagThatTheKernelTookOffIsPutBackAndTheSnaplenHolds) {
  PacketNamer namer{EventFilter()};
  sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  facts.flags |= SL_CAPTURE_TAGGED;
  facts.vlan_tci = 0x2007;
  facts.vlan_protocol = htons(0x8100);
  EXPECT_TRUE(Add(&namer, facts));
  EXPECT_TRUE(Add(&namer, facts, 10));
  const std::string tagged("\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\x81\0\x20\x07\x8\0", 18);
  EXPECT_EQ(reply_.packets(0).data(), tagged);
  EXPECT_EQ(reply_.packets(0).length(), 64u);
  EXPECT_EQ(reply_.packets(1).data(), tagged.substr(0, 10));
}

TEST_F(PacketNamerTest, ABeginningBeforeTheTicksWrapped) {
  sl_capture_packet facts = FactsOf(scene_.Answered("shop/web", "shop/db", "5432/TCP"));
  const std::uint64_t wrapped = (1ULL << 32) + 5;
  facts.time_ns = wrapped << SL_TICK_SHIFT;
  facts.created = 0xfffffff0;
  EXPECT_EQ(Describe(facts).flow().flow_id().substr(0, 9), "fffffff0-");
  facts.created = 3;
  EXPECT_EQ(Describe(facts).flow().flow_id().substr(0, 10), "100000003-");
}

}  // namespace
}  // namespace sluice::telemetry
