// Policies that come, go and are replaced, errors, full rings, and enforcement without an agent.
#include <atomic>
#include <filesystem>
#include <thread>

#include "kernel/bpf/hook.h"
#include "kernel/bpf/hook_pins.h"
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
  std::vector<std::uint64_t> Used() {
    std::vector<std::uint64_t> used;
    for (const hooks::TableFill& fill : fixture().tables().Fill()) used.push_back(fill.used);
    return used;
  }
};
SL_FOR_EACH_SYSCALL_BACK_END(HookChanges);

TEST_P(HookChanges, AHundredTimesInForceLeavesNothing) {
  const std::string policy = OpenPolicy("again", "matchActions: [{action: Sigkill}]");
  ASSERT_TRUE(fixture().Apply(policy).ok());
  ASSERT_TRUE(fixture().RemoveAll().ok());
  const std::size_t files = Files();
  const auto used = Used();
  ASSERT_EQ(Links(), 0U);
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(fixture().Apply(policy).ok());
    const bool look = i % 20 == 0;
    if (look) {
      EXPECT_EQ(StatusOfOpen(file()), kKilled);
    }
    ASSERT_TRUE(fixture().RemoveAll().ok());
    if (look) {
      EXPECT_EQ(StatusOfOpen(file()), 0);
    }
  }
  EXPECT_EQ(Files(), files);
  EXPECT_EQ(Links(), 0U);
  EXPECT_EQ(Used(), used);
  for (const std::uint64_t place : used) EXPECT_EQ(place, 0U);
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
