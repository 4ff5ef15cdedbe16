#include "telemetry/process/process_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::telemetry {
namespace {

class ProcessTreeTest : public testing::Test {
 protected:
  std::optional<ProcessInstance> Apply(const std::string& bytes) {
    const auto record = DecodeProcessRecord(bytes);
    EXPECT_TRUE(record.ok()) << record.status();
    return tree_.Apply(*record);
  }
  void Exec(const Header& header, const std::string& binary) {
    Header execed = header;
    execed.flags |= SL_PROCESS_EXECED;
    Apply(ExecBytes(execed, binary, "x\0", ""));
  }
  std::string BinaryOf(std::uint32_t pid) {
    const auto instance = tree_.FindByPid(pid);
    return instance && instance->image ? instance->image->binary : "";
  }

  ProcessTree tree_{{.max_instances = 8, .max_image_bytes = 4096, .grace_ns = 100}};
};

TEST_F(ProcessTreeTest, AForkedChildRunsItsParentsProgram) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 1}, "/bin/zygote");
  const auto child = Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 8, .birth_ns = 8}));
  ASSERT_TRUE(child && child->image);
  EXPECT_EQ(child->image->binary, "/bin/zygote");
  EXPECT_EQ(*child->cgroup_path, "/pod");
  EXPECT_FALSE(child->incomplete);
}

TEST_F(ProcessTreeTest, AnExecEndsTheLifeBefore) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 1}, "/bin/sh");
  Exec({.id = 2, .pid = 10, .start_ns = 9, .birth_ns = 1, .previous = 1}, "/bin/ls");
  EXPECT_EQ(BinaryOf(10), "/bin/ls");
  EXPECT_EQ(tree_.Find(1)->end_ns, 9U);
  EXPECT_EQ(tree_.Ancestors(2).at(0).image->binary, "/bin/sh");
}

TEST_F(ProcessTreeTest, APidThatComesAgainIsAnotherProcess) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 1}, "/bin/a");
  const auto ended = Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 1, .time_ns = 20}, 9));
  ASSERT_TRUE(ended);
  EXPECT_FALSE(tree_.FindByPid(10));
  Apply(ForkBytes({.id = 2, .pid = 10, .start_ns = 30, .birth_ns = 30}));
  EXPECT_EQ(tree_.FindByPid(10)->id, 2U);
  EXPECT_EQ(tree_.Find(1)->image->binary, "/bin/a");
  EXPECT_EQ(tree_.Find(1)->wait_status, 9U);
}

TEST_F(ProcessTreeTest, APidThatComesAgainAfterALostExit) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 1}, "/bin/a");
  Apply(ForkBytes({.id = 3, .pid = 10, .start_ns = 30, .birth_ns = 30}));
  EXPECT_EQ(tree_.Find(1)->end_ns, 30U);
  EXPECT_FALSE(tree_.Find(1)->wait_status);
  EXPECT_EQ(BinaryOf(10), "");  // the fork's parent is unknown: no program instead of the old one
  EXPECT_TRUE(tree_.FindByPid(10)->incomplete);
}

// The instance that forked was evicted, and another process has its pid.
TEST_F(ProcessTreeTest, WhoWasBornLaterIsNobodysParent) {
  Apply(ForkBytes({.id = 3, .parent = 2, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  Header later{.id = 8, .pid = 20, .start_ns = 50, .birth_ns = 40};
  auto start = DecodeProcessRecord(ForkBytes({.id = 3, .parent = 2, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  start->start.header.parent_pid = 20;
  tree_.Apply(*start);
  Exec(later, "/bin/later");
  bool cut = false;
  EXPECT_TRUE(tree_.Ancestors(3, 32, &cut).empty());
  EXPECT_TRUE(cut);
  EXPECT_FALSE(tree_.LivingParent(3));
  Exec({.id = 9, .pid = 20, .start_ns = 60, .birth_ns = 4, .previous = 8}, "/bin/reaper");
  EXPECT_EQ(tree_.LivingParent(3), 20U) << "who was there before may have taken it over";
}

TEST_F(ProcessTreeTest, AnExitIsToldOnce) {
  Apply(ForkBytes({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  EXPECT_TRUE(Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 5, .time_ns = 9}, 0)));
  EXPECT_FALSE(Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 5, .time_ns = 9}, 0)));
  EXPECT_FALSE(Apply(ExitBytes({.id = 0, .pid = 10, .birth_ns = 5, .time_ns = 9}, 0)));
}

TEST_F(ProcessTreeTest, AnExitWithoutAnIdIsMatchedByBirth) {
  Apply(ForkBytes({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  EXPECT_FALSE(Apply(ExitBytes({.id = 0, .pid = 10, .birth_ns = 6, .time_ns = 9}, 0)));
  EXPECT_EQ(Apply(ExitBytes({.id = 0, .pid = 10, .birth_ns = 5, .time_ns = 9}, 0))->id, 1U);
}

TEST_F(ProcessTreeTest, AnExitAfterALostExecIsNotTheForksExit) {
  Apply(ForkBytes({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  const auto exit = Apply(ExitBytes({.id = 2, .pid = 10, .start_ns = 7, .birth_ns = 5, .time_ns = 9}, 0));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->id, 2U);
  EXPECT_TRUE(exit->incomplete);
  EXPECT_EQ(exit->image, nullptr);
  EXPECT_FALSE(tree_.FindByPid(10));
  EXPECT_FALSE(tree_.Find(1)->wait_status);
}

TEST_F(ProcessTreeTest, LateSeedsReviveNobody) {
  const auto seed = [](Header header) {
    header.event = SL_PROCESS_EVENT_SEED;
    return ExecBytes(header, "/bin/seed", "s\0", "");
  };
  Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 5, .time_ns = 9}, 0));
  Apply(seed({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}));
  EXPECT_FALSE(tree_.FindByPid(10));
  Exec({.id = 3, .pid = 11, .start_ns = 8, .birth_ns = 6, .previous = 2}, "/bin/new");
  Apply(seed({.id = 2, .pid = 11, .start_ns = 6, .birth_ns = 6}));
  EXPECT_EQ(BinaryOf(11), "/bin/new");
  Apply(seed({.id = 3, .pid = 11, .start_ns = 8, .birth_ns = 6}));
  EXPECT_EQ(BinaryOf(11), "/bin/new");
  EXPECT_EQ(tree_.Living().size(), 1U);
}

// For AddressSanitizer: the tree is full, and the only ended instance is the one that the event is about.
TEST_F(ProcessTreeTest, ALateExecIsToldAlsoWhereItMakesRoomForItsPredecessor) {
  for (std::uint32_t i = 0; i < 6; ++i) Apply(ForkBytes({.id = 11 + i, .pid = 21 + i, .start_ns = 2, .birth_ns = 2}));
  Exec({.id = 5, .pid = 10, .start_ns = 9, .birth_ns = 1, .previous = 4}, "/bin/newest");
  const auto late =
      Apply(ExecBytes({.id = 4, .pid = 10, .start_ns = 7, .birth_ns = 1, .flags = SL_PROCESS_EXECED, .previous = 3},
                      "/bin/late", "x\0", ""));
  ASSERT_TRUE(late && late->image);
  EXPECT_EQ(late->id, 4U);
  EXPECT_EQ(late->image->binary, "/bin/late");
  EXPECT_EQ(BinaryOf(10), "/bin/newest");
}

TEST_F(ProcessTreeTest, AnEndedLifeIsKeptForItsDescendantsAndForTheGrace) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 1}, "/bin/parent");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 8, .birth_ns = 8}));
  Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 1, .time_ns = 20}, 0));
  tree_.Expire(1000);
  EXPECT_EQ(tree_.Ancestors(2).at(0).image->binary, "/bin/parent");
  Apply(ExitBytes({.id = 2, .parent = 1, .pid = 11, .birth_ns = 8, .time_ns = 1000}, 0));
  tree_.Expire(1099);
  EXPECT_TRUE(tree_.Find(2));
  tree_.Expire(1100);
  EXPECT_FALSE(tree_.Find(2));
  EXPECT_FALSE(tree_.Find(1));
  EXPECT_EQ(tree_.stats().image_bytes, 0U);
}

TEST_F(ProcessTreeTest, MemoryIsBounded) {
  for (std::uint32_t i = 1; i <= 8; ++i) Exec({.id = i, .pid = i, .start_ns = i, .birth_ns = i}, "/bin/a");
  Exec({.id = 9, .pid = 9, .start_ns = 9, .birth_ns = 9}, "/bin/a");  // all live
  EXPECT_EQ(tree_.stats().instances, 8U);
  EXPECT_EQ(tree_.stats().refused, 1U);
  Apply(ExitBytes({.id = 3, .pid = 3, .birth_ns = 3, .time_ns = 20}, 0));
  Exec({.id = 10, .pid = 10, .start_ns = 10, .birth_ns = 10}, "/bin/a");
  EXPECT_TRUE(tree_.Find(10));
  EXPECT_FALSE(tree_.Find(3));
  EXPECT_EQ(tree_.stats().evicted, 1U);
}

TEST_F(ProcessTreeTest, AnEndlessChainOfForksIsBounded) {
  for (std::uint32_t i = 1; i <= 1000; ++i) {
    Apply(ForkBytes({.id = i, .parent = i - 1, .pid = i, .start_ns = i, .birth_ns = i}));
    if (i > 1) Apply(ExitBytes({.id = i - 1, .pid = i - 1, .birth_ns = i - 1, .time_ns = i}, 0));
  }
  EXPECT_LE(tree_.stats().instances, 8U);
  EXPECT_TRUE(tree_.FindByPid(1000));
  EXPECT_EQ(tree_.Ancestors(1000).size(), tree_.stats().instances - 1);
}

TEST_F(ProcessTreeTest, ASeedingEndsThoseThatItDidNotFind) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}, "/bin/stays");
  Exec({.id = 2, .pid = 11, .start_ns = 5, .birth_ns = 5}, "/bin/gone");
  for (const bool complete : {false, true}) {
    tree_.BeginSeed(50);
    Apply(ExecBytes({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5, .event = SL_PROCESS_EVENT_SEED}, "/bin/stays",
                    "s\0", ""));
    Exec({.id = complete ? 4U : 3U, .pid = 12, .start_ns = 60, .birth_ns = 60}, "/bin/new");
    tree_.EndSeed(70, complete);
    EXPECT_TRUE(tree_.FindByPid(10));
    EXPECT_TRUE(tree_.FindByPid(12));
    EXPECT_EQ(tree_.FindByPid(11).has_value(), !complete);
  }
}

// The iterator reports changes without an event (setuid, setns, another cgroup).
TEST_F(ProcessTreeTest, ASeedTellsWhatHasChanged) {
  Exec({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5}, "/bin/a");
  std::string bytes =
      ExecBytes({.id = 1, .pid = 10, .start_ns = 5, .birth_ns = 5, .cgroup = 7, .event = SL_PROCESS_EVENT_SEED},
                "/bin/other", "s\0", "");
  auto& start = *reinterpret_cast<sl_process_start*>(bytes.data());
  start.uid = start.euid = 33;
  start.capabilities = 1;
  start.namespaces.net = 4711;
  Apply(bytes);
  const auto instance = tree_.FindByPid(10);
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->uid, 33U);
  EXPECT_EQ(instance->effective_uid, 33U);
  EXPECT_EQ(instance->capabilities, 1U);
  EXPECT_EQ(instance->namespaces.net, 4711U);
  EXPECT_EQ(instance->cgroup, 7U);
  EXPECT_EQ(instance->image->binary, "/bin/a") << "that does not change without an event";
}

// Two workloads, each in its own cgroup.
class ProcessTreeShares : public testing::Test {
 protected:
  static constexpr std::uint64_t kFlood = 1, kOther = 2, kNobodys = 3;

  ProcessTreeShares() {
    options_.max_instances = 16;
    options_.max_image_bytes = 16384;
    options_.owner = [this](const ProcessInstance& instance) {
      const bool known = instance.cgroup == kFlood || (instance.cgroup == kOther && known_);
      return policy::ObjectName{.ns = "", .name = known ? std::to_string(instance.cgroup) : ""};
    };
  }
  void Apply(const std::string& bytes) { tree_->Apply(*DecodeProcessRecord(bytes)); }
  void Fork(sl_process_id id, sl_process_id parent, std::uint64_t cgroup) {
    const auto pid = static_cast<std::uint32_t>(id);
    Apply(ForkBytes({.id = id, .parent = parent, .pid = pid, .start_ns = id, .birth_ns = id, .cgroup = cgroup}));
  }
  template <std::size_t N = 2>
  void Exec(sl_process_id id, std::uint64_t cgroup, const std::string& binary, const char (&arguments)[N] = "x") {
    Apply(ExecBytes({.id = id,
                     .pid = static_cast<std::uint32_t>(id),
                     .start_ns = id,
                     .birth_ns = id,
                     .flags = SL_PROCESS_EXECED,
                     .cgroup = cgroup},
                    binary, arguments, ""));
  }
  void Exit(sl_process_id id, std::uint64_t cgroup) {
    const auto pid = static_cast<std::uint32_t>(id);
    Apply(ExitBytes({.id = id, .pid = pid, .birth_ns = id, .time_ns = id + 1, .cgroup = cgroup}, 0));
  }
  // /bin/shell (ended) started /bin/job (ended), which started a worker and another process that has ended.
  void StartOther() {
    Exec(1, kOther, "/bin/shell");
    Fork(2, 1, kOther);
    Exit(1, kOther);
    Fork(3, 2, kOther);
    Exit(2, kOther);
    Exec(4, kOther, "/bin/ended");
    Exit(4, kOther);
  }
  void ExpectOtherIsWhole() {
    EXPECT_TRUE(tree_->FindByPid(3));
    EXPECT_EQ(tree_->Ancestors(3).size(), 2U);
    EXPECT_TRUE(tree_->Find(4)) << "its flows are still in the table";
    EXPECT_LE(tree_->stats().instances, 16U);
  }

  ProcessTree::Options options_;
  bool known_ = true;  // kOther's workload is known
  std::optional<ProcessTree> tree_;
};

TEST_F(ProcessTreeShares, AFloodOfShortOnesIsNotOthersLoss) {
  tree_.emplace(options_);
  StartOther();
  for (sl_process_id id = 100; id < 1100; ++id) {
    Exec(id, kFlood, "/bin/true");
    Exit(id, kFlood);
  }
  ExpectOtherIsWhole();
  EXPECT_TRUE(tree_->Find(1099)) << "the flood's own oldest goes";
}

TEST_F(ProcessTreeShares, AFloodOfLivingOnesIsNotOthersLoss) {
  tree_.emplace(options_);
  StartOther();
  for (sl_process_id id = 100; id < 200; ++id) Fork(id, id == 100 ? 0 : 100, kFlood);
  ExpectOtherIsWhole();
  EXPECT_TRUE(tree_->FindByPid(100)) << "the flood's own newest are not kept";
  EXPECT_FALSE(tree_->FindByPid(199));
  EXPECT_NE(tree_->stats().refused, 0U);
}

// Earlier processes have no priority for room.
TEST_F(ProcessTreeShares, WhoComesAfterAFloodFindsRoom) {
  tree_.emplace(options_);
  for (sl_process_id id = 100; id < 200; ++id) Fork(id, 0, kFlood);
  for (sl_process_id id = 1000; id < 1007; ++id) Fork(id, 0, kOther);
  for (std::uint32_t pid = 1000; pid < 1007; ++pid) EXPECT_TRUE(tree_->FindByPid(pid)) << pid;
  EXPECT_FALSE(tree_->FindByPid(115)) << "the flood's newest gave way";
  EXPECT_EQ(tree_->stats().instances, 16U);
  Exit(115, kFlood);
  EXPECT_FALSE(tree_->FindByPid(115)) << "nor does its end bring it back";
  Exit(100, kFlood);
  Fork(1007, 0, kOther);
  EXPECT_TRUE(tree_->FindByPid(1007)) << "in an ended one's place";
}

// A workload is often applied after its first process has started.
TEST_F(ProcessTreeShares, WhoseWorkloadBecomesKnownHasItsShare) {
  known_ = false;
  tree_.emplace(options_);
  for (sl_process_id id = 1; id <= 6; ++id) {
    Exec(id, kOther, "/bin/job");
    Exit(id, kOther);
  }
  known_ = true;
  for (sl_process_id id = 100; id < 200; ++id) {
    Exec(id, kNobodys, "/bin/true");
    Exit(id, kNobodys);
  }
  for (sl_process_id id = 1; id <= 6; ++id) EXPECT_TRUE(tree_->Find(id)) << id;
}

TEST_F(ProcessTreeShares, TextOfAFloodIsNotOthersLoss) {
  options_.max_instances = 1000;
  tree_.emplace(options_);
  for (sl_process_id id = 100; id < 400; ++id)
    Exec(id, kFlood, "/bin/" + std::string(500, 'x'), "x\0--some=argument\0");
  EXPECT_NE(tree_->stats().arguments_left, 0U);
  EXPECT_LE(tree_->stats().image_bytes, 16384U) << "long paths too";
  Exec(1, kOther, "/bin/other", "o\0--of=the other\0");
  const auto other = tree_->FindByPid(1);
  ASSERT_TRUE(other && other->image);
  EXPECT_EQ(other->image->binary, "/bin/other");
  EXPECT_EQ(other->image->arguments.size(), 1U);
  EXPECT_EQ(other->flags & SL_PROCESS_ARGUMENTS_TRUNCATED, 0U);
  const auto newest = tree_->FindByPid(399);
  ASSERT_TRUE(newest);
  EXPECT_EQ(newest->image, nullptr) << "what does not fit is absent";
}

class LargeProcessTreeTest : public ProcessTreeTest {
 protected:
  void SetUp() override {
    Exec({.id = 1, .pid = 1, .start_ns = 1, .birth_ns = 1}, "/sbin/init");
    Apply(ForkBytes({.id = 2, .parent = 1, .pid = 10, .start_ns = 2, .birth_ns = 2}));
  }
  void Apply(const std::string& bytes) { large_.Apply(*DecodeProcessRecord(bytes)); }
  void Exec(Header header, const std::string& binary) {
    header.flags |= SL_PROCESS_EXECED;
    Apply(ExecBytes(header, binary, "x\0", ""));
  }
  ProcessTree large_;
};

TEST_F(LargeProcessTreeTest, AProcessThatExecutesItselfKeepsItsParent) {
  for (sl_process_id id = 3; id < 103; ++id)
    Exec({.id = id, .parent = 1, .pid = 10, .start_ns = id, .birth_ns = 2, .previous = id - 1}, "/bin/daemon");
  EXPECT_EQ(large_.LivingParent(102), 1U);
  bool cut = true;
  const auto ancestors = large_.Ancestors(102, 32, &cut);
  ASSERT_EQ(ancestors.size(), 1U) << "a program that executed itself is there once";
  EXPECT_EQ(ancestors[0].image->binary, "/sbin/init");
  EXPECT_FALSE(cut);
}

TEST_F(LargeProcessTreeTest, AnAncestryThatIsTooLongIsSaidToBe) {
  for (sl_process_id id = 3; id < 103; ++id)
    Exec({.id = id, .parent = 1, .pid = 10, .start_ns = id, .birth_ns = 2, .previous = id - 1},
         id % 2 == 0 ? "/bin/a" : "/bin/b");
  bool cut = false;
  EXPECT_EQ(large_.Ancestors(102, 32, &cut).size(), 32U);
  EXPECT_TRUE(cut);
  EXPECT_EQ(large_.LivingParent(102), 1U);
}

// After a restart of the agent: the daemon's parent ended while no agent ran.
TEST_F(LargeProcessTreeTest, AParentThatNobodyKnowsIsSaidToBeMissing) {
  std::string bytes =
      ExecBytes({.id = 50, .parent = 40, .pid = 20, .start_ns = 5, .birth_ns = 5, .event = SL_PROCESS_EVENT_SEED},
                "/bin/daemon", "x\0", "");
  reinterpret_cast<sl_process_start*>(bytes.data())->header.parent_pid = 1;
  Apply(bytes);
  bool cut = false;
  const auto ancestors = large_.Ancestors(50, 32, &cut);
  ASSERT_EQ(ancestors.size(), 1U);
  EXPECT_EQ(ancestors[0].image->binary, "/sbin/init") << "who would reap it now";
  EXPECT_TRUE(cut);
  EXPECT_EQ(large_.LivingParent(50), 1U);
}

TEST_F(LargeProcessTreeTest, TheScriptThatEnvRuns) {
  const Header env{
      .id = 3, .parent = 1, .pid = 10, .start_ns = 3, .birth_ns = 2, .flags = SL_PROCESS_EXECED, .previous = 2};
  Apply(ExecBytes(env, "/usr/bin/env", "env\0python3\0", "/srv/job"));
  Exec(
      {.id = 4, .parent = 1, .pid = 10, .start_ns = 4, .birth_ns = 2, .flags = SL_PROCESS_SCRIPT_BY_ENV, .previous = 3},
      "/usr/bin/python3");
  EXPECT_EQ(large_.Find(4)->image->script, "/srv/job");
  Exec({.id = 5, .parent = 1, .pid = 10, .start_ns = 5, .birth_ns = 2, .previous = 4}, "/bin/ls");
  EXPECT_EQ(large_.Find(5)->image->script, "");
}

TEST(ProcessInstance, ContainerId) {
  const std::string id(64, 'a');
  EXPECT_EQ(ContainerId("/kubepods/pod1/" + id), id);
  EXPECT_EQ(ContainerId("/system.slice/docker-" + id + ".scope"), id);
  EXPECT_EQ(ContainerId("/x/cri-containerd-" + id + ".scope/init.scope"), id);
  EXPECT_EQ(ContainerId("/x/crio-conmon-" + id + ".scope"), "");
  EXPECT_EQ(ContainerId("/x/" + id + "a"), "");
  EXPECT_EQ(ContainerId("/user.slice"), "");
  EXPECT_EQ(ContainerId(""), "");
}

TEST(ProcessInstance, ExecId) {
  ProcessInstance instance;
  instance.pid = 42;
  instance.start_ns = 123456789;
  EXPECT_EQ(ExecId("node-1", instance), "node-1:42:123456789");
}

}  // namespace
}  // namespace sluice::telemetry
