// Processes older than the sensors, and processes that start while the sensors start.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <thread>

#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

// cat(1) with an argument of its own, waiting for input that never comes; killed and reaped in the end.
class Waiters {
 public:
  Waiters() {
    if (pipe(input_) != 0) std::abort();
  }
  ~Waiters() {
    for (const auto& [pid, name] : names_) {
      kill(pid, SIGKILL);
      Reap(pid);
    }
    close(input_[0]);
    close(input_[1]);
  }

  pid_t Add(const std::string& name) {
    const pid_t pid = Fork([&] {
      dup2(input_[0], STDIN_FILENO);
      Exec(Cat(), {"cat", "-", name});
    });
    names_[pid] = name;
    return pid;
  }
  const std::map<pid_t, std::string>& names() const { return names_; }

 private:
  int input_[2];
  std::map<pid_t, std::string> names_;
};

class PinDirectory {
 public:
  PinDirectory() : path_("/sys/fs/bpf/sluice-probes-" + std::to_string(getpid())) {}
  ~PinDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::vector<pid_t> ListProcesses() {
  std::vector<pid_t> pids;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") == std::string::npos) pids.push_back(std::stoi(name));
  }
  return pids;
}

// It runs and is no zombie.
bool Runs(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  std::getline(file, stat);
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat[name_end + 2] != 'Z' && stat[name_end + 2] != 'X';
}

class SeedTest : public testing::TestWithParam<bpf::ProcessBackEnd> {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
  }
  std::unique_ptr<SensorFixture> Start(const std::string& pin_root = "") {
    auto fixture = SensorFixture::Create({.probes = {.pin_root = pin_root, .back_end = GetParam()}});
    EXPECT_TRUE(fixture.ok()) << fixture.status();
    return fixture.ok() ? std::move(*fixture) : nullptr;
  }
};

TEST_P(SeedTest, EveryProcessIsKnownAtOnce) {
  Waiters waiters;
  const pid_t waiter = waiters.Add("one");
  while (std::filesystem::read_symlink("/proc/" + std::to_string(waiter) + "/exe") != Cat()) sched_yield();
  const std::vector<pid_t> before = ListProcesses();
  const auto fixture = Start();
  ASSERT_NE(fixture, nullptr);
  const auto instance = fixture->tree().FindByPid(static_cast<std::uint32_t>(waiter));
  ASSERT_TRUE(instance);
  v1::Process process;
  fixture->sensor().events().ToProto(*instance, &process);
  EXPECT_EQ(process.binary(), Cat());
  EXPECT_EQ(process.argument0(), "cat");
  EXPECT_EQ(process.arguments(1), "one");
  EXPECT_EQ(process.working_directory(), std::filesystem::current_path());
  EXPECT_EQ(process.ancestors(0), std::filesystem::canonical("/proc/self/exe"));
  EXPECT_THAT(process.flags(), testing::ElementsAre(v1::Process::STARTED_BEFORE_AGENT));
  ASSERT_TRUE(fixture->Settle().ok());
  for (const pid_t pid : before) {
    if (!Runs(pid)) continue;
    if (pid == 1) continue;  // some hosts (such as our test machine) hide init from the kernel's task iterator
    EXPECT_TRUE(fixture->tree().FindByPid(static_cast<std::uint32_t>(pid)) || !Runs(pid)) << pid;
  }
  EXPECT_EQ(fixture->sensor().counters().malformed, 0U);
}

// Its first thread then has no program and no namespaces.
TEST_P(SeedTest, AProcessWhoseFirstThreadHasEnded) {
  Gate gate;
  int thread_alone[2];
  ASSERT_EQ(pipe(thread_alone), 0);
  const pid_t child = Fork([&] {
    std::thread([&] {
      while (true) {  // until the first thread is a zombie
        std::ifstream stat("/proc/" + std::to_string(getpid()) + "/stat");
        std::string text((std::istreambuf_iterator<char>(stat)), {});
        if (text.find(") Z") != std::string::npos) break;
        sched_yield();
      }
      if (write(thread_alone[1], "x", 1) != 1) _exit(1);
      gate.Wait();
      _exit(7);
    }).detach();
    syscall(SYS_exit, 0);  // ends only this thread
  });
  char byte;
  ASSERT_EQ(read(thread_alone[0], &byte, 1), 1);
  const auto fixture = Start();
  ASSERT_NE(fixture, nullptr);
  const auto instance = fixture->tree().FindByPid(static_cast<std::uint32_t>(child));
  ASSERT_TRUE(instance && instance->image);
  EXPECT_EQ(instance->image->binary, std::filesystem::canonical("/proc/self/exe"));
  EXPECT_NE(instance->namespaces.net, 0U);
  EXPECT_EQ(instance->namespace_pid, static_cast<std::uint32_t>(child));
  const auto table = bpf::Map<std::uint32_t, sl_process>::Bind(fixture->sensor().map_fd("processes"), "processes");
  ASSERT_TRUE(table.ok());
  const auto entry = table->Get(static_cast<std::uint32_t>(child));
  ASSERT_TRUE(entry.ok() && *entry);
  EXPECT_NE((*entry)->process_class, 0U);
  gate.Open();
  EXPECT_EQ(Reap(child), 7 << 8);
  EXPECT_TRUE(fixture->WaitForExit(child).ok());
  close(thread_alone[0]);
  close(thread_alone[1]);
}

TEST_P(SeedTest, WhatChangesWithoutAnEventIsReadAgain) {
  const auto fixture = Start();
  ASSERT_NE(fixture, nullptr);
  int changed[2];
  ASSERT_EQ(pipe(changed), 0);
  Gate gate;
  const pid_t child = Fork([&] {
    if (unshare(CLONE_NEWNET) != 0 || setuid(65534) != 0 || write(changed[1], "x", 1) != 1) _exit(1);
    gate.Wait();
  });
  ASSERT_TRUE(fixture->WaitForFork(child).ok());
  char byte;
  ASSERT_EQ(read(changed[0], &byte, 1), 1);
  fixture->sensor().Refresh();
  const auto instance = fixture->tree().FindByPid(static_cast<std::uint32_t>(child));
  ASSERT_TRUE(instance);
  EXPECT_EQ(instance->uid, 65534U);
  EXPECT_EQ(instance->capabilities, 0U);
  struct stat netns {};
  ASSERT_EQ(stat(("/proc/" + std::to_string(child) + "/ns/net").c_str(), &netns), 0);
  EXPECT_EQ(instance->namespaces.net, netns.st_ino);
  gate.Open();
  Reap(child);
  close(changed[0]);
  close(changed[1]);
}

// Init is older than any agent: if ended ancestors counted, no process would have known ancestors. The process is
// init's child, like a daemon, so that none of its ancestors started this test.
TEST_P(SeedTest, TheAncestorsOfWhatIsOlderAreThoseThatLive) {
  int pids[2], input[2];
  ASSERT_EQ(pipe(pids), 0);
  ASSERT_EQ(pipe(input), 0);
  Reap(Fork([&] {
    const pid_t parent = getpid();
    Fork([&] {
      const pid_t self = getpid();
      close(input[1]);
      dup2(input[0], STDIN_FILENO);
      while (getppid() == parent) sched_yield();
      if (write(pids[1], &self, sizeof(self)) == sizeof(self)) Exec(Cat(), {"cat"});
    });
  }));
  pid_t daemon = 0;
  ASSERT_EQ(read(pids[0], &daemon, sizeof(daemon)), static_cast<ssize_t>(sizeof(daemon)));
  while (std::filesystem::read_symlink("/proc/" + std::to_string(daemon) + "/exe") != Cat()) sched_yield();
  const auto fixture = Start();
  ASSERT_NE(fixture, nullptr);
  const auto processes = bpf::Map<std::uint32_t, sl_process>::Bind(fixture->sensor().map_fd("processes"), "processes");
  const auto classes =
      bpf::Map<std::uint32_t, sl_process_class>::Bind(fixture->sensor().map_fd("process_classes"), "process_classes");
  ASSERT_TRUE(processes.ok() && classes.ok());
  const auto process = processes->Get(static_cast<std::uint32_t>(daemon));
  ASSERT_TRUE(process.ok() && *process);
  const auto one = classes->Get((*process)->process_class);
  ASSERT_TRUE(one.ok() && *one);
  EXPECT_NE((*one)->facts.program, static_cast<unsigned>(SL_PROGRAM_UNKNOWN));
  EXPECT_EQ((*one)->facts.flags, 0U) << "all of its ancestors are known: that is, init";
  EXPECT_NE((*one)->facts.ancestors[0], 0U);
  EXPECT_EQ((*one)->facts.ancestors[1], 0U);
  for (const int fd : {pids[0], pids[1], input[0], input[1]}) close(fd);
}

TEST_P(SeedTest, NoHoleAndNoDoubleWhileItStarts) {
  Waiters waiters;
  std::atomic<bool> stop = false;
  std::thread storm([&] {
    for (int i = 0; i < 2000 && !(stop && i > 100); ++i) {
      if (i % 4 == 0) waiters.Add("waiter-" + std::to_string(i));
      Reap(Fork([] {}));
    }
  });
  const auto fixture = Start();
  stop = true;
  storm.join();
  ASSERT_NE(fixture, nullptr);
  const auto events = fixture->Settle();
  ASSERT_TRUE(events.ok());
  EXPECT_GT(waiters.names().size(), 24U);
  std::map<std::uint32_t, int> living;
  for (const auto& instance : fixture->tree().Living()) living[instance.pid]++;
  std::map<std::string, int> execs;
  for (const v1::Event& event : *events) {
    if (event.has_exec()) execs[event.exec().process().exec_id()]++;
  }
  for (const auto& [pid, name] : waiters.names()) {
    EXPECT_EQ(living[static_cast<std::uint32_t>(pid)], 1) << name;
    const auto instance = fixture->tree().FindByPid(static_cast<std::uint32_t>(pid));
    ASSERT_TRUE(instance && instance->image) << name;
    EXPECT_EQ(instance->image->binary, Cat());
    EXPECT_THAT(instance->image->arguments, testing::ElementsAre("-", name));
    EXPECT_LE(execs[telemetry::ExecId("node-1", *instance)], 1) << name;
  }
  const auto self = fixture->tree().FindByPid(static_cast<std::uint32_t>(getpid()));
  ASSERT_TRUE(self);
  EXPECT_NE(self->parent, 0U) << "known also of who forks before the iterator comes to it";
  // Every process that ended has ended in the tree too.
  for (const auto& [pid, count] : living) {
    EXPECT_EQ(count, 1) << pid;
    EXPECT_FALSE(kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH && fixture->Settle().ok() &&
                 fixture->tree().FindByPid(pid))
        << pid;
  }
}

TEST_P(SeedTest, IdsOutliveTheAgent) {
  const PinDirectory pins;
  Waiters waiters;
  const pid_t ends = Fork([] {
    for (;;) pause();
  });
  Gate gate;  // made after that child, which would hold it shut
  const pid_t stays = waiters.Add("stays");
  const pid_t execs = Fork([&] {
    gate.Wait();
    dup2(open("/dev/null", 0), STDIN_FILENO);
    Exec("/bin/sleep", {"sleep", "1000"});
  });
  while (std::filesystem::read_symlink("/proc/" + std::to_string(stays) + "/exe") != Cat()) sched_yield();
  std::map<pid_t, telemetry::ProcessInstance> before;
  {
    const auto fixture = Start(pins.path());
    ASSERT_NE(fixture, nullptr);
    for (const pid_t pid : {stays, execs, ends}) {
      before[pid] = fixture->tree().FindByPid(static_cast<std::uint32_t>(pid)).value_or(telemetry::ProcessInstance());
      ASSERT_NE(before[pid].id, 0U);
    }
  }
  gate.Open();
  while (std::filesystem::read_symlink("/proc/" + std::to_string(execs) + "/exe").filename() != "sleep") sched_yield();
  kill(ends, SIGKILL);
  Reap(ends);
  const auto fixture = Start(pins.path());
  ASSERT_NE(fixture, nullptr);
  const auto same = fixture->tree().FindByPid(static_cast<std::uint32_t>(stays));
  ASSERT_TRUE(same);
  EXPECT_EQ(same->id, before[stays].id);
  EXPECT_EQ(telemetry::ExecId("n", *same), telemetry::ExecId("n", before[stays]));
  const auto other = fixture->tree().FindByPid(static_cast<std::uint32_t>(execs));
  ASSERT_TRUE(other && other->image);
  EXPECT_GT(other->id, before[execs].id);
  EXPECT_NE(telemetry::ExecId("n", *other), telemetry::ExecId("n", before[execs]));
  EXPECT_EQ(std::filesystem::path(other->image->binary).filename(), "sleep");
  const auto table = bpf::Map<std::uint32_t, sl_process>::Bind(fixture->sensor().map_fd("processes"), "processes");
  ASSERT_TRUE(table.ok()) << table.status();
  const auto entry = table->Get(static_cast<std::uint32_t>(ends));
  EXPECT_TRUE(entry.ok() && !entry->has_value()) << "an entry of a process that ended while nobody looked";
  kill(execs, SIGKILL);
  Reap(execs);
}

TEST_P(SeedTest, TheTableHasEveryProcessOnceAndNoDeadOne) {
  const auto fixture = Start();
  ASSERT_NE(fixture, nullptr);
  for (int i = 0; i < 100; ++i) Reap(Fork([] {}));
  Waiters waiters;
  const pid_t waiter = waiters.Add("x");
  ASSERT_TRUE(fixture->WaitForExec(waiter).ok());
  const auto table = bpf::Map<std::uint32_t, sl_process>::Bind(fixture->sensor().map_fd("processes"), "processes");
  ASSERT_TRUE(table.ok()) << table.status();
  const auto entry = table->Get(static_cast<std::uint32_t>(waiter));
  ASSERT_TRUE(entry.ok() && entry->has_value());
  const auto instance = fixture->tree().FindByPid(static_cast<std::uint32_t>(waiter));
  ASSERT_TRUE(instance);
  EXPECT_EQ((*entry)->id, instance->id);
  EXPECT_EQ((*entry)->parent, fixture->tree().FindByPid(static_cast<std::uint32_t>(getpid()))->id);
  EXPECT_EQ((*entry)->flags & ~SL_PROCESS_MAY_MOUNT, static_cast<unsigned>(SL_PROCESS_EXECED));
  std::vector<std::uint32_t> dead;
  ASSERT_TRUE(table
                  ->ForEachBatch([&](const std::uint32_t& pid, const sl_process&) {
                    if (kill(static_cast<pid_t>(pid), 0) != 0 && errno == ESRCH) dead.push_back(pid);
                  })
                  .ok());
  for (const std::uint32_t pid : dead) {
    const auto again = table->Get(pid);  // may have been about to be removed
    EXPECT_TRUE(again.ok() && !again->has_value()) << pid;
  }
}

SL_FOR_EACH_BACK_END(SeedTest);

}  // namespace
}  // namespace sluice::test
