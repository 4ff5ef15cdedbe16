#include "telemetry/process/process_events.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::telemetry {
namespace {

class ProcessEventsTest : public ::testing::Test {
 protected:
  void Exec(sl_process_id id, const std::vector<std::string>& arguments) {
    auto record =
        DecodeProcessRecord(ExecBytes({.id = id, .pid = 10, .start_ns = id, .birth_ns = 1}, "/bin/x", "x", ""));
    ASSERT_TRUE(record.ok()) << record.status();
    record->arguments = arguments;
    tree_.Apply(*record);
  }
  v1::Process Peer(sl_process_id id) const {
    v1::Process process;
    EXPECT_TRUE(events_.ToPeer(id, &process));
    return process;
  }
  static bool IsCut(const v1::Process& process) {
    return std::ranges::find(process.flags(), v1::Process::ARGUMENTS_TRUNCATED) != process.flags().end();
  }

  ProcessTree tree_;
  ProcessEvents events_{"node-1", &tree_, {}, [] { return ClockReading{}; }};
};

// Each event at a flow's end repeats the arguments.
TEST_F(ProcessEventsTest, AFlowsEndHasFewOfManyArguments) {
  const std::vector<std::string> many(20000, "x");
  Exec(1, many);
  const v1::Process peer = Peer(1);
  EXPECT_LT(peer.SpaceUsedLong(), 40000U);
  EXPECT_GT(peer.arguments_size(), 100);
  EXPECT_TRUE(IsCut(peer));
  v1::Process whole;
  events_.ToProto(*tree_.Find(1), &whole);
  EXPECT_EQ(whole.arguments_size(), 20000);
  EXPECT_FALSE(IsCut(whole));
}

TEST_F(ProcessEventsTest, AFlowsEndHasAllOfFewArguments) {
  Exec(1, {"-c", std::string(10000, 'x')});
  EXPECT_EQ(Peer(1).arguments_size(), 2);
  EXPECT_FALSE(IsCut(Peer(1)));
}

class ProcessNamesTest : public ProcessEventsTest {
 protected:
  static inline const std::string kId = std::string(60, 'a') + "0123";

  // An instance whose cgroup is the one of the container `kId`.
  static ProcessInstance InContainer() {
    ProcessInstance instance;
    instance.id = 7;
    instance.pid = 70;
    instance.cgroup_path = std::make_shared<const std::string>("/kubepods/pod1/" + kId);
    return instance;
  }
  ProcessEvents Events(const std::optional<policy::ObjectName>& workload) {
    ProcessNames names{.containers = &containers_};
    names.workload = [workload](const ProcessInstance&) { return workload; };
    names.owner = [](const policy::ObjectName& name) {
      return std::make_shared<const policy::PodOwner>(policy::PodOwner{"StatefulSet", "of-" + name.name});
    };
    return {"node-1", &tree_, std::move(names), [] { return ClockReading{}; }};
  }

  ContainerNames containers_;
};

TEST_F(ProcessNamesTest, AProcessOfAWorkloadHasItsContainerAndItsOwner) {
  const ProcessEvents events = Events(policy::ObjectName{"shop", "web-0"});
  v1::Event exec = events.MakeExec(InContainer());
  EXPECT_EQ(exec.exec().process().container_id(), kId);
  EXPECT_EQ(exec.exec().process().container_name(), "") << "not known yet";
  EXPECT_EQ(exec.exec().workload(), "web-0");
  EXPECT_EQ(exec.exec().owner().kind(), "StatefulSet");
  EXPECT_EQ(exec.exec().owner().name(), "of-web-0");
  containers_.Set("runtime", {{.id = kId, .name = "server", .pod = {"shop", "web-0"}}});
  for (const v1::Event& event : {events.MakeExec(InContainer()), events.MakeFork(InContainer())}) {
    const v1::Process& process = event.has_exec() ? event.exec().process() : event.fork().process();
    EXPECT_EQ(process.container_name(), "server");
  }
  const v1::Event exit = events.MakeExit(InContainer());
  EXPECT_EQ(exit.exit().process().container_name(), "server");
  EXPECT_EQ(exit.exit().owner().kind(), "StatefulSet");
}

// The name may be another pod's by now, the container's id is not.
TEST_F(ProcessNamesTest, TheOwnerOfTheContainersPodComesFirst) {
  containers_.Set("pod", {{.id = kId,
                           .name = "server",
                           .pod = {"shop", "web-0"},
                           .owner = std::make_shared<const policy::PodOwner>(policy::PodOwner{"Job", "once"})}});
  EXPECT_EQ(Events(policy::ObjectName{"shop", "web-0"}).MakeExit(InContainer()).exit().owner().kind(), "Job");
}

TEST_F(ProcessNamesTest, OneOnTheHostsNetworkIsOfItsContainersPod) {
  const ProcessEvents events = Events(std::nullopt);
  EXPECT_EQ(events.MakeExec(InContainer()).exec().workload(), "");
  containers_.Set("runtime", {{.id = kId, .name = "proxy", .pod = {"kube-system", "proxy-1"}}});
  const v1::Event exec = events.MakeExec(InContainer());
  EXPECT_EQ(exec.exec().namespace_(), "kube-system");
  EXPECT_EQ(exec.exec().workload(), "proxy-1");
  EXPECT_FALSE(exec.exec().has_owner()) << "not by the name of a workload that it is not";
  EXPECT_EQ(events.WorkloadOf(InContainer()), (policy::ObjectName{"kube-system", "proxy-1"}));
}

TEST_F(ProcessNamesTest, OneOutsideContainersHasNone) {
  containers_.Set("runtime", {{.id = kId, .name = "server", .pod = {"shop", "web-0"}}});
  ProcessInstance instance = InContainer();
  instance.cgroup_path = std::make_shared<const std::string>("/system.slice/sshd.service");
  const v1::Event exec = Events(std::nullopt).MakeExec(instance);
  EXPECT_EQ(exec.exec().process().container_name(), "");
  EXPECT_EQ(exec.exec().workload(), "");
  EXPECT_FALSE(exec.exec().has_owner());
}

TEST_F(ProcessEventsTest, WhoIsNotKnownIsNoPeer) {
  v1::Process process;
  EXPECT_FALSE(events_.ToPeer(7, &process));
}

}  // namespace
}  // namespace sluice::telemetry
