// Pins outlive the process that attached them: enforcement continues, the next process takes over, and Uninstall leaves
// nothing.
#include <bpf/bpf.h>

#include <cerrno>
#include <filesystem>
#include <thread>

#include "kernel/bpf/map.h"
#include "kernel/bpf/object.h"
#include "kernel/bpf/pin_layout.h"
#include "kernel/bpf/testing/test_hooks.h"
#include "kernel/datapath/root.h"
#include "tests/netns/datapath/fixture.h"

namespace sluice::test {
namespace {

constexpr int kTcxIngress = 46, kTcxEgress = 47;

constexpr char kNoTcx[] = "this kernel has no TCX (6.6): there are no pins of programs at pods";

class Pins : public DatapathFixture {
 protected:
  void SetUp() override {
    DatapathFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    Build({.wiring = Wiring::kRouted, .pods = {}, .outside = true});
    if (!HasFatalFailure()) Open();
    if (!HasFatalFailure()) Enforce(DbPolicy());
    if (HasFatalFailure()) return;
    const Status attached = node_->Run([&] { return datapath_->AttachUplink("uplink").status(); });
    ASSERT_TRUE(attached.ok()) << attached;
  }

  // Before 6.6 programs are clsact filters, which persist without a pin.
  bool HasTcx() const {
    const auto attached = datapath_->Attached();
    return std::any_of(attached.begin(), attached.end(), [](const auto& program) { return program.mode == "tcx"; });
  }

  // Number of programs at an interface of the node.
  int Attached(std::uint32_t ifindex, int type) const {
    __u32 count = 0;
    const Status queried = node_->Run([&]() -> Status {
      __u32 ids[16];
      count = std::size(ids);
      const int rc =
          bpf_prog_query(static_cast<int>(ifindex), static_cast<bpf_attach_type>(type), 0, nullptr, ids, &count);
      return rc == 0 ? OkStatus() : ErrnoError(rc, "query ifindex {}", ifindex);
    });
    EXPECT_TRUE(queried.ok()) << queried;
    return static_cast<int>(count);
  }

  __u32 ProgramId(const char* name) const {
    bpf_prog_info info{};
    __u32 length = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(datapath_->object().program_fd(name), &info, &length), 0);
    return info.id;
  }
  __u32 MapId(const std::string& name) const {
    bpf_map_info info{};
    __u32 length = sizeof(info);
    EXPECT_EQ(bpf_obj_get_info_by_fd(datapath_->object().map_fd(name), &info, &length), 0);
    return info.id;
  }
  // The kernel frees unused objects a little later.
  template <typename Open>
  static bool Vanishes(Open open) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
         std::chrono::steady_clock::now() < end; std::this_thread::yield()) {
      const Fd fd(open());
      if (!fd.valid() && errno == ENOENT) return true;
    }
    return false;
  }
};

TEST_F(Pins, EnforcementOutlivesTheProcess) {
  const auto generation = datapath_->generation();
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  Close();
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  ExpectAll("other", "db", ProbeOutcome::kTimeout);
  ExpectAll("outside", "db", ProbeOutcome::kTimeout);
  Open();
  EXPECT_EQ(datapath_->generation(), generation);
  EXPECT_EQ(datapath_->Attached().size(), 7u) << "two programs for each of three pods, and the uplink's";
  const auto flows = datapath_->Flows();
  ASSERT_TRUE(flows.ok()) << flows.status();
  EXPECT_FALSE(flows->empty());
}

TEST_F(Pins, TheNextProcessTakesOverWithoutAGap) {
  if (!HasTcx()) GTEST_SKIP() << kNoTcx;
  const __u32 first = ProgramId("tc_from_pod");
  Close();
  Open();
  Enforce(DbPolicy());
  ASSERT_FALSE(HasFatalFailure());
  EXPECT_NE(ProgramId("tc_from_pod"), first);
  for (const TestPod& pod : node_->pods()) {
    EXPECT_EQ(Attached(pod.host_ifindex, kTcxIngress), 1) << pod.name;
    EXPECT_EQ(Attached(pod.host_ifindex, kTcxEgress), 1) << pod.name;
  }
  const Status uplink = node_->Run([&] { return datapath_->AttachUplink("uplink").status(); });
  ASSERT_TRUE(uplink.ok()) << uplink;
  EXPECT_TRUE(Vanishes([&] { return bpf_prog_get_fd_by_id(first); })) << "the old programs are gone";
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  ExpectAll("other", "db", ProbeOutcome::kTimeout);
  Enforce();
  ExpectAll("other", "db", ProbeOutcome::kAllowed);
}

TEST_F(Pins, ANumberThatWasLoweredMeanwhileIsPassedBy) {
  for (int i = 0; i < 4; ++i) Enforce(DbPolicy());
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  const auto generation = datapath_->generation();
  Close();
  {
    const auto fd = bpf::OpenPinnedMap(bpf::PinLayout(root()).map("generation"));
    ASSERT_TRUE(fd.ok()) << fd.status();
    const auto stored = bpf::Map<__u32, __u64>::Bind(fd->get(), "generation");
    ASSERT_TRUE(stored.ok() && stored->Put(0, generation - 2).ok());
  }
  Open();
  EXPECT_GT(datapath_->generation(), generation) << "flows of that one would never be decided again";
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  ExpectAll("other", "db", ProbeOutcome::kTimeout);
}

TEST_F(Pins, ASecondProcessIsRefusedAndChangesNothing) {
  datapath::BpfDatapathOptions options{.bpf_root = root()};
  const auto second = datapath::BpfDatapath::Open(options);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists) << second.status();
  EXPECT_NE(second.status().message().find(root()), std::string::npos);
  const Status uninstalled = node_->Run([&] { return datapath::Uninstall(root()).status(); });
  EXPECT_FALSE(uninstalled.ok()) << "an agent is running there";
  ExpectAll("web", "db", ProbeOutcome::kAllowed);
  ExpectAll("other", "db", ProbeOutcome::kTimeout);
}

TEST_F(Pins, UninstallLeavesNothing) {
  if (!HasTcx()) GTEST_SKIP() << kNoTcx;
  std::vector<__u32> programs, maps;
  for (const char* name : {"tc_from_pod", "tc_to_pod", "xdp_uplink"}) programs.push_back(ProgramId(name));
  for (const std::string& name : bpf::TestHooks(datapath_->object()).MapNames()) maps.push_back(MapId(name));
  Close();
  const Status uninstalled = node_->Run([&] { return datapath::Uninstall(root()).status(); });
  ASSERT_TRUE(uninstalled.ok()) << uninstalled;
  EXPECT_FALSE(std::filesystem::exists(root()));
  for (const TestPod& pod : node_->pods()) {
    EXPECT_EQ(Attached(pod.host_ifindex, kTcxIngress), 0) << pod.name;
    EXPECT_EQ(Attached(pod.host_ifindex, kTcxEgress), 0) << pod.name;
  }
  for (const __u32 id : programs) EXPECT_TRUE(Vanishes([&] { return bpf_prog_get_fd_by_id(id); })) << "program " << id;
  for (const __u32 id : maps) EXPECT_TRUE(Vanishes([&] { return bpf_map_get_fd_by_id(id); })) << "map " << id;
  ExpectAll("other", "db", ProbeOutcome::kAllowed);
  const Status again = node_->Run([&] { return datapath::Uninstall(root()).status(); });
  EXPECT_TRUE(again.ok()) << again;
}

TEST_F(Pins, DetachedPodIsOpenAndItsPinsAreGone) {
  if (!HasTcx()) GTEST_SKIP() << kNoTcx;
  const Status detached = node_->Run([&] { return datapath_->DetachPod(Pod("other").host_ifindex); });
  ASSERT_TRUE(detached.ok()) << detached;
  EXPECT_EQ(Attached(Pod("other").host_ifindex, kTcxIngress), 0);
  EXPECT_EQ(Attached(Pod("other").host_ifindex, kTcxEgress), 0);
  EXPECT_EQ(datapath_->Attached().size(), 5u);
  ExpectAll("other", "web", ProbeOutcome::kAllowed);
  ExpectAll("other", "db", ProbeOutcome::kTimeout);  // its receiver's hook evaluates it
}

TEST_F(Pins, AnInterfaceThatWentAwayIsTakenOverByItsSuccessor) {
  if (!HasTcx()) GTEST_SKIP() << kNoTcx;
  const std::uint32_t ifindex = Pod("other").host_ifindex;
  const Status removed = node_->RemovePod("other");
  ASSERT_TRUE(removed.ok()) << removed;
  // A new veth with the old index: the links pinned there are defunct.
  const Status made = node_->netns().Ip(fmt::format("link add again0 index {} type veth peer name again1\n", ifindex));
  ASSERT_TRUE(made.ok()) << made;
  Close();
  Open();
  const Status attached = node_->Run([&] { return datapath_->AttachPod({ifindex, "again0", {}}); });
  ASSERT_TRUE(attached.ok()) << attached;
  EXPECT_EQ(Attached(ifindex, kTcxIngress), 1);
  EXPECT_EQ(Attached(ifindex, kTcxEgress), 1);
}

}  // namespace
}  // namespace sluice::test
