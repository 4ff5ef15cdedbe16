// What the datapath reads about itself, compared with the kernel's maps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bpf/abi/quarantine.h"
#include "kernel/bpf/system.h"
#include "tests/support/environment.h"
#include "tests/support/program_fixture.h"

namespace sluice::test {
namespace {

using datapath::FlowRecord;
using datapath::FlowState;
using policy::Address;

class Reads : public ::testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    auto fixture = ProgramFixture::Create();
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = std::move(*fixture);
  }
  // Endpoints 1..count at 10.0.0.1 and so on, on interfaces of the fixture.
  policy::Tables Endpoints(int count) const {
    decltype(policy::Tables::addresses)::Entries addresses;
    for (int i = 0; i < count; i++) {
      const auto number = static_cast<std::uint32_t>(i + 1);
      addresses.push_back(
          {*Address::Parse(fmt::format("10.0.0.{}", number)),
           {.identity = 256 + number, .workload = number, .ifindex = fixture_->ifindex(i), .endpoint = number}});
    }
    policy::Tables tables;
    tables.addresses = decltype(tables.addresses)(std::move(addresses));
    tables.ports = {{0, {.start = 0, .decision = 1}}};
    return tables;
  }
  void Commit(const policy::Tables& tables) {
    const Status status = fixture_->datapath().Commit(tables);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Send(std::uint16_t port = 80) {
    const Packet packet = Eth{} / Ipv4{.src = "10.0.0.1", .dst = "10.0.0.2"} / Udp{.dport = port};
    const auto verdict = fixture_->FromPod(fixture_->ifindex(0), packet.ToFrame());
    ASSERT_TRUE(verdict.ok()) << verdict.status();
    ASSERT_TRUE(verdict->forwarded) << verdict->reason;
  }
  std::map<std::string, datapath::MapUsage> Maps() {
    std::map<std::string, datapath::MapUsage> maps;
    const auto read = fixture_->datapath().Maps();
    EXPECT_TRUE(read.ok()) << read.status();
    for (const auto& map : *read) EXPECT_TRUE(maps.emplace(map.name, map).second) << map.name << " twice";
    return maps;
  }

  std::unique_ptr<ProgramFixture> fixture_;
};

TEST_F(Reads, MapsCountBothSlots) {
  Commit(Endpoints(3));
  EXPECT_EQ(Maps()["addresses"].entries, 3U);
  Commit(Endpoints(2));
  auto maps = Maps();
  EXPECT_EQ(maps["addresses"].entries, 5U) << "the epoch before is still there";
  EXPECT_EQ(maps["addresses"].capacity, SL_EPOCHS * FixtureOptions::SmallTables().epoch_addresses);
  EXPECT_EQ(maps["ports"].entries, 2U);
  EXPECT_EQ(maps["endpoint_counts"].entries, 2U);
  for (const char* const name : {"prefixes", "peers", "interfaces", "pod_devices"}) {
    EXPECT_EQ(maps[name].entries, 0U) << name;
    EXPECT_GT(maps[name].capacity, 0U) << name;
  }
}

TEST_F(Reads, MapsCountInterfaces) {
  Commit(Endpoints(2));
  ASSERT_TRUE(fixture_->datapath().DescribeInterface(fixture_->ifindex(0), {}).ok());
  auto maps = Maps();
  EXPECT_EQ(maps["interfaces"].entries, 1U);
  ASSERT_TRUE(fixture_->datapath().SetQuarantineAllow({policy::Prefix::Parse("10.9.0.0/16").value()}).ok());
  maps = Maps();
  EXPECT_EQ(maps["quarantine_allow"].entries, 1U);
  EXPECT_EQ(maps["quarantine_allow"].capacity, std::uint64_t{SL_MAX_QUARANTINE_PEERS});
}

TEST_F(Reads, ConntrackIsCountedByThePassOverTheFlows) {
  Commit(Endpoints(2));
  Send(80);
  Send(81);
  EXPECT_EQ(fixture_->datapath().Flows()->size(), 2U);
  auto maps = Maps();
  EXPECT_EQ(maps["flows"].entries, 2U);
  EXPECT_EQ(maps["flows"].capacity, std::uint64_t{SL_FLOW_BUCKETS(FixtureOptions::SmallTables().flows)} * SL_FLOW_WAYS);
}

TEST_F(Reads, CountersAreThoseOfTheEndpointsInForce) {
  Commit(Endpoints(2));
  Send();
  auto counters = fixture_->datapath().ReadCounters();
  ASSERT_TRUE(counters.ok()) << counters.status();
  ASSERT_EQ(counters->endpoints.size(), 2U);
  EXPECT_EQ(counters->endpoints[1].egress[SL_DROP_NONE].packets, 1U);
  EXPECT_EQ(counters->events[SL_COUNTER_FLOW_NEW], 1U);
  EXPECT_EQ(*fixture_->datapath().ReadEventCounters(), counters->events);
  Commit(Endpoints(1));
  EXPECT_EQ(fixture_->datapath().ReadCounters()->endpoints.size(), 1U);
}

TEST_F(Reads, FlowThatHadAPacketSinceIsNotForgotten) {
  Commit(Endpoints(2));
  Send(80);
  Send(81);
  const std::vector<FlowRecord> before = *fixture_->datapath().Flows();
  fixture_->SetClock(1001);
  Send(80);
  ASSERT_TRUE(fixture_->datapath().ForgetFlows(before).ok());
  const std::vector<FlowRecord> after = *fixture_->datapath().Flows();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after[0].state, FlowState::kPending);
  EXPECT_EQ(after[0].entry.forward_packets, 2U);
}

TEST_F(Reads, ProgramRunsAreThereWhileTheKernelCounts) {
  Commit(Endpoints(2));
  Send();
  const auto runs = fixture_->datapath().ReadProgramRuns();
  ASSERT_TRUE(runs.ok()) << runs.status();
  EXPECT_EQ(runs->size(), bpf::CountsProgramRuns() ? 3U : 0U);
}

}  // namespace
}  // namespace sluice::test
