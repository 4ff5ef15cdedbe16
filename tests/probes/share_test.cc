// The tables of programs, classes and processes have a share for each workload: one that runs ever new programs leaves
// the others their part.
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/probes/class_test.h"

namespace sluice::test {
namespace {

constexpr std::uint32_t kShare = 7, kParts = 64;

class ShareTest : public ProcessClassTest {
 protected:
  void SetUp() override {
    ProcessClassTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const auto bind = [&](auto& map, const char* name) {
      auto bound = std::remove_reference_t<decltype(map)>::Bind(bed().sensor().map_fd(name), name);
      ASSERT_TRUE(bound.ok()) << bound.status();
      map = *bound;
    };
    bind(share_of_, "process_share_of");
    bind(shares_, "process_shares");
    bind(freed_, "process_shares_freed");
    ASSERT_TRUE(freed_.Put(SL_SHARE_TOTAL, {.freed = {}, .parts = kParts}).ok());
  }
  void TearDown() override {
    if (bed_ok()) {
      for (const std::uint32_t share : {SL_SHARE_TOTAL, SL_SHARE_OTHERS, static_cast<int>(kShare)}) {
        EXPECT_TRUE(shares_.Put(share, {}).ok());
        EXPECT_TRUE(freed_.Put(share, {}).ok());
      }
    }
    ProcessClassTest::TearDown();
  }
  bool bed_ok() const { return !IsSkipped() && !HasFatalFailure(); }
  // As if so many were there, of all and of one share.
  void Has(sl_shared_table table, std::uint32_t all, std::uint32_t share, std::uint32_t of_share) {
    sl_process_share total{}, one{};
    total.added[table] = all;
    one.added[table] = of_share;
    ASSERT_TRUE(shares_.Put(SL_SHARE_TOTAL, total).ok());
    ASSERT_TRUE(shares_.Put(share, one).ok());
  }
  std::uint32_t Refused(sl_shared_table table, std::uint32_t share = SL_SHARE_TOTAL) {
    return shares_.Get(share)->value_or(sl_process_share{}).refused[table];
  }
  // A program that nobody has run yet, in the network namespace of the test or in one that has kShare.
  Facts RunNew(bool elsewhere) {
    static int programs = 0;
    const std::string file = dir_.Copy(Sleep(), "program-" + std::to_string(programs++));
    const Facts facts = AfterExec(file, {"sleep", "60"}, [&] {
      if (!elsewhere) return;
      struct stat self {};
      if (unshare(CLONE_NEWNET) != 0 || stat("/proc/self/ns/net", &self) != 0 ||
          !share_of_.Put(static_cast<std::uint32_t>(self.st_ino), kShare).ok())
        _exit(99);
    });
    EXPECT_TRUE(facts.program.empty() || facts.program == file);
    return facts;
  }

  TempDir dir_;
  bpf::Map<std::uint32_t, std::uint32_t> share_of_;
  bpf::Map<std::uint32_t, sl_process_share> shares_;
  bpf::Map<std::uint32_t, sl_process_share_freed> freed_;
};

TEST_P(ShareTest, WhileThereIsRoomAnybodyAdds) {
  const std::uint32_t half = programs_.capacity() / 2;
  Has(SL_SHARED_PROGRAMS, half - 1, SL_SHARE_OTHERS, half - 1);
  EXPECT_FALSE(RunNew(false).program.empty());
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS), 0U);
  EXPECT_EQ(shares_.Get(SL_SHARE_OTHERS)->value_or(sl_process_share{}).added[SL_SHARED_PROGRAMS], half);
}

TEST_P(ShareTest, WhoHasFilledHalfOfItLeavesTheOthersTheirPart) {
  const std::uint32_t half = programs_.capacity() / 2;
  Has(SL_SHARED_PROGRAMS, half, SL_SHARE_OTHERS, half);
  ASSERT_TRUE(shares_.Put(kShare, {}).ok());
  EXPECT_TRUE(RunNew(false).program.empty()) << "it has more than its part";
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS), 1U);
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS, SL_SHARE_OTHERS), 1U);
  EXPECT_FALSE(RunNew(true).program.empty()) << "another one has nothing yet";
  EXPECT_EQ(shares_.Get(kShare)->value_or(sl_process_share{}).added[SL_SHARED_PROGRAMS], 1U);
  EXPECT_FALSE(AfterExec(Sleep(), {"sleep", "60"}).program.empty()) << "what is known is known to all";
  Has(SL_SHARED_PROGRAMS, half + 1, kShare, half / kParts);
  EXPECT_TRUE(RunNew(true).program.empty()) << "until it has its part";
  // What the agent has freed counts.
  ASSERT_TRUE(freed_.Put(SL_SHARE_OTHERS, {.freed = {half, 0, 0}, .parts = 0}).ok());
  EXPECT_FALSE(RunNew(false).program.empty());
}

TEST_P(ShareTest, ClassesLikewise) {
  const std::uint32_t half = classes_.capacity() / 2;
  Has(SL_SHARED_CLASSES, half, SL_SHARE_OTHERS, half);
  const std::string file = dir_.Copy(Sleep(), "of-a-new-class");
  const pid_t child = Spawn(file, {"sleep", "60"});
  ASSERT_TRUE(bed().WaitForExec(child).ok());
  EXPECT_EQ((*processes_.Get(child))->process_class, 0U);
  EXPECT_GE(Refused(SL_SHARED_CLASSES), 1U);
  kill(child, SIGKILL);
  Reap(child);
}

TEST_P(ShareTest, ProcessesLikewise) {
  const std::uint32_t half = processes_.capacity() / 2;
  Has(SL_SHARED_PROCESSES, half, SL_SHARE_OTHERS, half);
  Gate gate;
  const pid_t child = Fork([&] { gate.Wait(); });
  const auto entry = processes_.Get(static_cast<std::uint32_t>(child));
  EXPECT_TRUE(entry.ok() && !*entry);
  EXPECT_GE(Refused(SL_SHARED_PROCESSES), 1U);
  gate.Open();
  Reap(child);
  Has(SL_SHARED_PROCESSES, 0, SL_SHARE_OTHERS, 0);
  Reap(Fork([] {}));
  EXPECT_EQ(shares_.Get(SL_SHARE_OTHERS)->value_or(sl_process_share{}).added[SL_SHARED_PROCESSES], 0U)
      << "what ends gives its place back";
}

SL_FOR_EACH_BACK_END(ShareTest);

}  // namespace
}  // namespace sluice::test
