// The tables of programs, classes and processes have a share for each workload: one that keeps running new programs
// leaves the others their part.
#include <sched.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>

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
      auto bound = std::remove_reference_t<decltype(map)>::Bind(fixture().sensor().map_fd(name), name);
      ASSERT_TRUE(bound.ok()) << bound.status();
      map = *bound;
    };
    bind(share_of_, "process_share_of");
    bind(shares_, "process_shares");
    bind(freed_, "process_shares_freed");
    ASSERT_TRUE(freed_.Put(SL_SHARE_TOTAL, {.freed = {}, .parts = kParts}).ok());
  }
  void TearDown() override {
    if (!IsSkipped() && !HasFatalFailure()) {
      for (const std::uint32_t share : {SL_SHARE_TOTAL, SL_SHARE_OTHERS, static_cast<int>(kShare)}) {
        EXPECT_TRUE(shares_.Put(share, {}).ok());
        EXPECT_TRUE(freed_.Put(share, {}).ok());
      }
    }
    ProcessClassTest::TearDown();
  }
  // Sets the counts, as if this many entries existed in total and in one share.
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
  // Moves a child to its own network namespace, which has kShare: everything else on the machine counts for the others.
  void EnterShare() {
    struct stat self {};
    if (unshare(CLONE_NEWNET) != 0 || stat("/proc/self/ns/net", &self) != 0 ||
        !share_of_.Put(static_cast<std::uint32_t>(self.st_ino), kShare).ok())
      _exit(99);
  }
  Facts Run(const std::string& file, bool in_share) {
    return AfterExec(file, {"sleep", "60"}, [&] {
      if (in_share) EnterShare();
    });
  }
  // A program that never ran before.
  Facts RunNew(bool in_share) {
    static int programs = 0;
    const std::string file = dir_.Copy(Sleep(), "program-" + std::to_string(programs++));
    Facts facts = Run(file, in_share);
    EXPECT_TRUE(facts.program.empty() || facts.program == file);
    return facts;
  }

  TempDir dir_;
  bpf::Map<std::uint32_t, std::uint32_t> share_of_;
  bpf::Map<std::uint32_t, sl_process_share> shares_;
  bpf::Map<std::uint32_t, sl_process_share_freed> freed_;
};

TEST_P(ShareTest, WhileThereIsRoomAnybodyAdds) {
  const std::uint32_t nearly_half = programs_.capacity() / 2 - 1000;  // other processes may add some meanwhile
  Has(SL_SHARED_PROGRAMS, nearly_half, kShare, nearly_half);
  EXPECT_FALSE(RunNew(true).program.empty());
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS, kShare), 0U);
  EXPECT_EQ(shares_.Get(kShare)->value_or(sl_process_share{}).added[SL_SHARED_PROGRAMS], nearly_half + 1);
}

TEST_P(ShareTest, WhoHasFilledHalfOfItLeavesTheOthersTheirPart) {
  const std::uint32_t half = programs_.capacity() / 2;
  ASSERT_FALSE(Run(Sleep(), false).program.empty());
  Has(SL_SHARED_PROGRAMS, half, kShare, half);
  ASSERT_TRUE(shares_.Put(SL_SHARE_OTHERS, {}).ok());
  EXPECT_TRUE(RunNew(true).program.empty()) << "it has more than its part";
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS, kShare), 1U);
  EXPECT_GE(Refused(SL_SHARED_PROGRAMS), 1U);
  EXPECT_FALSE(RunNew(false).program.empty()) << "another one has nothing yet";
  EXPECT_GE(shares_.Get(SL_SHARE_OTHERS)->value_or(sl_process_share{}).added[SL_SHARED_PROGRAMS], 1U);
  EXPECT_FALSE(Run(Sleep(), true).program.empty()) << "what is known is known to all";
  Has(SL_SHARED_PROGRAMS, half + 1, SL_SHARE_OTHERS, half / kParts);
  EXPECT_TRUE(RunNew(false).program.empty()) << "until it has its part";
  // Entries that the agent has freed count.
  ASSERT_TRUE(freed_.Put(kShare, {.freed = {half, 0, 0}, .parts = 0}).ok());
  EXPECT_FALSE(RunNew(true).program.empty());
}

TEST_P(ShareTest, ClassesLikewise) {
  const std::uint32_t half = classes_.capacity() / 2;
  Has(SL_SHARED_CLASSES, half, kShare, half);
  const std::string file = dir_.Copy(Sleep(), "of-a-new-class");
  const pid_t child = Fork([&] {
    EnterShare();
    Exec(file, {"sleep", "60"});
  });
  ASSERT_TRUE(fixture().WaitForExec(child).ok());
  EXPECT_EQ((*processes_.Get(child))->process_class, 0U);
  EXPECT_EQ(Refused(SL_SHARED_CLASSES, kShare), 1U);
  kill(child, SIGKILL);
  Reap(child);
}

// With real paths, as on an old CI node: each is a hard link to one file, and runs once. The counts start as if the pod
// had run enough programs before, so that half of these exceed its part; with more paths than half of the table, all
// are real.
TEST_P(ShareTest, APodThatRunsEverNewPathsLeavesTheOthersTheirPart) {
  const char* const asked = std::getenv("SLUICE_PROGRAM_PATHS");
  const std::uint32_t paths = asked != nullptr ? static_cast<std::uint32_t>(std::atoi(asked)) : 200;
  const std::uint32_t half = programs_.capacity() / 2, before = paths < half ? half - paths / 2 : 0;
  ASSERT_FALSE(Run(Sleep(), false).program.empty());
  Has(SL_SHARED_PROGRAMS, before, kShare, before);
  ASSERT_TRUE(shares_.Put(SL_SHARE_OTHERS, {}).ok());
  const std::string program = dir_.Copy(Sleep(), "sleep");
  const auto begin = std::chrono::steady_clock::now();
  const pid_t pod = Fork([&] {
    EnterShare();
    for (std::uint32_t i = 0; i < paths; ++i) {
      const std::string path = dir_.path() + "/link-" + std::to_string(i);
      char* argv[] = {const_cast<char*>("sleep"), const_cast<char*>("0"), nullptr};
      pid_t pid = -1;
      if (link(program.c_str(), path.c_str()) != 0 ||
          posix_spawn(&pid, path.c_str(), nullptr, nullptr, argv, environ) != 0)
        _exit(1);
      Reap(pid);
    }
  });
  ASSERT_EQ(Reap(pod), 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const sl_process_share of_pod = shares_.Get(kShare)->value_or(sl_process_share{});
  const std::uint32_t added = of_pod.added[SL_SHARED_PROGRAMS] - before, refused = of_pod.refused[SL_SHARED_PROGRAMS];
  std::cout << paths << " programs in " << took.count() << " s: " << added << " known, " << refused << " refused\n";
  EXPECT_EQ(added + refused, paths);
  EXPECT_LE(before + added, half);
  EXPECT_GT(before + added, half - half / 8) << "others may have added meanwhile";
  EXPECT_GT(refused, 0U);
  ASSERT_TRUE(fixture().Settle().ok()) << "their pids come again";
  EXPECT_TRUE(RunNew(true).program.empty());
  EXPECT_FALSE(RunNew(false).program.empty()) << "another pod's new program";
  EXPECT_FALSE(Run(dir_.path() + "/link-0", true).program.empty()) << "what is known stays so";
  std::vector<sl_program_path> links;
  ASSERT_TRUE(programs_
                  .ForEachBatch([&](const sl_program_path& path, const sl_program&) {
                    if (std::string_view(path.text).starts_with(dir_.path())) links.push_back(path);
                  })
                  .ok());
  EXPECT_GE(links.size(), added);
  EXPECT_TRUE(programs_.DeleteAll(links).ok()) << "as the agent does, when nobody uses them";
}

// An entry that ends while the agent counts is subtracted twice.
TEST_P(ShareTest, BelowNothingIsRoom) {
  const std::uint32_t half = programs_.capacity() / 2;
  ASSERT_FALSE(Run(Sleep(), false).program.empty());
  Has(SL_SHARED_PROGRAMS, half, kShare, 5);
  ASSERT_TRUE(freed_.Put(kShare, {.freed = {7, 0, 0}, .parts = 0}).ok());
  EXPECT_FALSE(RunNew(true).program.empty());
  EXPECT_EQ(Refused(SL_SHARED_PROGRAMS, kShare), 0U);
}

TEST_P(ShareTest, ProcessesLikewise) {
  const std::uint32_t half = processes_.capacity() / 2;
  const auto fork_in_share = [&](bool is_known) {
    const int status = Reap(Fork([&] {
      EnterShare();
      Gate gate;
      const pid_t child = Fork([&] { gate.Wait(); });
      const auto entry = processes_.Get(static_cast<std::uint32_t>(child));
      gate.Open();
      Reap(child);
      _exit(entry.ok() && entry->has_value() == is_known ? 0 : 1);
    }));
    EXPECT_EQ(status, 0);
  };
  Has(SL_SHARED_PROCESSES, half, kShare, half);
  fork_in_share(false);
  EXPECT_EQ(Refused(SL_SHARED_PROCESSES, kShare), 1U);
  Has(SL_SHARED_PROCESSES, 0, kShare, 0);
  fork_in_share(true);
  EXPECT_EQ(shares_.Get(kShare)->value_or(sl_process_share{}).added[SL_SHARED_PROCESSES], 0U)
      << "what ends gives its place back";
}

SL_FOR_EACH_BACK_END(ShareTest);

}  // namespace
}  // namespace sluice::test
