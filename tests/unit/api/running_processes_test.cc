#include "ctrl/api/running_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::api {
namespace {

using telemetry::ExecBytes;
using telemetry::ExitBytes;
using telemetry::ForkBytes;
using telemetry::Header;
using ::testing::ElementsAre;

class RunningProcesses : public testing::Test {
 protected:
  void Apply(const std::string& bytes) {
    const auto record = telemetry::DecodeProcessRecord(bytes);
    ASSERT_TRUE(record.ok()) << record.status();
    tree_.Apply(*record);
  }
  void Exec(Header header, const std::string& binary) {
    header.flags |= SL_PROCESS_EXECED;
    Apply(ExecBytes(header, binary, "x\0", ""));
  }

  // "shop/web 11 /bin/sleep <10"; the last number is the parent's pid, if it has one.
  std::vector<std::string> List(const std::string& ns = "", const std::string& name = "") const {
    v1::GetRequest request;
    request.set_namespace_(ns);
    request.set_name(name);
    std::vector<std::string> out;
    ListRunningProcesses(tree_, events_, request, [&](const v1::RunningProcess& one) {
      const std::string workload = one.workload().empty() ? "-" : one.namespace_() + "/" + one.workload();
      const std::string parent = one.has_parent_pid() ? fmt::format(" <{}", one.parent_pid()) : "";
      out.push_back(fmt::format("{} {} {}{}", workload, one.process().pid(), one.process().binary(), parent));
      return out.size() < enough_;
    });
    return out;
  }

  std::size_t enough_ = 1000;
  telemetry::ProcessTree tree_;
  // The cgroup is the workload's number; cgroup 1 has no workload.
  static std::optional<policy::ObjectName> WorkloadOf(const telemetry::ProcessInstance& instance) {
    if (instance.cgroup == 2) return policy::ObjectName{"shop", "web"};
    if (instance.cgroup == 3) return policy::ObjectName{"shop", "db"};
    if (instance.cgroup == 4) return policy::ObjectName{"bank", "web"};
    return std::nullopt;
  }
  telemetry::ProcessEvents events_{
      "node-1", &tree_, {.workload = WorkloadOf}, [] { return telemetry::ClockReading{}; }};
};

TEST_F(RunningProcesses, WhoHasEnoughGetsNoMore) {
  for (std::uint32_t pid : {1, 2, 3}) Exec({.id = pid, .pid = pid, .start_ns = pid, .birth_ns = pid}, "/bin/sh");
  enough_ = 2;
  EXPECT_EQ(List().size(), 2U);
}

TEST_F(RunningProcesses, NoneAreNone) { EXPECT_THAT(List(), ElementsAre()); }

TEST_F(RunningProcesses, AreInTheOrderOfTheirBirthWithWhoForkedThem) {
  Exec({.id = 1, .pid = 30, .start_ns = 9, .birth_ns = 1}, "/bin/sh");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 20, .start_ns = 10, .birth_ns = 10}));
  Apply(ForkBytes({.id = 3, .parent = 2, .pid = 10, .start_ns = 11, .birth_ns = 11}));
  EXPECT_THAT(List(), ElementsAre("- 30 /bin/sh", "- 20 /bin/sh <30", "- 10 /bin/sh <20"));
}

TEST_F(RunningProcesses, ParentThatExecutedSomethingSinceIsStillTheParent) {
  Exec({.id = 1, .pid = 10, .start_ns = 1, .birth_ns = 1}, "/bin/sh");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 5, .birth_ns = 5}));
  Exec({.id = 3, .parent = 1, .pid = 11, .start_ns = 6, .birth_ns = 5, .previous = 2}, "/bin/sleep");
  Exec({.id = 4, .pid = 10, .start_ns = 7, .birth_ns = 1, .previous = 1}, "/bin/cat");
  EXPECT_THAT(List(), ElementsAre("- 10 /bin/cat", "- 11 /bin/sleep <10"));
}

TEST_F(RunningProcesses, ChildOfOneThatEndedBelongsToTheNextThatLives) {
  Exec({.id = 1, .pid = 10, .start_ns = 1, .birth_ns = 1}, "/bin/init");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 5, .birth_ns = 5}));
  Apply(ForkBytes({.id = 3, .parent = 2, .pid = 12, .start_ns = 6, .birth_ns = 6}));
  Apply(ExitBytes({.id = 2, .pid = 11, .birth_ns = 5, .time_ns = 8}, 0));
  EXPECT_THAT(List(), ElementsAre("- 10 /bin/init", "- 12 /bin/init <10"));
}

TEST_F(RunningProcesses, PidOfADeadParentThatComesAgainIsNotTheParent) {
  Exec({.id = 1, .pid = 10, .start_ns = 1, .birth_ns = 1}, "/bin/sh");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 5, .birth_ns = 5}));
  Apply(ExitBytes({.id = 1, .pid = 10, .birth_ns = 1, .time_ns = 8}, 0));
  Exec({.id = 3, .pid = 10, .start_ns = 9, .birth_ns = 9}, "/bin/other");
  EXPECT_THAT(List(), ElementsAre("- 11 /bin/sh", "- 10 /bin/other"));
}

TEST_F(RunningProcesses, KernelThreadsAreLeftOut) {
  Apply(ForkBytes({.id = 1, .pid = 2, .start_ns = 1, .birth_ns = 1, .flags = SL_PROCESS_KERNEL_THREAD}));
  Exec({.id = 2, .pid = 10, .start_ns = 1, .birth_ns = 1}, "/bin/sh");
  EXPECT_THAT(List(), ElementsAre("- 10 /bin/sh"));
}

TEST_F(RunningProcesses, NamespaceAndNameAreThoseOfTheWorkload) {
  std::uint32_t number = 0;
  for (const std::uint64_t cgroup : {1, 2, 3, 4}) {
    ++number;
    Exec({.id = number, .pid = number, .start_ns = number, .birth_ns = number, .cgroup = cgroup}, "/bin/sh");
  }
  EXPECT_THAT(List(), ElementsAre("- 1 /bin/sh", "shop/web 2 /bin/sh", "shop/db 3 /bin/sh", "bank/web 4 /bin/sh"));
  EXPECT_THAT(List("shop"), ElementsAre("shop/web 2 /bin/sh", "shop/db 3 /bin/sh"));
  EXPECT_THAT(List("shop", "web"), ElementsAre("shop/web 2 /bin/sh"));
  EXPECT_THAT(List("", "web"), ElementsAre("shop/web 2 /bin/sh", "bank/web 4 /bin/sh"));
  EXPECT_THAT(List("shop", "cache"), ElementsAre());
}

TEST_F(RunningProcesses, ParentOfAnotherWorkloadIsNamedToo) {
  Exec({.id = 1, .pid = 10, .start_ns = 1, .birth_ns = 1, .cgroup = 1}, "/bin/runtime");
  Apply(ForkBytes({.id = 2, .parent = 1, .pid = 11, .start_ns = 5, .birth_ns = 5, .cgroup = 2}));
  EXPECT_THAT(List("shop"), ElementsAre("shop/web 11 /bin/runtime <10"));
}

}  // namespace
}  // namespace sluice::api
