// Lost events are counted and reported, and followed by a resync; at full speed no event is lost.
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <mutex>
#include <thread>

#include "tests/probes/sensor_test.h"

namespace sluice::test {
namespace {

class LossTest : public testing::TestWithParam<bpf::ProcessBackEnd> {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForBackEnd(GetParam()); !missing.empty()) GTEST_SKIP() << missing;
  }
};

// posix_spawn and wait, one after the other; their pids.
std::vector<pid_t> SpawnTrue(int count) {
  std::vector<pid_t> pids;
  const std::string program = True();
  char* argv[] = {const_cast<char*>("true"), nullptr};
  for (int i = 0; i < count; ++i) {
    pid_t pid = -1;
    if (posix_spawn(&pid, program.c_str(), nullptr, nullptr, argv, environ) != 0) std::abort();
    Reap(pid);
    pids.push_back(pid);
  }
  return pids;
}

TEST_P(LossTest, TenThousandSpawnsAtFullSpeedAndNoneIsLost) {
  auto fixture = SensorFixture::Create({.probes = {.back_end = GetParam()}});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  constexpr int kEach = 5000;
  std::vector<pid_t> first, second;
  const auto begin = std::chrono::steady_clock::now();
  std::thread other([&] { second = SpawnTrue(kEach); });
  first = SpawnTrue(kEach);
  other.join();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const auto events = (*fixture)->Settle();
  ASSERT_TRUE(events.ok()) << events.status();
  std::map<std::uint32_t, std::string> stories;  // a pid may be reused
  for (const v1::Event& event : *events) {
    if (event.has_fork()) stories[event.fork().process().pid()] += 'f';
    if (event.has_exec())
      stories[event.exec().process().pid()] += event.exec().process().binary() == True() ? 'e' : '?';
    if (event.has_exit()) stories[event.exit().process().pid()] += 'x';
    EXPECT_FALSE(event.has_lost());
  }
  std::map<std::uint32_t, std::string> expected;
  for (const auto* pids : {&first, &second}) {
    for (const pid_t pid : *pids) expected[static_cast<std::uint32_t>(pid)] += "fex";
  }
  for (const auto& [pid, story] : expected) {
    ASSERT_NE(stories[pid].find(story), std::string::npos) << pid << ": " << stories[pid];
  }
  for (const std::uint64_t lost : (*fixture)->sensor().counters().lost) EXPECT_EQ(lost, 0U);
  std::cout << 2 * kEach << " spawns, " << static_cast<int>(2 * kEach / took.count()) << " a second, none lost\n";
}

// Nothing reads: every event of the children's cgroup is in the ring or counted as lost, with CPU and cgroup.
TEST_P(LossTest, EveryEventIsThereOrCounted) {
  const std::string root =
      std::filesystem::exists("/sys/fs/cgroup/unified") ? "/sys/fs/cgroup/unified" : "/sys/fs/cgroup";
  if (!std::filesystem::exists(root + "/cgroup.procs")) GTEST_SKIP() << "no version 2 cgroups are mounted";
  const std::string group = root + "/sluice-loss-" + std::to_string(getpid());
  std::filesystem::create_directory(group);
  struct stat status {};
  ASSERT_EQ(stat(group.c_str(), &status), 0);
  const std::uint64_t cgroup = status.st_ino;
  std::uint64_t delivered = 0;
  auto probes = bpf::ProcessProbes::Start(
      {.back_end = GetParam(), .ring_bytes = 1 << 16}, [&](const void* bytes, std::size_t size) {
        const auto record = telemetry::DecodeProcessRecord({static_cast<const char*>(bytes), size});
        ASSERT_TRUE(record.ok()) << record.status();
        if (record->header().cgroup == cgroup && record->event() != SL_PROCESS_EVENT_SEED) delivered++;
      });
  ASSERT_TRUE(probes.ok()) << probes.status();
  ASSERT_TRUE((*probes)->Seed().ok());
  constexpr std::uint64_t kChildren = 200;
  const pid_t parent = Fork([&] {
    std::ofstream(group + "/cgroup.procs") << getpid() << std::flush;
    SpawnTrue(kChildren);
  });
  Reap(parent);
  ASSERT_TRUE((*probes)->Drain().ok());
  const auto losses = (*probes)->TakeLosses();
  ASSERT_TRUE(losses.ok()) << losses.status();
  std::filesystem::remove(group);
  std::uint64_t lost = 0;
  for (const bpf::ProcessLoss& loss : *losses) {
    if (loss.key.cgroup != cgroup) continue;
    EXPECT_EQ(loss.key.cause, SL_PROCESS_LOSS_SHARE);
    EXPECT_LT(loss.key.cpu, 4096U);
    lost += loss.count;
  }
  EXPECT_GT(lost, 0U);
  EXPECT_GT(delivered, 0U);
  EXPECT_EQ(delivered + lost, 3 * kChildren);  // the parent's instance began in another cgroup
  EXPECT_TRUE((*probes)->TakeLosses()->empty());
}

// The reading thread blocks at an event while the ring overflows.
TEST_P(LossTest, LossIsToldAndTheTreeHeals) {
  std::mutex mutex;
  std::condition_variable changed;
  bool held = false;
  std::atomic<bool> hold = false;
  telemetry::ProcessSensor::Options options{
      .probes = {.back_end = GetParam(), .ring_bytes = 1 << 16},
      .names = {.workload = [&](const telemetry::ProcessInstance&) -> std::optional<policy::ObjectName> {
        std::unique_lock lock(mutex);
        held = held || hold;
        changed.notify_all();
        changed.wait(lock, [&] { return !hold; });
        return policy::ObjectName{"shop", "web-0"};
      }},
      .heal_interval = std::chrono::milliseconds(50)};
  auto fixture = SensorFixture::Create(std::move(options));
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const pid_t ends = Fork([] {
    for (;;) pause();
  });
  ASSERT_TRUE((*fixture)->WaitForFork(ends).ok());
  hold = true;
  Reap(Fork([] {}));
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return held; });
  }
  int input[2];
  ASSERT_EQ(pipe(input), 0);
  std::map<pid_t, std::string> stay;
  const std::string filler(8000, 'x');
  for (int i = 0; i < 40; ++i) {
    const std::string name = "stays-" + std::to_string(i);
    const pid_t pid = Fork([&] {
      dup2(input[0], STDIN_FILENO);
      Exec(Cat(), {"cat", "-", name, filler});
    });
    stay[pid] = name;
  }
  for (const auto& [pid, name] : stay) {
    while (std::filesystem::read_symlink("/proc/" + std::to_string(pid) + "/exe") != Cat()) sched_yield();
  }
  kill(ends, SIGKILL);
  Reap(ends);
  {
    const std::lock_guard lock(mutex);
    hold = false;
    changed.notify_all();
  }
  const auto lost =
      (*fixture)->WaitFor([](const v1::Event& event) { return event.has_lost() && event.lost().has_cpu(); });
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(lost->lost().cause(), "PROCESS_WORKLOAD_SHARE");
  EXPECT_GT(lost->lost().count(), 0U);
  EXPECT_FALSE(lost->lost().event().empty());
  EXPECT_EQ(lost->lost().workload(), "web-0");
  const auto healed = [&] {
    for (const auto& [pid, name] : stay) {
      const auto instance = (*fixture)->tree().FindByPid(static_cast<std::uint32_t>(pid));
      if (!instance || instance->incomplete || !instance->image || instance->image->binary != Cat()) return false;
      if (instance->image->arguments.at(1) != name) return false;
    }
    // The tree is complete a moment before the resync is counted.
    return !(*fixture)->tree().FindByPid(static_cast<std::uint32_t>(ends)) &&
           (*fixture)->sensor().counters().healings > 0;
  };
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(180);
  while (!healed() && std::chrono::steady_clock::now() < deadline) sched_yield();
  EXPECT_TRUE(healed());
  EXPECT_GT((*fixture)->sensor().counters().lost[SL_PROCESS_LOSS_SHARE], 0U);
  for (const auto& [pid, name] : stay) {
    kill(pid, SIGKILL);
    Reap(pid);
  }
  close(input[0]);
  close(input[1]);
}

TEST_P(LossTest, AFullTableLosesNoEvent) {
  auto fixture = SensorFixture::Create({.probes = {.back_end = GetParam(), .max_processes = 4}});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  const pid_t child = Spawn(True(), {"true"});
  Reap(child);
  const auto exec = (*fixture)->WaitForExec(child);
  const auto exit = (*fixture)->WaitForExit(child);
  ASSERT_TRUE(exec.ok() && exit.ok()) << exec.status() << exit.status();
  EXPECT_EQ(exit->process().exec_id(), exec->process().exec_id());
  EXPECT_GT((*fixture)->sensor().counters().lost[SL_PROCESS_LOSS_TABLE_FULL], 0U);
}

SL_FOR_EACH_BACK_END(LossTest);

}  // namespace
}  // namespace sluice::test
