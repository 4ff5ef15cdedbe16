// The cases of the suite `program`, and the addresses of its largest scenarios.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>

#include "perf/program/case.h"
#include "perf/program/program_suite.h"
#include "perf/program/world.h"

namespace sluice::perf {
namespace {

std::set<std::string> Names(bool brief) {
  const std::vector<std::string> rows = ProgramRows(brief);
  return {rows.begin(), rows.end()};
}

TEST(BenchProgramRows, HaveEverySizeThatIsAskedFor) {
  const std::set<std::string> names = Names(false);
  for (const std::string hook : {"xdp_uplink", "tc_to_pod", "tc_from_pod"})
    for (const std::string traffic : {"denied", "established", "reply"})
      for (const std::string flows : {"1", "1000", "100000", "1000000"})
        EXPECT_EQ(names.count(fmt::format("{}/v4/{}/flows:{}/rules:1", hook, traffic, flows)), 1U)
            << hook << ' ' << traffic << ' ' << flows;
  for (const std::string hook : {"xdp_uplink", "tc_to_pod"})
    for (const std::string family : {"v4", "v6"})
      for (const std::string world : {"rules:100000", "cidrs:100000"})
        for (const std::string packets : {"denied/flows:1", "established/flows:1", "new/flows:100000"})
          EXPECT_EQ(names.count(fmt::format("{}/{}/{}/{}", hook, family, packets, world)), 1U)
              << hook << ' ' << family << ' ' << packets << ' ' << world;
  for (const std::string floor : {"floor/xdp/hash/flows:1000000", "floor/tc/hash/flows:1000000"})
    EXPECT_EQ(names.count(floor), 1U) << floor;
}

TEST(BenchProgramRows, TheShortFormHasNoLargeOnes) {
  for (const std::string& name : Names(true)) {
    EXPECT_EQ(name.find("flows:1000000"), std::string::npos) << name;
    EXPECT_EQ(name.find("rules:100000"), std::string::npos) << name;
    EXPECT_EQ(name.find("cidrs:100000"), std::string::npos) << name;
  }
}

TEST(BenchProgramCases, LargeOnesAreThoseOfTheLargestSizes) {
  for (const Case& one : AllCases()) {
    const std::string name = one.Name();
    const bool large = name.find("flows:1000000/") != std::string::npos || name.ends_with("rules:100000") ||
                       name.ends_with("cidrs:100000");
    EXPECT_EQ(one.is_large(), large) << name;
  }
}

// One fixture for each initiator; all other fixtures have flow tables of the agent's size.
TEST(BenchProgramCases, AMillionAnsweredFlowsHaveTwoBedsOfTheirOwn) {
  std::set<TableSize> large;
  for (const Case& one : AllCases()) {
    const TableSize fixture = one.fixture();
    EXPECT_EQ(fixture.world, one.world);
    EXPECT_EQ(fixture.standing_flows, one.is_answered() && one.flows == kManyFlows ? kManyFlows : 0) << one.Name();
    if (fixture.standing_flows == 0) continue;
    EXPECT_EQ(fixture.pod_opened, one.is_opened_by_pod()) << one.Name();
    large.insert(fixture);
  }
  EXPECT_EQ(large.size(), 2U);
}

TEST(BenchProgramWorld, EveryPeerAndPrefixOfTheLargestIsAnotherOne) {
  constexpr int kLargest = 100000;
  const auto stranger = policy::Address::Parse(kWorldStranger), pod = policy::Address::Parse(kWorldPod);
  ASSERT_TRUE(stranger.ok() && pod.ok());
  for (const bool v6 : {false, true}) {
    std::set<policy::Address> addresses;
    std::set<std::string> blocks;
    for (int i = 0; i < kLargest; ++i) {
      const auto peer = policy::Address::Parse(PeerAddress(i, v6));
      ASSERT_TRUE(peer.ok()) << peer.status();
      addresses.insert(*peer);
      const auto block = policy::Prefix::Parse(PeerBlock(i, v6));
      ASSERT_TRUE(block.ok()) << block.status();
      blocks.insert(block->ToString());
      const auto inside = policy::Address::Parse(AddressInBlock(i, v6));
      ASSERT_TRUE(inside.ok()) << inside.status();
      EXPECT_TRUE(block->Contains(*inside)) << PeerBlock(i, v6) << ' ' << AddressInBlock(i, v6);
    }
    EXPECT_EQ(addresses.size(), kLargest);
    EXPECT_EQ(blocks.size(), kLargest);
    EXPECT_FALSE(addresses.contains(*stranger) || addresses.contains(*pod));
  }
}

}  // namespace
}  // namespace sluice::perf
