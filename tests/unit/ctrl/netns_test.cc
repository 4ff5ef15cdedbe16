#include "kernel/net/netns.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <thread>

#include "kernel/net/netlink.h"
#include "testbed/netns.h"
#include "tests/support/environment.h"

namespace sluice::net {
namespace {

using test::TestNetNs;
using test::TestNode;
using ::testing::HasSubstr;

TEST(NetNs, SaysThatAFileDoesNotExist) {
  const auto netns = NetNs::Open("/run/netns/no-such-namespace");
  EXPECT_TRUE(absl::IsNotFound(netns.status()));
  EXPECT_THAT(Message(netns.status()), HasSubstr("/run/netns/no-such-namespace does not exist"));
}

// Plays a kernel before 5.14 for the calling thread, and those that it starts.
bool ForgetNetNsCookies() {
  constexpr std::uint32_t kSoNetNsCookie = 71;
  const sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kSoNetNsCookie, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(steps), .filter = const_cast<sock_filter*>(steps)};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(NetNs, SaysWhetherTheKernelNumbersThem) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto cookie = NetNsCookie(socket.get());
  ASSERT_TRUE(cookie.ok()) << cookie.status();
  EXPECT_EQ(HasNetNsCookies(), *cookie != 0);
  std::thread([&] {
    ASSERT_TRUE(ForgetNetNsCookies());
    EXPECT_EQ(NetNsCookie(socket.get()).value_or(1), 0U);
    EXPECT_FALSE(HasNetNsCookies());
  }).join();
}

TEST(NetNs, RefusesOtherFiles) {
  for (const char* path : {"/proc/self/ns/mnt", "/dev/null", "/proc/self/status", "/"}) {
    const auto netns = NetNs::Open(path);
    EXPECT_TRUE(absl::IsInvalidArgument(netns.status())) << path << netns.status();
    EXPECT_THAT(Message(netns.status()), HasSubstr(fmt::format("{} is not a network namespace", path)));
  }
}

TEST(NetNs, IsTheSameByEveryPathAndAnotherThanItsNeighbour) {
  SL_REQUIRE_NETNS();
  auto one = TestNetNs::Create("one");
  auto two = TestNetNs::Create("two");
  ASSERT_TRUE(one.ok() && two.ok()) << one.status() << two.status();
  EXPECT_EQ(NetNs::Open(one->path())->identity(), NetNs::Open(one->path())->identity());
  EXPECT_NE(NetNs::Open(one->path())->identity(), NetNs::Open(two->path())->identity());
  EXPECT_EQ(NetNs::OfThisThread()->identity(), NetNs::Open("/proc/self/ns/net")->identity());
}

TEST(TestRunIn, RunsInsideAndLeavesTheCallerWhereItIs) {
  SL_REQUIRE_NETNS();
  auto netns = TestNetNs::Create("inside");
  ASSERT_TRUE(netns.ok()) << netns.status();
  const auto target = NetNs::Open(netns->path());
  const auto before = NetNs::OfThisThread();
  ASSERT_TRUE(test::RunIn(target->fd(), [&] {
                EXPECT_EQ(NetNs::OfThisThread()->identity(), target->identity());
                return OkStatus();
              }).ok());
  EXPECT_EQ(NetNs::OfThisThread()->identity(), before->identity());
  EXPECT_NE(before->identity(), target->identity());
}

TEST(TestRunIn, ReturnsWhatTheFunctionReturns) {
  const auto here = NetNs::OfThisThread();
  ASSERT_TRUE(here.ok()) << here.status();
  if (!test::RunIn(here->fd(), [] { return OkStatus(); }).ok()) SL_REQUIRE_NETNS();
  EXPECT_EQ(test::RunIn(here->fd(), [] { return InvalidError("as is"); }), InvalidError("as is"));
}

TEST(TestRunIn, RefusesWhatIsNoNamespace) {
  bool ran = false;
  const Status status = test::RunIn(-1, [&] {
    ran = true;
    return OkStatus();
  });
  EXPECT_THAT(Message(status), HasSubstr("enter a network namespace"));
  EXPECT_FALSE(ran);
}

// Tests the fixture itself: every pair can communicate over both families, with each wiring.
class TestNodeWiring : public ::testing::TestWithParam<TestNode::Wiring> {};

TEST_P(TestNodeWiring, CarriesTrafficOfBothFamilies) {
  SL_REQUIRE_NETNS();
  const auto node = TestNode::Create({.wiring = GetParam(), .pods = {"a", "b"}, .outside = true});
  ASSERT_TRUE(node.ok()) << node.status();
  const auto& a = (*node)->pod("a");
  const auto& b = (*node)->pod("b");
  const auto& outside = (*node)->outside();
  const auto pings = [&](const test::TestPod& from, const std::string& to) {
    const auto result = (*node)->RunCommandIn(from, {"ping", "-c1", "-W2", to});
    return result.ok() && result->exit_code == 0;
  };
  for (const std::string& to : {b.ip4, b.ip6, (*node)->ip4(), (*node)->ip6(), outside.ip4, outside.ip6}) {
    EXPECT_TRUE(pings(a, to)) << to;
  }
  for (const std::string& to : {a.ip4, b.ip6}) EXPECT_TRUE(pings(outside, to)) << to;
  EXPECT_FALSE(pings(a, "10.1.0.99"));
}

TEST_P(TestNodeWiring, AddsAndRemovesPods) {
  SL_REQUIRE_NETNS();
  const auto node = TestNode::Create({.wiring = GetParam(), .pods = {"a"}});
  ASSERT_TRUE(node.ok()) << node.status();
  ASSERT_TRUE((*node)->AddPod("b").ok());
  const test::TestPod b = (*node)->pod("b");
  const auto knows = [&](const std::string& name) {
    return (*node)->Run([&] { return sluice::net::Netlink::Open()->GetLink(name).status(); }).ok();
  };
  EXPECT_TRUE(knows(b.host_interface));
  ASSERT_TRUE((*node)->RemovePod("b").ok());
  EXPECT_FALSE(knows(b.host_interface));
  EXPECT_TRUE(absl::IsNotFound(NetNs::Open(b.netns_path).status()));
}

INSTANTIATE_TEST_SUITE_P(Both, TestNodeWiring, ::testing::Values(TestNode::Wiring::kRouted, TestNode::Wiring::kBridged),
                         [](const auto& wiring) {
                           return wiring.param == TestNode::Wiring::kRouted ? "Routed" : "Bridged";
                         });

}  // namespace
}  // namespace sluice::net
