// Fork, exec and exit in every order that a kernel allows, and the resulting ancestors.
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>

#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

using testing::ElementsAre;

class InstanceTest : public SensorTest {
 protected:
  // The exit event of a reaped child, compared with the result of wait(2).
  v1::Exit Ended(pid_t child) {
    const int status = Reap(child);
    const auto exit = fixture().WaitForExit(child);
    EXPECT_TRUE(exit.ok()) << exit.status();
    if (!exit.ok()) return {};
    EXPECT_EQ(exit->has_exit_code(), WIFEXITED(status));
    if (WIFEXITED(status)) {
      EXPECT_EQ(exit->exit_code(), static_cast<unsigned>(WEXITSTATUS(status)));
    }
    if (WIFSIGNALED(status)) {
      EXPECT_EQ(exit->signal(), std::string("SIG") + sigabbrev_np(WTERMSIG(status)));
      EXPECT_EQ(exit->core_dumped(), WCOREDUMP(status) != 0);
    }
    return *exit;
  }
  std::string OwnExecId() {
    const auto self = fixture().tree().FindByPid(static_cast<std::uint32_t>(getpid()));
    return self ? telemetry::ExecId("node-1", *self) : "";
  }
  // The events of `pid` since the last call.
  std::vector<std::string> StoryOf(pid_t pid) {
    std::vector<std::string> story;
    const auto events = fixture().Settle();
    EXPECT_TRUE(events.ok()) << events.status();
    for (const v1::Event& event : *events) {
      const auto is = [pid](const v1::Process& process) { return process.pid() == static_cast<std::uint32_t>(pid); };
      if (event.has_fork() && is(event.fork().process())) story.emplace_back("fork");
      if (event.has_exec() && is(event.exec().process())) story.push_back("exec " + event.exec().process().binary());
      if (event.has_exit() && is(event.exit().process())) story.emplace_back("exit");
    }
    return story;
  }
};

TEST_P(InstanceTest, ForkExecExit) {
  const pid_t child = Spawn(True(), {"true"});
  const auto fork = fixture().WaitForFork(child);
  const auto exec = fixture().WaitForExec(child);
  ASSERT_TRUE(fork.ok() && exec.ok()) << fork.status() << exec.status();
  const v1::Exit exit = Ended(child);
  EXPECT_EQ(fork->process().parent_exec_id(), OwnExecId());
  EXPECT_EQ(fork->process().binary(), Self());
  EXPECT_EQ(exec->process().parent_exec_id(), OwnExecId());
  EXPECT_EQ(exec->process().previous_exec_id(), fork->process().exec_id());
  EXPECT_EQ(exec->process().ancestors(0), Self());
  EXPECT_EQ(exit.process().exec_id(), exec->process().exec_id());
  EXPECT_EQ(exit.process().binary(), True());
  EXPECT_GT(exit.duration().nanos() + exit.duration().seconds(), 0);
}

TEST_P(InstanceTest, ForkWithoutExec) {
  const pid_t child = Fork([] { _exit(7); });
  const auto fork = fixture().WaitForFork(child);
  ASSERT_TRUE(fork.ok()) << fork.status();
  const v1::Exit exit = Ended(child);
  EXPECT_EQ(exit.exit_code(), 7U);
  EXPECT_EQ(exit.process().exec_id(), fork->process().exec_id());
  EXPECT_EQ(exit.process().binary(), Self());
}

TEST_P(InstanceTest, ChildrenOfAZygoteRunItsProgram) {
  const pid_t zygote = Spawn(Shell(), {"sh", "-c", "(:; :); (:; :); :"});
  const auto exec = fixture().WaitForExec(zygote);
  ASSERT_TRUE(exec.ok()) << exec.status();
  for (int i = 0; i < 2; ++i) {
    const auto fork = fixture().WaitFor([&](const v1::Event& event) {
      return event.has_fork() && event.fork().process().parent_exec_id() == exec->process().exec_id();
    });
    ASSERT_TRUE(fork.ok()) << fork.status();
    EXPECT_EQ(fork->fork().process().binary(), Shell());
    EXPECT_EQ(fork->fork().process().arguments(1), "(:; :); (:; :); :");
    EXPECT_EQ(fork->fork().process().ancestors(0), Shell());
  }
  Ended(zygote);
}

TEST_P(InstanceTest, ExecWithoutFork) {
  const pid_t child = Spawn(Shell(), {"sh", "-c", "exec " + True() + " x"});
  const auto shell = fixture().WaitForExec(child);
  const auto program = fixture().WaitForExec(child);
  ASSERT_TRUE(shell.ok() && program.ok()) << shell.status() << program.status();
  EXPECT_EQ(program->process().binary(), True());
  EXPECT_EQ(program->process().previous_exec_id(), shell->process().exec_id());
  EXPECT_EQ(program->process().parent_exec_id(), shell->process().parent_exec_id());
  EXPECT_NE(program->process().exec_id(), shell->process().exec_id());
  EXPECT_EQ(program->process().ancestors(0), Shell());
  EXPECT_EQ(program->process().ancestors(1), Self());
  EXPECT_EQ(Ended(child).process().exec_id(), program->process().exec_id());
}

TEST_P(InstanceTest, Vfork) {
  const pid_t child = vfork();
  if (child == 0) {
    execl(True().c_str(), "true", nullptr);
    _exit(1);
  }
  const auto fork = fixture().WaitForFork(child);
  const auto exec = fixture().WaitForExec(child);
  ASSERT_TRUE(fork.ok() && exec.ok()) << fork.status() << exec.status();
  EXPECT_EQ(exec->process().previous_exec_id(), fork->process().exec_id());
  EXPECT_EQ(exec->process().parent_exec_id(), OwnExecId());
  Ended(child);
}

TEST_P(InstanceTest, AThreadThatIsNotTheLeaderExecs) {
  const pid_t child = Fork([] {
    pthread_t thread;
    const auto run = [](void*) -> void* {
      Exec(True(), {"true"});
      return nullptr;
    };
    pthread_create(&thread, nullptr, run, nullptr);
    for (;;) pause();
  });
  Reap(child);
  EXPECT_THAT(StoryOf(child), ElementsAre("fork", "exec " + True(), "exit"));
}

TEST_P(InstanceTest, AProcessLivesUntilItsLastThreadEnds) {
  Gate gate;
  const pid_t child = Fork([&] {
    pthread_t thread;
    const auto run = [](void* opened) -> void* {
      static_cast<const Gate*>(opened)->Wait();
      syscall(SYS_exit, 5);
      return nullptr;
    };
    pthread_create(&thread, nullptr, run, &gate);
    syscall(SYS_exit, 9);
  });
  EXPECT_THAT(StoryOf(child), ElementsAre("fork"));
  EXPECT_TRUE(fixture().tree().FindByPid(static_cast<std::uint32_t>(child)));
  gate.Open();
  Ended(child);
  EXPECT_THAT(StoryOf(child), testing::IsEmpty());
}

TEST_P(InstanceTest, ManyThreadsThatEndAtOnceAreOneExit) {
  for (int round = 0; round < 20; ++round) {
    const pid_t child = Fork([] {
      for (int i = 0; i < 8; ++i) {
        pthread_t thread;
        pthread_create(
            &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr);
      }
      syscall(SYS_exit, 0);
    });
    Reap(child);
    EXPECT_THAT(StoryOf(child), ElementsAre("fork", "exit"));
  }
}

TEST_P(InstanceTest, ProcessesThatDieAtOnce) {
  for (int i = 0; i < 200; ++i) {
    const pid_t child = Fork([] { _exit(0); });
    Reap(child);
    ASSERT_THAT(StoryOf(child), ElementsAre("fork", "exit"));
  }
}

TEST_P(InstanceTest, Signals) {
  const rlimit none{};
  for (const int signal : {SIGKILL, SIGTERM, SIGSEGV, SIGABRT}) {
    const pid_t child = Fork([&] {
      setrlimit(RLIMIT_CORE, &none);
      ::signal(signal, SIG_DFL);
      kill(getpid(), signal);
      for (;;) pause();
    });
    EXPECT_EQ(Ended(child).signal(), std::string("SIG") + sigabbrev_np(signal));
  }
}

TEST_P(InstanceTest, ExitCodes) {
  for (const int code : {0, 1, 127, 255}) {
    const pid_t child = Fork([&] { _exit(code); });
    EXPECT_EQ(Ended(child).exit_code(), static_cast<unsigned>(code));
  }
}

TEST_P(InstanceTest, AZombieHasEnded) {
  const pid_t child = Fork([] { _exit(0); });
  const auto exit = fixture().WaitForExit(child);
  EXPECT_TRUE(exit.ok()) << exit.status();
  EXPECT_FALSE(fixture().tree().FindByPid(static_cast<std::uint32_t>(child)));
  Reap(child);
}

TEST_P(InstanceTest, PidsInANamespace) {
  const pid_t child = Fork([] {
    if (unshare(CLONE_NEWPID) == 0) Reap(Spawn(True(), {"first-of-its-namespace"}));
  });
  Reap(child);
  const auto exec = fixture().WaitFor([](const v1::Event& event) {
    return event.has_exec() && event.exec().process().argument0() == "first-of-its-namespace";
  });
  ASSERT_TRUE(exec.ok()) << exec.status();
  EXPECT_EQ(exec->exec().process().namespace_pid(), 1U);
  EXPECT_EQ(exec->exec().process().namespace_tid(), 1U);
  EXPECT_GT(exec->exec().process().pid(), 1U);
}

TEST_P(InstanceTest, AnOrphanKeepsItsParent) {
  Gate gate;
  int pids[2];
  ASSERT_EQ(pipe(pids), 0);
  const pid_t middle = Fork([&] {
    const pid_t orphan = Fork([&] {
      gate.Wait();
      Exec(True(), {"true"});
    });
    if (write(pids[1], &orphan, sizeof(orphan)) != sizeof(orphan)) _exit(1);
  });
  pid_t orphan = 0;
  ASSERT_EQ(read(pids[0], &orphan, sizeof(orphan)), static_cast<ssize_t>(sizeof(orphan)));
  close(pids[0]);
  close(pids[1]);
  const v1::Exit dead = Ended(middle);
  gate.Open();
  const auto exec = fixture().WaitForExec(orphan);
  ASSERT_TRUE(exec.ok()) << exec.status();
  EXPECT_EQ(exec->process().parent_exec_id(), dead.process().exec_id());
  EXPECT_EQ(exec->process().ancestors(0), Self());
  EXPECT_TRUE(fixture().WaitForExit(orphan).ok());
}

SL_FOR_EACH_BACK_END(InstanceTest);

}  // namespace
}  // namespace sluice::test
