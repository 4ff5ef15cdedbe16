// NotifyEnforcer and the enforcer's calls.
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

class Enforcer : public HookTest {
 protected:
  // On the tracepoint of all system calls, for dup and dup2 of this thread's child; the enforcer is on `calls`.
  Status ApplyWith(const std::string& action, const std::string& calls) {
    return fixture().Apply(PolicyText(
        "enforcer",
        fmt::format("{{lists: [{{name: calls, type: syscalls, values: [sys_dup, sys_dup2]}}], enforcers: [{{calls: "
                    "[{}]}}], tracepoints: [{{subsystem: raw_syscalls, event: sys_enter, args: [{{index: 4, type: "
                    "uint64}}], selectors: [{{matchPIDs: [{{operator: In, followForks: true, values: [{}]}}], "
                    "matchArgs: [{{index: 4, operator: InMap, values: [\"{}:{}\"]}}], matchActions: [{}]}}]}}]}}",
                    calls, getpid(), SYS_dup, SYS_dup2, action)));
  }
  static int StatusOf(const std::function<void()>& call) {
    return Reap(Fork([&] {
      call();
      _exit(0);
    }));
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(Enforcer);

void Dup() { close(dup(2)); }
void Dup2() { dup2(2, 77); }

TEST_P(Enforcer, DoesOnItsCallsWhatIsLeftForIt) {
  const Status applied = ApplyWith("{action: NotifyEnforcer, argSig: 9}", "sys_dup");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOf([] {}), 0);
  EXPECT_EQ(StatusOf(Dup2), 0) << "no call of the enforcer";
  EXPECT_EQ(StatusOf(Dup), kKilled);
  EXPECT_EQ(fixture().Count("enforcer", SL_HOOK_COUNT_SIGNALLED), 1U);
  const auto record = fixture().WaitFor([](const HookRecord& one) { return one.Did(SL_HOOK_ACTION_NOTIFY_ENFORCER); });
  EXPECT_TRUE(record.ok()) << record.status();
}

// What is left stays for the thread until one of the calls takes it.
TEST_P(Enforcer, WhatIsLeftWaitsForACall) {
  const Status applied = ApplyWith("{action: NotifyEnforcer, argSig: 9}", "sys_getppid");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOf(Dup), 0);
  EXPECT_EQ(StatusOf([] { getppid(); }), 0);
  EXPECT_EQ(StatusOf([] {
              Dup();
              getppid();
            }),
            kKilled);
}

TEST_P(Enforcer, AListOfCalls) {
  const Status applied = ApplyWith("{action: NotifyEnforcer, argSig: 9}", "\"list:calls\"");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOf(Dup), kKilled);
  EXPECT_EQ(StatusOf(Dup2), kKilled);
}

TEST_P(Enforcer, MonitorModeLeavesNothing) {
  const std::string action = "{action: NotifyEnforcer, argSig: 9}";
  ASSERT_TRUE(ApplyWith(action, "sys_dup").ok());
  ASSERT_TRUE(fixture().tables().SetState({.ns = "", .name = "enforcer"}, {.monitor = true}).ok());
  EXPECT_EQ(StatusOf(Dup), 0);
  EXPECT_GT(fixture().Count("enforcer", SL_HOOK_COUNT_WOULD_ENFORCE), 0U);
}

TEST_P(Enforcer, WhatIsLeftCanBeTakenAway) {
  const Status applied = fixture().Apply(PolicyText(
      "enforcer",
      fmt::format("{{enforcers: [{{calls: [sys_getppid]}}], tracepoints: [{{subsystem: raw_syscalls, event: sys_enter, "
                  "args: [{{index: 4, type: uint64}}], selectors: [{{matchArgs: [{{index: 4, operator: Equal, values: "
                  "[{}]}}], matchPIDs: [{{operator: In, followForks: true, values: [{}]}}], matchActions: [{{action: "
                  "NotifyEnforcer, argSig: 9}}]}}, {{matchArgs: [{{index: 4, operator: Equal, values: [{}]}}], "
                  "matchActions: [{{action: CleanupEnforcerNotification}}]}}]}}]}}",
                  SYS_dup, getpid(), SYS_dup2)));
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOf([] {
              Dup();
              Dup2();
              getppid();
            }),
            0);
  EXPECT_EQ(StatusOf([] {
              Dup();
              getppid();
            }),
            kKilled);
}

// Each hook that is new on the tracepoint of all system calls comes behind the programs that see them, which then have
// to be attached anew.
TEST_P(Enforcer, RunsAfterEachHookThatIsNewOnTheTracepoint) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("stays", "matchActions: [{action: Sigkill}]")).ok());
  for (int round = 0; round < 3; ++round) {
    const Status applied = ApplyWith("{action: NotifyEnforcer, argSig: 9}", "sys_dup");
    ASSERT_TRUE(applied.ok()) << round << ": " << applied;
    EXPECT_EQ(StatusOf(Dup), kKilled) << round;
    EXPECT_EQ(StatusOf(Dup2), 0) << round;
    EXPECT_EQ(StatusOfOpen(file()), kKilled) << round;
    const Status removed = fixture().tables().Remove({.ns = "", .name = "enforcer"});
    ASSERT_TRUE(removed.ok()) << round << ": " << removed;
    EXPECT_EQ(StatusOf(Dup), 0) << round;
    EXPECT_EQ(StatusOfOpen(file()), kKilled) << round;
  }
}

// As many threads as a hostile workload likes leave something: none of them can make the kernel forget another one's.
TEST_P(Enforcer, WhatIsLeftForOneThreadIsNotForgottenForOthers) {
  constexpr int kOthers = 1500;
  const Status applied = ApplyWith("{action: NotifyEnforcer, argSig: 9}", "sys_getppid");
  ASSERT_TRUE(applied.ok()) << applied;
  EXPECT_EQ(StatusOf([] {
              Dup();
              std::vector<std::thread> others;
              std::atomic<int> left = 0;
              std::atomic<bool> end = false;
              for (int i = 0; i < kOthers; ++i) {
                others.emplace_back([&] {
                  Dup();
                  left.fetch_add(1);
                  end.wait(false);
                });
              }
              while (left < kOthers) sched_yield();
              getppid();  // does not return
              end = true;
              end.notify_all();
              for (std::thread& other : others) other.join();
            }),
            kKilled);
}

// One more than the kernel keeps for a thread: what cannot be left is done at once.
TEST_P(Enforcer, MorePoliciesThanAThreadHasRoomForFailClosed) {
  constexpr int kRoom = 8;
  const auto apply = [&](int number) {
    return fixture().Apply(PolicyText(
        fmt::format("enforcer-{}", number),
        fmt::format("{{enforcers: [{{calls: [sys_getppid]}}], tracepoints: [{{subsystem: raw_syscalls, event: "
                    "sys_enter, args: [{{index: 4, type: uint64}}], selectors: [{{matchPIDs: [{{operator: In, "
                    "followForks: true, values: [{}]}}], matchArgs: [{{index: 4, operator: Equal, values: [{}]}}], "
                    "matchActions: [{{action: NotifyEnforcer, argSig: 9}}]}}]}}]}}",
                    getpid(), SYS_dup)));
  };
  for (int i = 0; i < kRoom; ++i) ASSERT_TRUE(apply(i).ok()) << i;
  // The place of a policy that has ended is free, also for a thread for which it had left something.
  Arrival left;
  Gate changed;
  const pid_t child = Fork([&] {
    Dup();
    if (write(left.fd(), "x", 1) != 1) _exit(1);
    changed.Wait();
    Dup();
    _exit(0);
  });
  ASSERT_TRUE(left.Wait());
  ASSERT_TRUE(fixture().tables().Remove({.ns = "", .name = "enforcer-0"}).ok());
  ASSERT_TRUE(apply(kRoom).ok());
  changed.Open();
  EXPECT_EQ(Reap(child), 0);
  ASSERT_TRUE(apply(0).ok());
  EXPECT_EQ(StatusOf(Dup2), 0);
  EXPECT_EQ(StatusOf(Dup), kKilled);
}

}  // namespace
}  // namespace sluice::test
