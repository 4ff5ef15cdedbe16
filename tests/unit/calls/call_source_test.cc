// Records -> events, without a kernel.
#include "telemetry/calls/call_source.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sluice::telemetry {
namespace {

constexpr std::uint64_t kStart = 5'000'000'000;

ClockReading FixedClock() { return {.monotonic_ns = 10'000'000'000, .realtime_ns = 1'700'000'010'000'000'000}; }

std::string RecordOf(const sl_call_event& event) { return {reinterpret_cast<const char*>(&event), sizeof(event)}; }

sl_call_event KillBy(std::uint32_t pid, sl_process_id process, std::uint64_t cgroup = 77) {
  sl_call_event event{};
  event.kind = SL_CALL_KILL;
  event.time_ns = 7'000'000'000;
  event.pid = event.tid = pid;
  event.process = process;
  event.birth_ns = kStart;
  event.cgroup = cgroup;
  event.uid = 1;
  event.login_uid = ~0U;
  event.arguments[0] = 4711;
  event.arguments[1] = 9;
  std::strcpy(reinterpret_cast<char*>(event.comm), "worker");
  return event;
}

// A process of the tree: the sensors' record of it.
void AddProcess(ProcessTree& tree, sl_process_id id, std::uint32_t pid, sl_process_id parent, const std::string& binary,
                const std::string& cgroup_path, std::uint64_t cgroup = 77) {
  ProcessRecord record;
  record.start.header.id = id;
  record.start.header.pid = pid;
  record.start.header.parent = parent;
  record.start.header.start_ns = record.start.header.birth_ns = kStart;
  record.start.header.cgroup = cgroup;
  record.start.header.event = SL_PROCESS_EVENT_EXEC;
  record.start.header.flags = SL_PROCESS_EXECED;
  record.start.tid = pid;
  record.start.cgroup_length = static_cast<std::uint16_t>(cgroup_path.size());
  std::strcpy(reinterpret_cast<char*>(record.start.comm), "started");
  record.binary = binary;
  record.argument0 = binary;
  record.arguments = {"-x"};
  record.cgroup_path = cgroup_path;
  tree.Apply(record);
}

struct Seen {
  std::uint64_t number = 0, time_ns = 0;
  std::string name, path, parent, arguments, container, cgroup_path;
  std::optional<bool> known;
};

class CallSourceTest : public testing::Test {
 protected:
  CallSource& Source() {
    if (source_ == nullptr)
      source_ = std::make_unique<CallSource>(
          CallSource::Options{.node = "n",
                              .owner = {},
                              .catch_up = [this] { CatchUp(); },
                              .names = {},
                              .cgroup_path = [this](std::uint32_t, std::uint64_t cgroup) { return PathOf(cgroup); },
                              .clock = FixedClock},
          nullptr, &tree_,
          [this](const policy::rules::Event& event, const ProcessInstance* instance, const CallOwner&) {
            Seen seen{.number = event.number, .time_ns = event.time_ns, .known = instance != nullptr};
            seen.name = event.process->name;
            seen.path = event.process->executable.path;
            if (event.process->parent != nullptr) seen.parent = event.process->parent->executable.path;
            for (const auto& argument : event.arguments)
              seen.arguments += std::string(argument.name) + "=" + std::string(argument.text) + " ";
            if (event.container != nullptr) seen.container = event.container->id;
            if (instance != nullptr && instance->cgroup_path != nullptr) seen.cgroup_path = *instance->cgroup_path;
            seen_.push_back(seen);
          });
    return *source_;
  }

  void Feed(const sl_call_event& event) {
    const std::string bytes = RecordOf(event);
    Source().Consume(bytes.data(), bytes.size());
  }

  void CatchUp() {
    ++caught_up_;
    if (late_) AddProcess(tree_, *late_, 200, 1, "/bin/late", "/system.slice");
    late_.reset();
  }

  std::optional<std::string> PathOf(std::uint64_t cgroup) const {
    const auto known = paths_.find(cgroup);
    return known == paths_.end() ? std::nullopt : std::optional(known->second);
  }

  std::map<std::uint64_t, std::string> paths_;  // of cgroups that processes move to
  ProcessTree tree_;
  std::unique_ptr<CallSource> source_;
  std::vector<Seen> seen_;
  int caught_up_ = 0;
  std::optional<sl_process_id> late_;  // comes into the tree when it is waited for
};

TEST_F(CallSourceTest, AnEventHasItsProcessItsParentAndItsContainer) {
  AddProcess(tree_, 1, 100, 0, "/bin/parent", "/system.slice");
  AddProcess(tree_, 2, 200, 1, "/bin/child", "/kubepods/" + std::string(64, 'a'), 88);
  Feed(KillBy(200, 2, 88));
  Source().Tick();
  ASSERT_EQ(seen_.size(), 1U);
  EXPECT_EQ(seen_[0].number, 1U);
  EXPECT_EQ(seen_[0].time_ns, 1'700'000'007'000'000'000U);  // the wall clock
  EXPECT_EQ(seen_[0].name, "worker");                       // as it is at the call
  EXPECT_EQ(seen_[0].path, "/bin/child");
  EXPECT_EQ(seen_[0].parent, "/bin/parent");
  EXPECT_EQ(seen_[0].arguments, "res=0 pid=4711 sig=SIGKILL ");
  EXPECT_EQ(seen_[0].container, std::string(12, 'a'));
  Feed(KillBy(100, 1));
  Source().Tick();
  EXPECT_EQ(seen_[1].container, "host");
  EXPECT_EQ(caught_up_, 0);
}

TEST_F(CallSourceTest, AProcessThatIsNotReadYetIsWaitedForOnce) {
  late_ = 3;
  Feed(KillBy(200, 3));
  Source().Tick();
  EXPECT_EQ(caught_up_, 1);
  EXPECT_EQ(seen_.at(0).path, "/bin/late");
  for (int i = 0; i < 3; ++i) {
    Feed(KillBy(300, 9, 99));  // it never comes
    Source().Tick();
  }
  EXPECT_EQ(caught_up_, 2);
  EXPECT_EQ(seen_.size(), 4U);
  EXPECT_EQ(seen_[3].known, false);
  EXPECT_EQ(seen_[3].name, "worker");
  EXPECT_EQ(seen_[3].container, "");  // not known
  EXPECT_EQ(Source().counters().unknown_processes, 3U);
  Feed(KillBy(301, 10));  // but where it is is known from others
  Source().Tick();
  EXPECT_EQ(seen_[4].container, "host");
}

TEST_F(CallSourceTest, AProcessThatHasMovedIsOfNoKnownContainer) {
  AddProcess(tree_, 2, 200, 0, "/bin/child", "/kubepods/" + std::string(64, 'a'));
  sl_call_event moved = KillBy(200, 2);
  moved.cgroup = 78;
  Feed(moved);
  Source().Tick();
  EXPECT_EQ(seen_.at(0).container, "");
}

// As runc does before it runs the container's program.
TEST_F(CallSourceTest, AProcessThatHasMovedIsInItsNewContainer) {
  AddProcess(tree_, 2, 200, 0, "/bin/child", "/system.slice");
  paths_[78] = "/kubepods/" + std::string(64, 'b');
  Feed(KillBy(200, 2));
  sl_call_event moved = KillBy(200, 2);
  moved.cgroup = 78;
  Feed(moved);
  Source().Tick();
  EXPECT_EQ(seen_.at(0).container, "host");
  EXPECT_EQ(seen_.at(1).container, std::string(12, 'b'));
  EXPECT_EQ(seen_.at(1).cgroup_path, paths_[78]) << "of the process, too";
}

TEST_F(CallSourceTest, WhatIsNoRecordIsCounted) {
  Source().Consume("short", 5);
  sl_call_event wrong = KillBy(1, 1);
  wrong.kind = 99;
  Feed(wrong);
  Source().Tick();
  EXPECT_TRUE(seen_.empty());
  EXPECT_EQ(Source().counters().malformed, 2U);
  EXPECT_TRUE(Source().TakeLosses().empty());
}

TEST_F(CallSourceTest, ManyRecordsArePassedOnWithoutATick) {
  for (int i = 0; i < 1000; ++i) Feed(KillBy(300, 0));
  EXPECT_GE(seen_.size(), 512U);
  Source().Tick();
  ASSERT_EQ(seen_.size(), 1000U);
  for (std::size_t i = 0; i < seen_.size(); ++i) EXPECT_EQ(seen_[i].number, i + 1);
}

}  // namespace
}  // namespace sluice::telemetry
