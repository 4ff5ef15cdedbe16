// With real processes, and records of them as the sensors send them.
#include "ctrl/respond/killer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <memory>

#include "ctrl/respond/process_handle.h"
#include "tests/unit/respond/child.h"

namespace sluice::respond {
namespace {

using telemetry::ProcessInstance;
using testing::HasSubstr;

constexpr std::uint64_t kTick = 10'000'000;  // ns

bool Any(const ProcessInstance&) { return true; }

class KillerTest : public testing::Test {
 protected:
  Killer Make(std::vector<std::uint32_t> never = {}) {
    return Killer(
        {.tree = &tree_, .catch_up = [this] { catch_up_(); }, .kill = KillByDescriptor, .never = std::move(never)});
  }
  std::string IdOf(const ProcessInstance& instance) const { return telemetry::ExecId("n1", instance); }

  telemetry::ProcessTree tree_;
  std::function<void()> catch_up_ = [] {};
};

TEST_F(KillerTest, EndsOneProcess) {
  Child child, other;
  const ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  AddTo(tree_, other.pid(), 2, 1);
  const Killer killer = Make();
  const auto found = killer.Find(instance.pid, IdOf(instance));
  ASSERT_TRUE(found.has_value());
  const auto killed = killer.Kill(*found);
  EXPECT_TRUE(killed.status.ok()) << killed.status;
  ASSERT_EQ(killed.processes.size(), 1U);
  EXPECT_EQ(child.Signal(), SIGKILL);
  EXPECT_TRUE(other.IsAlive());
}

TEST_F(KillerTest, ANumberThatAnotherProcessHasIsNotHit) {
  Child child;
  ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  instance.birth_ns -= 3 * kTick;
  const auto killed = Make().Kill(instance);
  EXPECT_TRUE(killed.status.ok()) << killed.status << "it has ended, which is what was wanted";
  EXPECT_TRUE(killed.processes.empty());
  EXPECT_TRUE(child.IsAlive());
  const auto handle = ProcessHandle::Open(instance.pid, instance.birth_ns);
  EXPECT_TRUE(absl::IsNotFound(handle.status())) << handle.status();
  EXPECT_THAT(Message(handle.status()), HasSubstr("another one has its number"));
}

TEST_F(KillerTest, WhatHasEndedIsNotHit) {
  ProcessInstance instance;
  {
    Child child;
    instance = AddTo(tree_, child.pid(), 1);
  }
  const auto killed = Make().Kill(instance);
  EXPECT_TRUE(killed.status.ok()) << killed.status;
  EXPECT_TRUE(killed.processes.empty());
}

TEST_F(KillerTest, AZombieCountsAsEnded) {
  Child child;
  const ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  kill(child.pid(), SIGKILL);
  siginfo_t info{};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT), 0);
  EXPECT_TRUE(Make().Kill(instance).processes.empty());
}

TEST_F(KillerTest, AnEventFromBeforeAnExecNamesTheSameProcess) {
  Child child;
  const ProcessInstance before = AddTo(tree_, child.pid(), 1);
  const auto exec = telemetry::DecodeProcessRecord(telemetry::ExecBytes({.id = 2,
                                                                         .pid = before.pid,
                                                                         .start_ns = before.birth_ns + 5,
                                                                         .birth_ns = before.birth_ns,
                                                                         .time_ns = before.birth_ns + 5,
                                                                         .previous = 1},
                                                                        "/bin/a", "a\0", ""));
  ASSERT_TRUE(exec.ok()) << exec.status();
  ASSERT_TRUE(tree_.Apply(*exec).has_value());
  const auto found = Make().Find(before.pid, IdOf(before));
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->id, 2U);
}

TEST_F(KillerTest, AnEventOfAnEarlierProcessWithTheNumberFindsNothing) {
  Child child;
  const ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  const Killer killer = Make();
  EXPECT_FALSE(killer.Find(instance.pid, fmt::format("n1:{}:{}", instance.pid, instance.start_ns - 1)).has_value());
  EXPECT_FALSE(killer.Find(instance.pid, "").has_value());
  EXPECT_FALSE(killer.Find(instance.pid + 1, IdOf(instance)).has_value());
  EXPECT_FALSE(Killer(Killer::Sources{}).Find(instance.pid, IdOf(instance)).has_value());
}

TEST_F(KillerTest, TheAgentItsHelperAndTheFirstProcessAreNeverEnded) {
  Child child;
  const ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  const auto killed = Make({instance.pid}).Kill(instance);
  EXPECT_TRUE(absl::IsPermissionDenied(killed.status)) << killed.status;
  EXPECT_TRUE(child.IsAlive());
  ProcessInstance first = instance;
  first.pid = 1;
  EXPECT_TRUE(absl::IsPermissionDenied(Make().Kill(first).status));
  ProcessInstance kernel = instance;
  kernel.flags |= SL_PROCESS_KERNEL_THREAD;
  EXPECT_TRUE(absl::IsPermissionDenied(Make().Kill(kernel).status));
}

TEST_F(KillerTest, ATreeIsEndedWithoutItsParentsAndSiblings) {
  Child parent, root, child, grandchild, sibling;
  AddTo(tree_, parent.pid(), 1);
  const ProcessInstance instance = AddTo(tree_, root.pid(), 2, 1);
  AddTo(tree_, child.pid(), 3, 2);
  AddTo(tree_, grandchild.pid(), 4, 3);
  AddTo(tree_, sibling.pid(), 5, 1);
  const auto killed = Make().KillTree(instance, Any);
  EXPECT_TRUE(killed.status.ok()) << killed.status;
  EXPECT_EQ(killed.processes.size(), 3U);
  EXPECT_EQ(killed.processes.front().pid, instance.pid) << "the root first, so that it forks no more";
  for (Child* one : {&root, &child, &grandchild}) EXPECT_EQ(one->Signal(), SIGKILL);
  EXPECT_TRUE(parent.IsAlive());
  EXPECT_TRUE(sibling.IsAlive());
}

TEST_F(KillerTest, WhatWasForkedMeanwhileIsFoundToo) {
  Child root, child, late;
  const ProcessInstance instance = AddTo(tree_, root.pid(), 2);
  AddTo(tree_, child.pid(), 3, 2);
  int searches = 0;
  catch_up_ = [&] {
    if (++searches == 2) AddTo(tree_, late.pid(), 4, 3);
  };
  EXPECT_EQ(Make().KillTree(instance, Any).processes.size(), 3U);
  EXPECT_EQ(late.Signal(), SIGKILL);
  EXPECT_EQ(searches, 3);
}

TEST_F(KillerTest, ATreeEndsWhereItMayNotGoOn) {
  Child root, own, foreign;
  const ProcessInstance instance = AddTo(tree_, root.pid(), 2);
  AddTo(tree_, own.pid(), 3, 2);
  const ProcessInstance other = AddTo(tree_, foreign.pid(), 4, 2);
  const auto killed =
      Make().KillTree(instance, [&](const ProcessInstance& process) { return process.pid != other.pid; });
  EXPECT_EQ(killed.processes.size(), 2U);
  EXPECT_TRUE(foreign.IsAlive());
}

TEST_F(KillerTest, ARefusalIsTold) {
  Child child;
  const ProcessInstance instance = AddTo(tree_, child.pid(), 1);
  const Killer killer({.tree = &tree_, .kill = [](int) { return ErrnoError(EPERM, "send SIGKILL"); }});
  const auto killed = killer.Kill(instance);
  EXPECT_TRUE(absl::IsPermissionDenied(killed.status)) << killed.status;
  EXPECT_TRUE(killed.processes.empty());
}

}  // namespace
}  // namespace sluice::respond
