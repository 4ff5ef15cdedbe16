// Enforcement depends on nothing but the kernel: not on records, not on the agent; and it is for whom it is meant.
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <thread>

#include "kernel/bpf/hook_pins.h"
#include "policy/lsm/compile.h"
#include "tests/hooks/hook_fixture.h"
#include "tests/lsm/lsm_fixture.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using policy::lsm::Policy;

class LsmHold : public LsmTest {
 protected:
  void SetUp() override {
    LsmTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const char* name : {"hit", "twin"}) directory().Write(name, "text\n", 0644);
  }
  std::string BlockHit() const { return "{file: {matchPaths: [{path: " + Path("hit") + "}]}}"; }
  std::uint64_t Count(sl_lsm_count what) {
    std::uint64_t sum = 0;
    for (const lsm::PolicyCounts& one : fixture().store().Counts()) sum += one.counts.counts[what];
    return sum;
  }
};

TEST_F(LsmHold, ARecordSaysWhoWhatAndWhy) {
  directory().Copy("/usr/bin/true", "program");
  ASSERT_TRUE(Apply({"{process: {matchPaths: [{path: " + Path("program") + "}]}, message: stop}"}).ok());
  pid_t child = 0;
  const int ends = memfd_create("pid", 0);
  EXPECT_EQ(Run([&] {
              const pid_t own = getpid();
              if (write(ends, &own, sizeof(own)) != sizeof(own)) return 90;
              return ExecError({Path("program"), "first", "", "third"});
            }),
            EPERM);
  ASSERT_EQ(pread(ends, &child, sizeof(child), 0), static_cast<ssize_t>(sizeof(child)));
  close(ends);
  const auto records = fixture().Take();
  ASSERT_EQ(records.size(), 1U);
  const sl_lsm_event& event = records[0].event;
  EXPECT_EQ(event.operation, SL_LSM_EXECUTE);
  EXPECT_EQ(event.verdict, SL_LSM_BLOCK);
  EXPECT_EQ(event.reason, SL_LSM_BY_RULE);
  EXPECT_EQ(event.pid, static_cast<__u32>(child));
  EXPECT_EQ(event.tid, event.pid);
  EXPECT_EQ(event.parent_pid, static_cast<__u32>(getpid()));
  EXPECT_EQ(event.cgroup, fixture().cgroup().id());
  EXPECT_EQ(event.flags, 0);
  EXPECT_EQ(fixture().store().KeyOf(event.subject), "shop/web");
  EXPECT_EQ(records[0].path, Path("program"));
  EXPECT_EQ(records[0].program, fs::read_symlink("/proc/self/exe").string());
  EXPECT_EQ(records[0].arguments, Path("program") + '\0' + "first" + '\0' + '\0' + "third" + '\0');
  const auto rule = fixture().store().Describe(event.generation, event.rule);
  ASSERT_TRUE(rule.has_value());
  EXPECT_EQ(rule->policy->name.ToString(), "shop/a");
  EXPECT_EQ(rule->rule->effect.message, "stop");
}

TEST_F(LsmHold, OtherWorkloadsAndTheHostAreUntouched) {
  ASSERT_TRUE(Apply({BlockHit()}).ok());
  const Cgroup other;
  EXPECT_EQ(Run([&] { return OpenError(Path("hit")); }), EPERM);
  EXPECT_EQ(RunIn(other, [&] { return OpenError(Path("hit")); }), 0);
  EXPECT_EQ(OpenError(Path("hit")), 0);
}

TEST_F(LsmHold, ANewWorkloadIsCoveredBeforeItsFirstProcess) {
  const auto policies = ParseLsm({BlockHit()});
  const auto compiled = policy::lsm::Compile({{.key = "shop/new", .policies = policies, .postures = {}}}, {.seed = 5});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  ASSERT_TRUE(fixture().store().Replace(*compiled).ok());
  const Cgroup cgroup;
  const Netns netns;
  EXPECT_EQ(RunIn(cgroup, [&] { return OpenError(Path("hit")); }), 0) << "no workload yet";
  const lsm::Subject web{.key = "shop/web", .cgroups = {fixture().cgroup().id()}, .netns = {}};
  ASSERT_TRUE(fixture()
                  .store()
                  .SetSubjects({web, {.key = "shop/new", .cgroups = {cgroup.id()}, .netns = {netns.inode()}}})
                  .ok());
  EXPECT_EQ(RunIn(cgroup, [&] { return OpenError(Path("hit")); }), EPERM);
  EXPECT_EQ(WEXITSTATUS(Reap(Fork([&] {
              netns.Enter();
              _exit(OpenError(Path("hit")));
            }))),
            EPERM)
      << "by its network namespace";
  ASSERT_TRUE(fixture().store().SetSubjects({web}).ok());
  EXPECT_EQ(RunIn(cgroup, [&] { return OpenError(Path("hit")); }), 0) << "the workload is gone";
}

TEST_F(LsmHold, APolicyForTheHostIsForProcessesOfNoWorkload) {
  const auto policies = ParseLsm({BlockHit()}, Policy::Kind::kHost);
  const auto compiled = policy::lsm::Compile({{.key = "", .policies = policies, .postures = {}}}, {.seed = 5});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  ASSERT_TRUE(fixture().store().Replace(*compiled).ok());
  EXPECT_EQ(OpenError(Path("hit")), EPERM);
  EXPECT_EQ(OpenError(Path("twin")), 0);
  EXPECT_EQ(Run([&] { return OpenError(Path("hit")); }), 0);
}

TEST_F(LsmHold, AFullRingCostsRecordsAndNoVerdict) {
  ASSERT_TRUE(Apply({BlockHit()}).ok());
  const std::uint64_t lost = Count(SL_LSM_COUNT_LOST), blocked = Count(SL_LSM_COUNT_BLOCKED);
  constexpr int kOpens = 40000;  // of more than 100 bytes each: the ring has 4 MiB
  EXPECT_EQ(Run([&] {
              for (int i = 0; i < kOpens; ++i) {
                if (OpenError(Path("hit")) != EPERM) return 90;
                if (i % 1000 == 0 && OpenError(Path("twin")) != 0) return 91;
              }
              return 0;
            }),
            0);
  EXPECT_EQ(Count(SL_LSM_COUNT_BLOCKED) - blocked, static_cast<std::uint64_t>(kOpens));
  const std::uint64_t now_lost = Count(SL_LSM_COUNT_LOST) - lost;
  EXPECT_GT(now_lost, 0U);
  EXPECT_EQ(fixture().Take().size() + now_lost, static_cast<std::size_t>(kOpens));
}

TEST_F(LsmHold, CountsOutliveAReplacement) {
  const std::uint64_t before = Count(SL_LSM_COUNT_BLOCKED);
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(Apply({BlockHit()}).ok());
    EXPECT_EQ(Run([&] { return OpenError(Path("hit")); }), EPERM);
    EXPECT_EQ(Count(SL_LSM_COUNT_BLOCKED) - before, static_cast<std::uint64_t>(i));
  }
}

// The file is blocked by each of two policies in another way, and so it is while one replaces the other.
TEST_F(LsmHold, AChangeIsOneStep) {
  const auto one = ParseLsm({BlockHit()});
  const auto other = ParseLsm({"{file: {matchPatterns: [{pattern: '" + directory().path() + "/h*'}]}}",
                               "{file: {matchDirectories: [{dir: " + directory().path() + "/}]}, action: Allow}"});
  ASSERT_TRUE(fixture().Apply(one, {}).ok());
  std::atomic<bool> ended = false;
  std::thread changes([&] {
    for (int i = 0; i < 60; ++i) EXPECT_TRUE(fixture().Apply(i % 2 ? one : other, {}).ok());
    ended = true;
  });
  int children = 0;
  for (; !ended || children == 0; ++children) {
    EXPECT_EQ(Run([&] {
                for (int i = 0; i < 300; ++i) {
                  if (OpenError(Path("hit")) != EPERM) return 90;
                  if (OpenError(Path("twin")) != 0) return 91;
                }
                return 0;
              }),
              0);
    fixture().Take();
  }
  changes.join();
}

// Rules with allowedArgs, also for a program that a script names.
TEST_F(LsmHold, ArgumentsOfScripts) {
  directory().Copy("/usr/bin/true", "interpreter");
  directory().Write("script", "#!" + Path("interpreter") + " -x\n", 0755);
  ASSERT_TRUE(Apply({"{process: {matchPaths: [{path: " + Path("interpreter") + ", allowedArgs: [-x, " + Path("script") +
                     ", good]}]}}"})
                  .ok());
  EXPECT_EQ(Run([&] { return ExecError({Path("script"), "good"}); }), 0);
  EXPECT_EQ(Seen(), "");
  // The program that should not have begun is killed before its first instruction.
  EXPECT_EQ(Run([&] { return ExecError({Path("script"), "bad"}); }), -SIGKILL);
  const auto records = fixture().Take();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(fixture().Describe(records[0]), "execute Block spec.process.matchPaths[0] " + Path("interpreter"));
  EXPECT_TRUE(records[0].event.flags & SL_LSM_EVENT_KILLED);
  EXPECT_EQ(records[0].arguments, Path("interpreter") + '\0' + "-x" + '\0' + Path("script") + '\0' + "bad" + '\0');
  EXPECT_EQ(Run([&] { return ExecError({Path("interpreter"), std::string(105, 'a')}); }), EPERM) << "too long";
  EXPECT_EQ(Run([&] { return ExecError({Path("interpreter")}); }), EPERM) << "none";
  EXPECT_EQ(Run([&] { return ExecError({Path("interpreter"), "good"}); }), 0);
}

// Another thread changes the argument while it is judged: the program begins with the allowed one, or not at all.
TEST_F(LsmHold, ArgumentsAreThoseThatTheProgramGets) {
  constexpr int kRefused = 77;
  directory().Copy("/usr/bin/test", "check");  // returns 1 if its argument is empty
  ASSERT_TRUE(Apply({"{process: {matchPaths: [{path: " + Path("check") + ", allowedArgs: [good]}]}}"}).ok());
  int refused = 0;
  for (int i = 0; i < 20; ++i) {
    const int result = Run([&] {
      static volatile char argument[8] = "good";
      std::thread writer([] {
        for (;;) {
          argument[0] = '\0';
          argument[0] = 'g';
        }
      });
      writer.detach();
      const std::string program = Path("check");
      char* const arguments[] = {const_cast<char*>(program.c_str()), const_cast<char*>(argument), nullptr};
      return ErrorOf(execv(program.c_str(), arguments)) == EPERM ? kRefused : 90;
    });
    EXPECT_TRUE(result == 0 || result == kRefused || result == -SIGKILL) << result;
    refused += result == 0 ? 0 : 1;
  }
  RecordProperty("refused", refused);
}

class LsmAgents : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForLsm(); !missing.empty()) GTEST_SKIP() << missing;
    hit_ = directory_.Write("hit", "text\n", 0644);
    twin_ = directory_.Write("twin", "text\n", 0644);
  }
  StatusOr<std::unique_ptr<lsm::LsmStore>> Start(const std::string& pins, const std::string& blocked) {
    SL_ASSIGN_OR_RETURN(auto store, lsm::LsmStore::Create({.pin_root = pins}));
    SL_RETURN_IF_ERROR(store->SetSubjects({{.key = "w", .cgroups = {cgroup_.id()}, .netns = {}}}));
    const auto policies = ParseLsm({"{file: {matchPaths: [{path: " + blocked + "}]}}"});
    SL_ASSIGN_OR_RETURN(auto compiled,
                        policy::lsm::Compile({{.key = "w", .policies = policies, .postures = {}}}, {.seed = 9}));
    SL_RETURN_IF_ERROR(store->Replace(std::move(compiled)));
    return store;
  }
  int OpenIn(const std::string& path) {
    return WEXITSTATUS(Reap(Fork([&] {
      cgroup_.Enter();
      _exit(OpenError(path));
    })));
  }

  TempDir directory_;
  Cgroup cgroup_;
  std::string hit_, twin_;
};

TEST_F(LsmAgents, ADeadAgentStillEnforcesAndTheNextOneTakesOver) {
  const BpfMount pins;
  auto first = Start(pins.path(), hit_);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_GT((*first)->bytes(), 0U);
  EXPECT_EQ(OpenIn(hit_), EPERM);
  first->reset();
  EXPECT_EQ(OpenIn(hit_), EPERM) << "without an agent";
  EXPECT_EQ(OpenIn(twin_), 0);
  auto second = Start(pins.path(), twin_);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(OpenIn(hit_), EPERM) << "until the new one ends the old one";
  EXPECT_EQ(OpenIn(twin_), EPERM);
  ASSERT_TRUE((*second)->EndOthers().ok());
  EXPECT_TRUE(Eventually([&] { return OpenIn(hit_) == 0; })) << "newer kernels end a program a moment later";
  EXPECT_EQ(OpenIn(twin_), EPERM);
  ASSERT_TRUE(bpf::ReleaseHooks(bpf::PinLayout(pins.path())).ok());
  second->reset();
  EXPECT_TRUE(Eventually([&] { return OpenIn(twin_) == 0; })) << "after an uninstall";
}

TEST(LsmKernel, WithoutLsmHooksAPolicyIsRefusedByName) {
  SL_REQUIRE_BPF();
  if (MissingForLsm().empty()) GTEST_SKIP() << "this kernel has LSM hooks for programs";
  auto store = lsm::LsmStore::Create({});
  ASSERT_TRUE(store.ok());
  const auto policies = ParseLsm({"{file: {matchPaths: [{path: /a}]}}"});
  const auto compiled = policy::lsm::Compile({{.key = "w", .policies = policies, .postures = {}}}, {.seed = 9});
  ASSERT_TRUE(compiled.ok()) << compiled.status();
  const Status refused = (*store)->Replace(*compiled);
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(Message(refused).find("bpf"), std::string::npos) << refused;
  EXPECT_FALSE((*store)->loaded());
  EXPECT_TRUE((*store)->Replace(std::make_shared<const policy::lsm::Compiled>()).ok());
}

}  // namespace
}  // namespace sluice::test
