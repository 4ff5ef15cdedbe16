// Policies that come, go and are replaced, errors, full rings, and enforcement without an agent.
#include <bpf/bpf.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "kernel/bpf/hook.h"
#include "kernel/bpf/hook_pins.h"
#include "kernel/bpf/system.h"
#include "tests/hooks/hook_test.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

class HookChanges : public HookTest {
 protected:
  // Links in this machine whose programs are those of the fixture.
  std::size_t Links() {
    std::set<std::uint32_t> programs;
    for (const char* name : {"hook_enter", "hook_return", "system_call_enter", "system_call_return",
                             "traced_call_enter", "traced_call_return"}) {
      const int fd = fixture().programs().program_fd(name);
      if (const auto id = bpf::ProgramId(fd); fd >= 0 && id.ok()) programs.insert(*id);
    }
    std::size_t links = 0;
    for (std::uint32_t id = 0;;) {
      const auto next = bpf::OwnAdminCalls().NextLink(id);
      if (!next.ok()) return links;
      id = *next;
      auto fd = bpf::OwnAdminCalls().OpenLink(id);
      if (!fd.ok()) continue;
      const auto link = bpf::ReadLink(*std::move(fd));
      if (link.ok() && programs.contains(link->program_id)) ++links;
    }
  }
  static std::size_t Files() {
    std::size_t files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++files;
    return files;
  }
  static std::size_t ResidentBytes() {
    std::ifstream statm("/proc/self/statm");
    std::size_t pages = 0, resident = 0;
    statm >> pages >> resident;
    return resident * bpf::PageSize();
  }
  std::size_t HeldEvents() {
    std::size_t held = 0;
    sl_hook_call_key key{}, next{};
    const int map = fixture().programs().map_fd("hook_held_events");
    for (const void* previous = nullptr; bpf_map_get_next_key(map, previous, &next) == 0; previous = &key, ++held)
      key = next;
    return held;
  }
  std::vector<std::uint64_t> Used() {
    std::vector<std::uint64_t> used;
    for (const hooks::TableFill& fill : fixture().tables().Fill()) used.push_back(fill.used);
    return used;
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(HookChanges);

TEST_P(HookChanges, AThousandChangesUnderLoadLeaveNothing) {
  const std::string kill = OpenPolicy("again", "matchActions: [{action: Sigkill}]"), see = OpenPolicy("again");
  ASSERT_TRUE(fixture().Apply(kill).ok());
  ASSERT_TRUE(fixture().RemoveAll().ok());
  Gate stop;
  const pid_t load = Fork([&] {
    std::thread([&] {
      for (;;) close(OpenFile(other()));
    }).detach();
    stop.Wait();
    _exit(0);
  });
  const std::size_t files = Files(), memory = ResidentBytes();
  ASSERT_EQ(Links(), 0U);
  for (int i = 0; i < 250; ++i) {
    ASSERT_TRUE(fixture().Apply(kill).ok());
    ASSERT_TRUE(fixture().Apply(see).ok());
    ASSERT_TRUE(fixture().Apply(kill).ok());
    const bool look = i % 25 == 0;
    if (look) {
      EXPECT_EQ(StatusOfOpen(file()), kKilled);
    }
    ASSERT_TRUE(fixture().RemoveAll().ok());
    if (look) {
      EXPECT_EQ(StatusOfOpen(file()), 0);
    }
  }
  EXPECT_EQ(Files(), files);
  stop.Open();
  EXPECT_EQ(Reap(load), 0) << "it was killed by a policy for another file";
  EXPECT_EQ(Links(), 0U);
  for (const std::uint64_t place : Used()) EXPECT_EQ(place, 0U);
  EXPECT_LT(ResidentBytes(), memory + (8U << 20));
}

// Every call meets the old version or the new one, and has one record.
TEST_P(HookChanges, AReplacementLeavesNoGap) {
  const std::string versions[] = {OpenPolicy("turn"),
                                  OpenPolicy("turn", "matchPIDs: [{operator: NotIn, values: [1]}]")};
  ASSERT_TRUE(fixture().Apply(versions[0]).ok());
  Gate stop;
  Arrival running;
  int counts[2];
  ASSERT_EQ(pipe(counts), 0);
  const pid_t child = Fork([&] {
    std::thread([&] {
      stop.Wait();
      kill(getpid(), SIGUSR1);
    }).detach();
    static std::atomic<bool> done;
    signal(SIGUSR1, [](int) { done = true; });
    std::uint64_t opened = 0;
    for (; !done; ++opened) {
      close(OpenFile(file()));
      if (opened == 0) (void)!write(running.fd(), "", 1);
      usleep(200);
    }
    (void)!write(counts[1], &opened, sizeof(opened));
  });
  ASSERT_TRUE(running.Wait());
  std::map<std::uint32_t, std::size_t> lives;
  std::size_t records = 0;
  const auto take = [&] {
    for (const HookRecord& record : fixture().Take()) {
      if (!Of(child)(record)) continue;
      ++records;
      lives[record.event.life]++;
    }
  };
  for (int i = 1; i <= 60; ++i) {
    const Status replaced = fixture().Apply(versions[i % 2]);
    ASSERT_TRUE(replaced.ok()) << replaced;
    take();
  }
  stop.Open();
  std::uint64_t opened = 0;
  ASSERT_EQ(read(counts[0], &opened, sizeof(opened)), static_cast<ssize_t>(sizeof(opened)));
  EXPECT_EQ(Reap(child), 0);
  take();
  EXPECT_EQ(records, opened);
  EXPECT_GT(lives.size(), 20U) << "versions that met a call";
  close(counts[0]);
  close(counts[1]);
}

TEST_P(HookChanges, ARefusedVersionLeavesTheOldOneInForce) {
  ASSERT_TRUE(fixture().Apply(OpenPolicy("stay", "matchActions: [{action: Sigkill}]")).ok());
  const auto used = Used();
  const std::size_t links = Links();
  const Status refused = fixture().Apply(
      PolicyText("stay",
                 "{kprobes: [{call: sys_getcwd, syscall: true, return: true, returnArg: {index: 0, type: int}}, {call: "
                 "no_such_function_here, syscall: false}]}"));
  EXPECT_FALSE(refused.ok());
  EXPECT_THAT(Message(refused), HasSubstr("no_such_function_here"));
  EXPECT_EQ(Links(), links);
  fixture().tables().Fill();
  EXPECT_EQ(StatusOfOpen(file()), kKilled);
  EXPECT_EQ(StatusOfOpen(other()), 0);
  ASSERT_TRUE(fixture().Apply(OpenPolicy("stay", "matchActions: [{action: Sigkill}]")).ok());
  EXPECT_EQ(Used(), used);
}

TEST_P(HookChanges, AnUnknownFunctionIsRefused) {
  const Status refused =
      fixture().Apply(PolicyText("unknown", "{kprobes: [{call: no_such_function_here, syscall: false}]}"));
  EXPECT_EQ(refused.code(), bpf::HasKprobes() ? absl::StatusCode::kNotFound : absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Message(refused), HasSubstr("no_such_function_here"));
  EXPECT_THAT(Message(refused), HasSubstr(bpf::HasKprobes() ? "/proc/kallsyms" : "CONFIG_KPROBES"));
  EXPECT_THAT(Message(refused), HasSubstr("line"));
  EXPECT_EQ(Links(), 0U);
  EXPECT_TRUE(fixture().tables().List().empty());
  const Status ignored = fixture().Apply(PolicyText(
      "ignored", "{kprobes: [{call: no_such_function_here, syscall: false, ignore: {callNotFound: true}}]}"));
  EXPECT_EQ(ignored.ok(), bpf::HasKprobes()) << "a kernel without kprobes has no function for it";
  EXPECT_EQ(Links(), 0U);
}

TEST_P(HookChanges, MoreHooksThanThereIsRoomForAreRefused) {
  std::string selectors;
  for (int i = 0; i < 1000; ++i)
    selectors += fmt::format("{}\"/tmp/sluice-hooks-none/{:0>100}\"", i == 0 ? "" : ", ", i);
  const std::string spec = fmt::format(
      "{{kprobes: [{{call: sys_openat, syscall: true, args: [{{index: 1, type: string}}], selectors: [{{matchArgs: "
      "[{{index: 1, operator: Equal, values: [{}]}}]}}]}}]}}",
      selectors);
  Status applied;
  int in_force = 0;
  for (; applied.ok() && in_force < 1000; ++in_force)
    applied = fixture().Apply(PolicyText(fmt::format("large-{}", in_force), spec));
  EXPECT_TRUE(absl::IsResourceExhausted(applied)) << applied;
  EXPECT_THAT(Message(applied), HasSubstr("in use"));
  EXPECT_EQ(fixture().tables().List().size(), static_cast<std::size_t>(in_force) - 1);
  ASSERT_TRUE(fixture().RemoveAll().ok());
  EXPECT_EQ(Links(), 0U);
  for (const std::uint64_t place : Used()) EXPECT_EQ(place, 0U);
}

TEST_P(HookChanges, AFullRingDoesNotStopEnforcement) {
  const auto small = HookFixture::Create({.ring_bytes = 4096, .syscalls = GetParam()});
  ASSERT_TRUE(small.ok()) << small.status();
  HookFixture& own = **small;
  ASSERT_TRUE(own.Apply(OpenPolicy("see")).ok());
  Reap(Fork([&] {
    for (int i = 0; i < 100; ++i) close(OpenFile(file()));
  }));
  EXPECT_EQ(own.Count("see", SL_HOOK_COUNT_MATCHED), 100U);
  EXPECT_GT(own.Count("see", SL_HOOK_COUNT_LOST), 50U);
  EXPECT_EQ(own.Count("see", SL_HOOK_COUNT_LOST) + own.Count("see", SL_HOOK_COUNT_POSTED), 100U);
  ASSERT_TRUE(own.Apply(OpenPolicy("kill", "matchActions: [{action: Sigkill}]")).ok());
  for (int i = 0; i < 20; ++i) EXPECT_EQ(StatusOfOpen(file()), kKilled);
  EXPECT_EQ(StatusOfOpen(other()), 0);
  EXPECT_EQ(own.Count("kill", SL_HOOK_COUNT_SIGNALLED), 20U);
  EXPECT_EQ(own.Count("kill", SL_HOOK_COUNT_LOST), 20U);
}

// Half of them open the forbidden file; the ring is full all the time.
TEST_P(HookChanges, TenThousandSpawnsDieOrLive) {
  const auto small = HookFixture::Create({.ring_bytes = 4096, .syscalls = GetParam()});
  ASSERT_TRUE(small.ok()) << small.status();
  ASSERT_TRUE((*small)->Apply(OpenPolicy("kill", "matchActions: [{action: Sigkill}]")).ok());
  constexpr int kProcesses = 10000, kAtOnce = 50;
  int died = 0, lived = 0;
  for (int first = 0; first < kProcesses; first += kAtOnce) {
    std::vector<pid_t> children;
    for (int i = 0; i < kAtOnce; ++i) {
      children.push_back(Fork([&] { _exit(OpenFile(i % 2 == 0 ? file() : other()) < 0 ? 1 : 0); }));
    }
    for (int i = 0; i < kAtOnce; ++i) {
      const int status = Reap(children[static_cast<std::size_t>(i)]);
      died += i % 2 == 0 && status == kKilled ? 1 : 0;
      lived += i % 2 != 0 && status == 0 ? 1 : 0;
    }
  }
  EXPECT_EQ(died, kProcesses / 2);
  EXPECT_EQ(lived, kProcesses / 2);
  EXPECT_GT((*small)->Count("kill", SL_HOOK_COUNT_LOST), static_cast<std::uint64_t>(kProcesses) / 2 - 100);
}

// Events that wait for a return must not pile up, where a call never returns or the policy has ended.
TEST_P(HookChanges, WhatNeverReturnsIsForgotten) {
  const auto held = [](const std::string& call, const std::string& filter) {
    return PolicyText("held", fmt::format("{{kprobes: [{{call: {}, syscall: true, return: true, args: [{{index: 0, "
                                          "type: int}}], returnArg: {{index: 0, type: int}}, selectors: [{{matchArgs: "
                                          "[{{index: 0, operator: Equal, values: [\"{}\"]}}], matchReturnArgs: "
                                          "[{{index: 0, operator: Equal, values: [\"0\"]}}]}}]}}]}}",
                                          call, filter));
  };
  Status applied = fixture().Apply(held("sys_exit_group", "77"));
  ASSERT_TRUE(applied.ok()) << applied;
  const pid_t child = Fork([] { _exit(77); });
  EXPECT_EQ(WEXITSTATUS(Reap(child)), 77);
  EXPECT_EQ(HeldEvents(), 1U);
  ASSERT_TRUE(fixture().programs().ForgetEvents({}).ok());
  EXPECT_EQ(HeldEvents(), 0U);
  EXPECT_EQ(RecordsOf(child), 0U);

  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  applied = fixture().Apply(held("sys_read", std::to_string(ends[0])));
  ASSERT_TRUE(applied.ok()) << applied;
  const pid_t reader = Fork([&] {
    close(ends[1]);
    char byte;
    (void)!read(ends[0], &byte, 1);
  });
  for (int i = 0; i < 500 && HeldEvents() == 0; ++i) usleep(10000);
  EXPECT_EQ(HeldEvents(), 1U);
  ASSERT_TRUE(fixture().programs().ForgetEvents({}).ok());
  EXPECT_EQ(HeldEvents(), 1U) << "the call goes on";
  ASSERT_TRUE(fixture().RemoveAll().ok());
  EXPECT_EQ(HeldEvents(), 0U) << "nobody waits for it any more";
  close(ends[1]);
  EXPECT_EQ(Reap(reader), 0);
  EXPECT_EQ(RecordsOf(reader), 0U);
  close(ends[0]);
}

TEST_P(HookChanges, RemovedPinsArePutBack) {
  const BpfMount pins;
  auto fixture = HookFixture::Create({.pin_root = pins.path(), .syscalls = GetParam()});
  ASSERT_TRUE(fixture.ok()) << fixture.status();
  ASSERT_TRUE((*fixture)->Apply(OpenPolicy("stay", "matchActions: [{action: Sigkill}]")).ok());
  const auto put_back = [&] { return (*fixture)->tables().PutBackPins(); };
  EXPECT_EQ(put_back().value_or(-1), 0) << "nothing is missing";
  std::filesystem::remove_all((*fixture)->programs().life_dir());
  EXPECT_EQ(StatusOfOpen(file()), kKilled) << "the agent holds the link";
  EXPECT_EQ(put_back().value_or(-1), 1);
  EXPECT_EQ(put_back().value_or(-1), 0);
  fixture->reset();
  EXPECT_EQ(StatusOfOpen(file()), kKilled) << "no agent";
  ASSERT_TRUE(bpf::ReleaseHooks(bpf::PinLayout(pins.path())).ok());
}

TEST_P(HookChanges, EnforcementGoesOnWithoutAnAgent) {
  const BpfMount pins;
  const auto start = [&] { return HookFixture::Create({.pin_root = pins.path(), .syscalls = GetParam()}); };
  const std::string policy = OpenPolicy("stay", "matchActions: [{action: Sigkill}]");
  auto first = start();
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE((*first)->Apply(policy).ok());
  first->reset();
  EXPECT_EQ(StatusOfOpen(file()), kKilled) << "no agent";
  EXPECT_EQ(StatusOfOpen(other()), 0);

  auto second = start();
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ(StatusOfOpen(file()), kKilled) << "by the first one's programs";
  ASSERT_TRUE((*second)->Apply(policy).ok());
  ASSERT_TRUE((*second)->programs().EndOthers().ok());
  EXPECT_EQ(StatusOfOpen(file()), kKilled) << "by the second one's";
  EXPECT_GT((*second)->Count("stay", SL_HOOK_COUNT_SIGNALLED), 0U);
  ASSERT_TRUE((*second)->RemoveAll().ok());
  const auto lets_go = [&] { return StatusOfOpen(file()) == 0; };
  for (int i = 0; i < 100 && !lets_go(); ++i) usleep(20000);  // the kernel ends unpinned links a moment later
  EXPECT_TRUE(lets_go()) << "what the first one left has ended";
  EXPECT_EQ(Reap(Fork([&] { OpenFile(other()); })), 0);

  ASSERT_TRUE((*second)->Apply(policy).ok());
  second->reset();
  EXPECT_EQ(StatusOfOpen(file()), kKilled);
  ASSERT_TRUE(bpf::ReleaseHooks(bpf::PinLayout(pins.path())).ok());
  for (int i = 0; i < 100 && !lets_go(); ++i) usleep(20000);
  EXPECT_TRUE(lets_go());
}

}  // namespace
}  // namespace sluice::test
