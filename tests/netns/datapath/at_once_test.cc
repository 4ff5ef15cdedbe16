// Attachments that a pod's start waits for: a filter judges at once, and a link takes its place without a gap.
#include <bpf/bpf.h>
#include <gmock/gmock.h>

#include <algorithm>
#include <iterator>

#include "kernel/bpf/clsact.h"
#include "kernel/bpf/features.h"
#include "kernel/bpf/hook.h"
#include "testbed/traffic.h"
#include "tests/netns/datapath/fixture.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr char kFiltersStay[] = "this kernel has no TCX (6.6): filters stay";
constexpr std::uint16_t kEchoPort = 7000;
constexpr auto kLinked = 20s;  // each second one pod of three gets its links

class AtOnce : public DatapathFixture {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = Wiring::kRouted, .pods = {}});
    if (!HasFatalFailure()) Open();
    if (HasFatalFailure()) return;
    const Status kept = node_->Run([&] { return datapath_->Keep(); });
    ASSERT_TRUE(kept.ok()) << kept;
    Enforce(IsolateWeb(), /*at_once=*/true);
  }

  bool HasTcx() const { return bpf::ProbeFeatures(datapath_->object().program_fd("tc_from_pod")).front().present; }
  // How many of the pods' programs are attached in this way, as the agent says.
  std::ptrdiff_t AttachedBy(const std::string& mode) const {
    const auto attached = datapath_->Attached();
    return std::ranges::count(attached, mode, &datapath::AttachedProgram::mode);
  }
  bool IsLinked() const {
    return Eventually([this] { return AttachedBy("tcx") == 6; }, kLinked);
  }

  // What the kernel has at the hooks of these pods, links first.
  using Hooks = std::pair<std::size_t, std::size_t>;
  Hooks InKernel(const std::vector<std::string>& pods = {"web", "db", "other"}) const {
    Hooks hooks{};
    const Status read = node_->Run([&]() -> Status {
      for (const std::string& pod : pods) {
        const std::uint32_t ifindex = Pod(pod).host_ifindex;
        for (const int type : {bpf::kTcxIngress, bpf::kTcxEgress}) {
          __u32 ids[16];
          __u32 count = std::size(ids);
          const bool has_any = bpf_prog_query(static_cast<int>(ifindex), static_cast<bpf_attach_type>(type), 0, nullptr,
                                              ids, &count) == 0;
          if (has_any) hooks.first += count;
        }
        for (const auto direction : {bpf::TcDirection::kIngress, bpf::TcDirection::kEgress}) {
          SL_ASSIGN_OR_RETURN(const auto filters, bpf::ClsactPrograms(ifindex, direction));
          hooks.second += filters.size();
        }
      }
      return OkStatus();
    });
    EXPECT_TRUE(read.ok()) << read;
    return hooks;
  }

  // All pods are attached to, and some still by filters: the keeper gives one pod in each second its links.
  void ExpectFilters() const {
    const Hooks there = InKernel();
    EXPECT_GE(there.first + there.second, 6U);
    EXPECT_GT(there.second, 0U);
    EXPECT_EQ(AttachedBy("clsact") + AttachedBy("tcx"), 6);
  }

  std::string Tc(const std::string& arguments) const {
    std::string output;
    const Status ran = node_->Run([&]() -> Status {
      SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand({"sh", "-c", "tc " + arguments}));
      output = result.output;
      return OkStatus();
    });
    EXPECT_TRUE(ran.ok()) << ran;
    return output;
  }
  std::string HostEnd(const std::string& pod) const { return Pod(pod).host_interface; }

  std::unique_ptr<Pinger> Ping(const std::string& from, const std::string& to, std::chrono::milliseconds patience) {
    const auto destination = policy::Address::Parse(Pod(to).ip4);
    EXPECT_TRUE(destination.ok()) << destination.status();
    auto pinger = Pinger::Start({.netns_fd = node_->netns(Pod(from)).fd(),
                                 .destination = *destination,
                                 .port = kEchoPort,
                                 .interval = 100us,
                                 .patience = patience});
    EXPECT_TRUE(pinger.ok()) << pinger.status();
    return pinger.ok() ? *std::move(pinger) : nullptr;
  }
};

TEST_F(AtOnce, AFilterJudgesUntilALinkDoesAndNothingIsLeftOfIt) {
  ExpectFilters();
  ExpectAll("other", "db", ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("other", "web"), ProbeOutcome::kTimeout);
  if (!HasTcx()) return;
  ASSERT_TRUE(IsLinked());
  EXPECT_EQ(InKernel(), Hooks(6, 0));
  EXPECT_TRUE(Eventually([this] { return Tc("qdisc show").find("clsact") == std::string::npos; }));
  ExpectAll("other", "db", ProbeOutcome::kAllowed);
  ExpectAll("other", "web", ProbeOutcome::kTimeout);
  EXPECT_EQ(datapath_->integrity().problem, "");
  for (const std::uint64_t repairs : datapath_->integrity().repairs) EXPECT_EQ(repairs, 0U);
}

TEST_F(AtOnce, TheChangeLetsNothingThroughAndLosesNothing) {
  if (!HasTcx()) GTEST_SKIP() << kFiltersStay;
  const auto web = EchoServer::Start(node_->netns(Pod("web")).fd(), {kEchoPort});
  const auto db = EchoServer::Start(node_->netns(Pod("db")).fd(), {kEchoPort});
  ASSERT_TRUE(web.ok() && db.ok()) << web.status() << db.status();
  const auto denied = Ping("db", "web", 0ms), allowed = Ping("other", "db", 3000ms);
  ASSERT_TRUE(denied && allowed);
  EXPECT_LT(AttachedBy("tcx"), 6) << "the change is over already";
  ASSERT_TRUE(IsLinked());
  const std::uint64_t sent = denied->counts().sent;
  EXPECT_TRUE(Eventually([&] { return denied->counts().sent > sent + 300; })) << "after the change";
  denied->Stop();
  allowed->Stop();
  EXPECT_GT(denied->counts().sent, 1000U);
  EXPECT_EQ((*web)->Received(kEchoPort), 0U);
  EXPECT_GT(allowed->counts().sent, 100U);
  EXPECT_EQ(allowed->counts().lost, 0U);
}

TEST_F(AtOnce, TheNextProcessFindsTheFilters) {
  ExpectFilters();
  Close();
  EXPECT_EQ(Probe("other", "web"), ProbeOutcome::kTimeout);
  Open();
  EXPECT_EQ(datapath_->Attached().size(), 6U);
  Enforce(IsolateWeb());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_EQ(InKernel(), HasTcx() ? Hooks(6, 0) : Hooks(0, 6));
  ExpectAll("other", "db", ProbeOutcome::kAllowed);
  EXPECT_EQ(Probe("other", "web"), ProbeOutcome::kTimeout);
}

TEST_F(AtOnce, OneThatIsLetGoAtOnceIsOpenAndAsItWas) {
  for (const std::string pod : {"web", "other"}) {
    const Status detached = node_->Run([&] { return datapath_->DetachPod(Pod(pod).host_ifindex); });
    ASSERT_TRUE(detached.ok()) << detached;
  }
  EXPECT_EQ(InKernel({"web", "other"}), Hooks(0, 0));
  EXPECT_THAT(Tc("qdisc show dev " + HostEnd("web")), Not(HasSubstr("clsact")));
  EXPECT_EQ(Probe("other", "web"), ProbeOutcome::kAllowed);
}

TEST_F(AtOnce, FiltersOfOthersStay) {
  if (!HasTcx()) GTEST_SKIP() << kFiltersStay;
  EXPECT_EQ(Tc("filter add dev " + HostEnd("web") + " ingress prio 7 handle 0x60 bpf bytecode '1,6 0 0 0'"), "");
  ASSERT_TRUE(IsLinked());
  EXPECT_THAT(Tc("filter show dev " + HostEnd("web") + " ingress"), HasSubstr("handle 0x60"));
}

// Agents with other roots use the same handle.
TEST_F(AtOnce, AFilterOfAnotherAgentStays) {
  if (!HasTcx()) GTEST_SKIP() << kFiltersStay;
  const std::uint32_t ifindex = Pod("other").host_ifindex;
  const Status attached = node_->Run([&]() -> Status {
    SL_RETURN_IF_ERROR(datapath_->DetachPod(ifindex));
    SL_RETURN_IF_ERROR(
        bpf::AttachClsact(datapath_->object().program_fd("tc_from_pod"), ifindex, bpf::TcDirection::kIngress).status());
    return datapath_->AttachPodAtOnce({ifindex, HostEnd("other"), {}});
  });
  ASSERT_TRUE(attached.ok()) << attached;
  ASSERT_TRUE(IsLinked());
  EXPECT_EQ(InKernel({"other"}), Hooks(2, 1));
}

TEST_F(AtOnce, AFilterThatOthersRemoveIsRepaired) {
  const std::size_t filters = InKernel({"other"}).second;  // the keeper may have been here
  Tc("qdisc del dev " + HostEnd("other") + " clsact");
  EXPECT_LE(InKernel().second, 4U);
  EXPECT_TRUE(Eventually([&] {
    return datapath_->integrity().repairs[static_cast<std::size_t>(datapath::Repaired::kAttachment)] == filters;
  }));
  const Hooks there = InKernel({"other"});
  EXPECT_EQ(there.first + there.second, 2U);
}

}  // namespace
}  // namespace sluice::test
