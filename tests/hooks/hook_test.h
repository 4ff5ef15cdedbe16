// Tests of hook policies that run once for each way to see system calls, over shared programs.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <map>

#include "tests/hooks/hook_fixture.h"
#include "tests/probes/sensor_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {

inline std::string MissingForKprobes() {
  if (bpf::HasKprobes()) return {};
  return "this kernel has no kprobes (CONFIG_KPROBES, CONFIG_KPROBE_EVENTS)";
}

class HookTest : public testing::TestWithParam<bpf::SyscallBackEnd> {
 protected:
  static bool ByKprobe() { return GetParam() == bpf::SyscallBackEnd::kKprobe; }
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (ByKprobe()) {
      if (const std::string missing = MissingForKprobes(); !missing.empty()) GTEST_SKIP() << missing;
    }
    auto& shared = Shared()[GetParam()];
    if (shared == nullptr) {
      auto made = HookFixture::Create({.syscalls = GetParam()});
      ASSERT_TRUE(made.ok()) << made.status();
      shared = std::move(*made);
    }
    fixture_ = shared.get();
    file_ = directory_.Write("secret", "secret\n", 0644);
    other_ = directory_.Write("other", "other\n", 0644);
  }
  void TearDown() override {
    if (fixture_ == nullptr) return;
    EXPECT_TRUE(fixture_->RemoveAll().ok());
    fixture_->Take();
  }
  static void TearDownTestSuite() { Shared().clear(); }

  HookFixture& fixture() { return *fixture_; }
  const std::string& file() const { return file_; }    // what policies look for
  const std::string& other() const { return other_; }  // the negative twin, in the same directory
  const TempDir& directory() const { return directory_; }

  // A policy on openat of `file`, with the selector's further fields: "matchActions: [{action: Sigkill}]".
  std::string OpenPolicy(const std::string& name, const std::string& fields = "", const std::string& ns = "") const {
    const std::string spec = fmt::format(
        "{{kprobes: [{{call: sys_openat, syscall: true, args: [{{index: 1, type: string}}], selectors: [{{matchArgs: "
        "[{{index: 1, operator: Equal, values: [\"{}\"]}}]{}{}}}]}}]}}",
        file(), fields.empty() ? "" : ", ", fields);
    return ns.empty() ? PolicyText(name, spec) : PolicyText(ns, name, spec);
  }
  static std::function<bool(const HookRecord&)> Of(pid_t pid) {
    return [pid](const HookRecord& record) { return record.event.pid == static_cast<std::uint32_t>(pid); };
  }
  // The status of a child that opens the file, after `before`: 0 or a signal.
  static int StatusOfOpen(
      const std::string& path, const std::function<void()>& before = [] {}) {
    return Reap(Fork([&] {
      before();
      const int fd = OpenFile(path);
      _exit(fd < 0 ? -fd : 0);
    }));
  }
  // How often `pid` has a record among those that there are now.
  std::size_t RecordsOf(pid_t pid) {
    std::size_t count = 0;
    for (const HookRecord& record : fixture().Take()) count += Of(pid)(record) ? 1 : 0;
    return count;
  }

 private:
  static std::map<bpf::SyscallBackEnd, std::unique_ptr<HookFixture>>& Shared() {
    static std::map<bpf::SyscallBackEnd, std::unique_ptr<HookFixture>> shared;
    return shared;
  }
  HookFixture* fixture_ = nullptr;
  TempDir directory_;
  std::string file_, other_;
};

#define SL_FOR_EACH_SYSCALL_BACK_END(suite)                                                                \
  INSTANTIATE_TEST_SUITE_P(                                                                                \
      BackEnds, suite, testing::Values(bpf::SyscallBackEnd::kRawTracepoint, bpf::SyscallBackEnd::kKprobe), \
      [](const auto& info) { return info.param == bpf::SyscallBackEnd::kKprobe ? "kprobe" : "raw_tracepoint"; })

inline constexpr int kKilled = SIGKILL;  // a status from wait(2)

}  // namespace sluice::test
