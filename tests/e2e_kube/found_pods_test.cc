// Pods that no container runtime tells of: real processes in cgroups as a kubelet makes them, found by the real agent.
#include <gmock/gmock.h>
#include <sys/mount.h>
#include <unistd.h>

#include <csignal>

#include "tests/e2e_kube/container_cgroup.h"
#include "tests/e2e_kube/kubernetes_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class FoundPods : public KubernetesFixture {
 protected:
  void SetUp() override {
    KubernetesFixture::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) SL_SKIP_OR_FAIL_IF(cgroups_.Missing());
  }
  ~FoundPods() override {
    ping_.reset();
    processes_.clear();
  }
  std::string Cri() const override { return "proc"; }
  void Prepare(TestNode& node) override {
    StartPod(node, "web", Id('a'));
    StartPod(node, "db", Id('b'));
    if (hides_name_) {
      // As of a runtime whose names of namespaces the agent does not see: the processes are all that leads there.
      ::umount2(node.pod("db").netns_path.c_str(), MNT_DETACH);
      ::unlink(node.pod("db").netns_path.c_str());
    }
    auto ping = node.StartIn(node.pod("web"), {"ping", "-i", "0.01", node.pod("db").ip4});
    ASSERT_TRUE(ping.ok()) << ping.status();
    ping_ = std::make_unique<ChildProcess>(*std::move(ping));
    ASSERT_TRUE(ping_->WaitForOutput("icmp_seq=2 ").ok()) << "as it answers before anything is attached";
  }

  // The first process of a pod's container.
  void StartPod(const TestNode& node, const std::string& pod, const std::string& container) {
    auto started = node.StartIn(
        node.pod(pod), {"/bin/sh", "-c", cgroups_.EnterPod("uid-" + pod, container) + "echo here; exec sleep 600"});
    ASSERT_TRUE(started.ok()) << started.status();
    processes_[pod] = std::make_unique<ChildProcess>(*std::move(started));
    ASSERT_TRUE(processes_[pod]->WaitForOutput("here").ok());
  }
  int Attached(const std::string& pod) const {
    return TcPrograms(fixture_->node(), fixture_->node().pod(pod).host_ifindex);
  }
  std::string Workloads() const { return Sluice({"get", "workloads"}); }

  bool hides_name_ = true;  // of db
  ContainerCgroups cgroups_;
  std::map<std::string, std::unique_ptr<ChildProcess>> processes_;
  std::unique_ptr<ChildProcess> ping_;
};

TEST_F(FoundPods, ThoseFromBeforeAreEnforcedOnWithoutALostPacket) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Attached("web"), 2);
  EXPECT_EQ(Attached("db"), 2);
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_THAT(Workloads(), AllOf(HasSubstr("web"), HasSubstr("db"), Not(HasSubstr("unknown"))));
  EXPECT_THAT(Line(Sluice({"status"}), "cgroups"), AllOf(HasSubstr("cgroups and /proc"), HasSubstr("polling")));

  ASSERT_TRUE(ping_->Signal(SIGINT).ok());
  const auto pinged = ping_->Wait();
  ASSERT_TRUE(pinged.ok()) << pinged.status();
  const std::string summary = pinged->output.substr(pinged->output.find("ping statistics"));
  int sent = 0, received = 0;
  const std::size_t numbers = summary.find('\n') + 1;
  ASSERT_EQ(sscanf(summary.c_str() + numbers, "%d packets transmitted, %d received", &sent, &received), 2) << summary;
  EXPECT_LE(sent - received, 1) << "the last answer may have been under way: " << summary;
}

TEST_F(FoundPods, OneThatComesIsClosedUntilTheApiServerKnowsItAndEndsWithItsNamespace) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Delete(kPolicies, "shop", "db");
  ASSERT_TRUE(EventuallyUdp("new", true));
  StartPod(fixture_->node(), "new", Id('c'));
  EXPECT_TRUE(EventuallyUdp("new", false));
  EXPECT_THAT(Sluice({"status"}), HasSubstr("Pod with uid uid-new: its processes are here"));
  EXPECT_THAT(Workloads(), HasSubstr("uid-new"));
  api_->Put(kPods, Pod("new", "new"));
  EXPECT_TRUE(EventuallyUdp("new", true));
  EXPECT_EQ(Attached("new"), 2);
  EXPECT_THAT(Workloads(), Not(HasSubstr("uid-new")));

  // Without a process it is there as long as its namespace is, also for the next agent.
  processes_["new"].reset();
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_THAT(Workloads(), HasSubstr("new"));
  EXPECT_EQ(Attached("new"), 2);
  ASSERT_TRUE(fixture_->node().RemovePod("new").ok());
  EXPECT_TRUE(Eventually([&] { return Workloads().find("new") == std::string::npos; }));
}

TEST_F(FoundPods, ThePluginTellsMoreOfTheSamePod) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPods, Pod("new", "new"));
  StartPod(fixture_->node(), "new", Id('c'));
  ASSERT_TRUE(Eventually([&] { return Attached("new") == 2; }));
  const std::string before = Workloads();
  const TestPod& pod = fixture_->node().pod("new");
  const CommandResult added =
      RunCni(BinDirectory() + "/sluice-cni", "ADD", Id('c'), pod.netns_path, "new",
             fmt::format(
                 R"({{"cniVersion": "1.0.0", "name": "net", "type": "sluice-cni", "socket": "{}/cni.sock", "prevResult":
          {{"cniVersion": "1.0.0", "ips": [{{"address": "{}/32"}}]}}}})",
                 directory_, pod.ip4));
  EXPECT_EQ(added.exit_code, 0) << added.output;
  EXPECT_EQ(Workloads(), before) << "one workload, as before";
}

TEST_F(FoundPods, ProcessesAreThePodsAndContainersAreNamedByTheApiServer) {
  ASSERT_NO_FATAL_FAILURE(Start());
  std::string pod = Pod("web", "web");
  pod.insert(
      pod.rfind("\"phase\""),
      fmt::format(R"("containerStatuses": [{{"name": "server", "containerID": "containerd://{}"}}], )", Id('a')));
  api_->Put(kPods, pod);
  const auto said = [&] {
    const auto ran = fixture_->node().RunCommandIn(
        fixture_->node().pod("web"),
        {"/bin/sh", "-c", cgroups_.EnterPod("uid-web", Id('a')) + "exec /bin/echo marker"});
    EXPECT_TRUE(ran.ok() && ran->exit_code == 0);
    const auto events = fixture_->agent().Sluice({"observe", "--all", "-o", "json", "--type", "exec"});
    std::istringstream lines(events.ok() ? events->out : "");
    std::string last;
    for (std::string line; std::getline(lines, line);) {
      const json event = json::parse(line);
      if (event["process"].value("arguments", json::array()) != json({"marker"})) continue;
      last = event.value("namespace", "") + "/" + event.value("workload", "") + " " +
             event["process"].value("containerName", "-");
    }
    return last;
  };
  EXPECT_TRUE(Eventually([&] { return said() == "shop/web server"; })) << said();
}

// A runtime that answers is asked from then on, and knows the pods that were found.
class FoundThenListed : public FoundPods {
 protected:
  static constexpr const char* kDirectory = "/run/crio";
  static constexpr const char* kSocket = "/run/crio/crio.sock";
  ~FoundThenListed() override {
    if (!linked_) return;
    ::unlink(kSocket);
    ::rmdir(kDirectory);
  }
  FoundThenListed() { hides_name_ = false; }
  std::string Cri() const override { return "auto"; }

  bool linked_ = false;
};

TEST_F(FoundThenListed, AutoAsksTheRuntimeOnceItAnswers) {
  for (const char* used : {"/run/containerd/containerd.sock", kSocket, "/run/k3s/containerd/containerd.sock"}) {
    const std::string problem = std::string(used) + " is a container runtime's of this machine";
    SL_SKIP_OR_FAIL_IF(std::filesystem::exists(used) ? problem : "");
  }
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Attached("web"), 2);
  EXPECT_THAT(Sluice({"status"}), HasSubstr("cgroups and /proc"));
  std::filesystem::create_directories(kDirectory);
  std::filesystem::create_symlink(runtime_.endpoint().substr(std::string("unix://").size()), kSocket);
  linked_ = true;
  EXPECT_TRUE(Eventually([&] { return Sluice({"status"}).find("container runtime") != std::string::npos; }));
  EXPECT_THAT(Sluice({"status"}), AllOf(::testing::StartsWith("enforcing"), Not(HasSubstr("cgroups and /proc"))));
  EXPECT_EQ(Attached("web"), 2);
  EXPECT_THAT(Workloads(), AllOf(HasSubstr("web"), HasSubstr("db")));
}

}  // namespace
}  // namespace sluice::test
