// Which processes of a workload are not under its rules yet, since a container runtime has moved them there: with the
// real sensors, which know whose programs a process runs.
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>

#include "policy/lsm/compile.h"
#include "tests/lsm/lsm_fixture.h"
#include "tests/support/environment.h"

namespace sluice::test {
namespace {

class LsmEntering : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_BPF();
    if (const std::string missing = MissingForLsm(); !missing.empty()) GTEST_SKIP() << missing;
    auto sensors = SensorFixture::Create({});
    ASSERT_TRUE(sensors.ok()) << sensors.status();
    sensors_ = *std::move(sensors);
    auto store = lsm::LsmStore::Create({.processes_fd = sensors_->sensor().map_fd("processes")});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    secret_ = directory_.Write("secret", "secret\n", 0644);
    public_ = directory_.Write("public", "public\n", 0644);
    const auto compiled = policy::lsm::Compile(
        {{.key = "w", .policies = ParseLsm({"{file: {matchPaths: [{path: " + secret_ + "}]}}"}), .postures = {}}},
        {.seed = 9});
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    const Status replaced = store_->Replace(*compiled);
    ASSERT_TRUE(replaced.ok()) << replaced;
  }
  void SetSubject(bool of_runtime) {
    const Status set =
        store_->SetSubjects({{.key = "w", .cgroups = {cgroup_.id()}, .netns = {}, .of_runtime = of_runtime}});
    ASSERT_TRUE(set.ok()) << set;
  }
  // In a child that enters the workload: the error number, without another exec.
  int OpenInside(const std::string& path) const {
    return WEXITSTATUS(Reap(Fork([&] {
      cgroup_.Enter();
      _exit(OpenError(path));
    })));
  }
  // As a container's first process: with a mount namespace of its own, it executes a program that opens the file.
  // True: it could.
  void ReadAsContainer(const std::string& path) const {
    cgroup_.Enter();
    if (unshare(CLONE_NEWNS) != 0) _exit(97);
    _exit(ExecError({"/bin/cat", path}) + 100);
  }
  int CatInside(const std::string& path) const {
    return WEXITSTATUS(Reap(Fork([&] { ReadAsContainer(path); })));
  }

  TempDir directory_;
  Cgroup cgroup_;
  std::string secret_, public_;
  std::unique_ptr<SensorFixture> sensors_;
  std::unique_ptr<lsm::LsmStore> store_;
};

TEST_F(LsmEntering, AWorkloadInTheHostsMountNamespaceIsUnderItsRules) {
  SetSubject(false);
  EXPECT_EQ(OpenInside(secret_), EPERM);
  EXPECT_EQ(OpenInside(public_), 0);
  const auto cat = [&](const std::string& path) {
    return WEXITSTATUS(Reap(Fork([&] {
      cgroup_.Enter();
      _exit(ExecError({"/bin/cat", path}) + 100);
    })));
  };
  EXPECT_EQ(cat(secret_), 1);
  EXPECT_EQ(cat(public_), 0);
}

TEST_F(LsmEntering, ARuntimesProcessIsUnderRulesFromItsFirstExecInTheContainer) {
  SetSubject(true);
  EXPECT_EQ(OpenInside(secret_), 0) << "of the runtime still";
  EXPECT_EQ(CatInside(secret_), 1);
  EXPECT_EQ(CatInside(public_), 0);
}

// The sensors end with the agent; what they knew of a process must not outlive its next exec.
TEST_F(LsmEntering, WhatTheSensorsNotedIsOfThatInstanceOnly) {
  SetSubject(true);
  Arrival begun;
  Gate sensors_ended;
  const pid_t child = Fork([&] {
    if (write(begun.fd(), "x", 1) != 1) _exit(96);
    sensors_ended.Wait();
    ReadAsContainer(secret_);
  });
  ASSERT_TRUE(begun.Wait());
  sensors_.reset();
  sensors_ended.Open();
  EXPECT_EQ(WEXITSTATUS(Reap(child)), 1);
}

}  // namespace
}  // namespace sluice::test
