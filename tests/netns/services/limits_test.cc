// What one pod cannot do to others, and what happens when a table is full.
#include <sys/resource.h>

#include "kernel/datapath/service_ranges.h"
#include "tests/netns/services/fixture.h"

namespace sluice::test {
namespace {

using ServiceLimits = ServicesFixture;

TEST_F(ServiceLimits, APodWithManySocketsTakesNothingFromOthers) {
  constexpr int kSockets = 10000;
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, kSockets + 1000);
  if (limit.rlim_cur < kSockets + 100) GTEST_SKIP() << "the hard limit of descriptors is " << limit.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
  SetClients({"web", "other"});
  Put({{kVip, kUdp, {"db", "other"}, 600}, {kVip, kTcp, {"db", "other"}, 600}});
  const Fd sender = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Send(sender, kVip), 0);
  const Fd* reached = FirstReached({&db_udp_, &other_udp_});
  ASSERT_NE(reached, nullptr);
  const Fd& server = *reached;
  ASSERT_TRUE(Answer(server));
  ASSERT_EQ(Receive(sender).from, kVip);
  std::vector<Fd> many;
  int failed = 0;
  const Status flooded = node_->RunIn(Pod("other"), [&] {
    for (int i = 0; i < kSockets; ++i) {
      many.emplace_back(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      if (Connect(many.back(), kVip) != 0) ++failed;
    }
    return OkStatus();
  });
  ASSERT_TRUE(flooded.ok()) << flooded;
  ASSERT_EQ(failed, 0);
  ASSERT_EQ(Send(sender, kVip), 0);
  ASSERT_TRUE(Answer(server)) << "the socket's translation";
  EXPECT_EQ(Receive(sender).from, kVip);
  const Fd again = Open("web", AF_INET, SOCK_DGRAM);
  ASSERT_EQ(Send(again, kVip), 0);
  EXPECT_TRUE(Answer(server)) << "the pod's affinity";
}

TEST_F(ServiceLimits, ServicesThatDoNotFitAreLeftToTheNode) {
  constexpr std::uint32_t kMost = 1U << SL_SERVICE_SEARCH_STEPS;
  const auto make = [](std::uint32_t count) {
    std::vector<End> ends;
    ends.reserve(count);
    for (std::uint32_t i = 0; i < count; ++i)
      ends.push_back({fmt::format("10.{}.{}.{}", 100 + (i >> 16), i >> 8 & 255, i & 255), 80});
    return ends;
  };
  TestService first{{"10.96.1.1", 80}, kTcp, {}, 0, "first"}, second{{"10.96.1.2", 80}, kTcp, {}, 0, "second"};
  first.ends = make(kMost);
  second.ends = make(kMost);
  const Status full = TryPut({{kVip, kTcp, {"db"}}, first, second});
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted) << full;
  EXPECT_NE(Message(full).find("shop/second"), std::string::npos) << full;
  EXPECT_EQ(datapath_->services().usage().front().refused, 1U);
  const Fd client = Open("web", AF_INET, SOCK_STREAM);
  ASSERT_EQ(Connect(client, kVip), 0);
  EXPECT_TRUE(Accept(db_tcp_)) << "the others are in force";
  Put({{kVip, kTcp, {"db"}}, second});
  EXPECT_EQ(datapath_->services().usage().front().refused, 0U);
  second.ends = make(kMost + 1);
  const Status large = TryPut({{kVip, kTcp, {"db"}}, second});
  EXPECT_NE(Message(large).find("shop/second"), std::string::npos) << large;
  ASSERT_EQ(Connect(Open("web", AF_INET, SOCK_STREAM), kVip), 0);
}

TEST(ServiceRanges, AreGivenBackAsOne) {
  datapath::ServiceRanges ranges(100);
  const auto a = ranges.Take(40), b = ranges.Take(30), c = ranges.Take(30);
  ASSERT_TRUE(a && b && c);
  EXPECT_FALSE(ranges.Take(1));
  ranges.Drop(*a, 40);
  ranges.Drop(*c, 30);
  EXPECT_FALSE(ranges.Take(1)) << "it may still be read";
  ranges.Drop(*b, 30);
  ranges.Reuse();
  EXPECT_EQ(ranges.used(), 0U);
  EXPECT_EQ(ranges.Take(100), 0U);
}

TEST(ServiceRanges, AreClaimedOnce) {
  datapath::ServiceRanges ranges(100);
  EXPECT_TRUE(ranges.Claim(10, 20));
  EXPECT_FALSE(ranges.Claim(29, 2));
  EXPECT_FALSE(ranges.Claim(5, 6));
  EXPECT_FALSE(ranges.Claim(90, 11));
  EXPECT_FALSE(ranges.Claim(0xffffffff, 2));
  EXPECT_TRUE(ranges.Claim(30, 70));
  EXPECT_EQ(ranges.used(), 90U);
  EXPECT_EQ(ranges.Take(10), 0U);
}

}  // namespace
}  // namespace sluice::test
