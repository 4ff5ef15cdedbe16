// The real agent names containers, their pods and what owns those, in the records of real processes. The API server and
// the container runtime are played by the test, as in kubernetes_test.cc.
#include <gmock/gmock.h>

#include "tests/e2e_kube/container_cgroup.h"
#include "tests/e2e_kube/kubernetes_fixture.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

class KubernetesNames : public KubernetesFixture {
 protected:
  void SetUp() override {
    KubernetesFixture::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) SL_SKIP_OR_FAIL_IF(cgroups_.Missing());
  }

  // A pod of the Deployment `owner`. `status`: more fields of its status.
  static std::string OwnedPod(const std::string& name, const std::string& owner, const std::string& uid,
                              const std::string& status = "") {
    return fmt::format(
        R"({{"metadata": {{"name": "{0}", "namespace": "shop", "uid": "{2}",
               "labels": {{"app": "{0}", "pod-template-hash": "5d4f8c7b9"}},
               "ownerReferences": [{{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "{1}-5d4f8c7b9",
                                     "uid": "r", "controller": true}}]}},
             "spec": {{"nodeName": "here", "containers": [{{"name": "server"}}]}},
             "status": {{"phase": "Running"{3}}}}})",
        name, owner, uid, status);
  }

  // Runs a program in the pod's network namespace, or the node's, and in the container's cgroup. `marker` finds its
  // record.
  void RunIn(const std::string& pod, const std::string& container, const std::string& marker,
             const std::string& below = "") {
    const test::Arguments command = {"/bin/sh", "-c", cgroups_.Enter(container, below) + "exec /bin/echo " + marker};
    if (pod.empty()) {
      const auto result = fixture_->Run(command);
      ASSERT_TRUE(result.ok() && result->exit_code == 0) << result.status();
    } else {
      const Status status = fixture_->node().netns(fixture_->node().pod(pod)).Run([&] { return RunChecked(command); });
      ASSERT_TRUE(status.ok()) << status;
    }
  }

  std::vector<json> Observe(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"observe", "--all", "-o", "json"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = fixture_->agent().Sluice(all);
    EXPECT_TRUE(result.ok() && result->exit_code == 0) << (result.ok() ? result->err : result.status().ToString());
    std::vector<json> events;
    std::istringstream lines(result.ok() ? result->out : "");
    for (std::string line; std::getline(lines, line);) events.push_back(json::parse(line));
    return events;
  }
  // Of the event of `type` by the program that RunIn ran, what is said now: "shop/web server Deployment/web".
  std::string Said(const std::string& type, const std::string& marker) const {
    for (const json& event : Observe({"--type", type})) {
      if (event["process"].value("arguments", json::array()) != json({marker})) continue;
      const json owner = event.value("owner", json::object());
      return fmt::format("{}/{} {} {}/{}", event.value("namespace", ""), event.value("workload", ""),
                         event["process"].value("containerName", "-"), owner.value("kind", ""),
                         owner.value("name", ""));
    }
    return "nothing";
  }
  bool EventuallySaid(const std::string& type, const std::string& marker, const std::string& wanted) const {
    std::string said;
    const bool right = Eventually([&] {
      said = Said(type, marker);
      return said == wanted;
    });
    EXPECT_EQ(said, wanted);
    return right;
  }
  // Makes the container known to the runtime, and waits until the agent has it.
  void AddContainer(const std::string& id, const std::string& sandbox, const std::string& name) {
    runtime_.AddContainer(id, sandbox, name, 0);
    runtime_.Tell("/tasks/start", id, id);
  }

  ContainerCgroups cgroups_;
};

TEST_F(KubernetesNames, AProcessAndItsFlowsNameContainerPodAndOwner) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPods, OwnedPod("web", "web", "uid-web"));
  AddContainer(Id('a'), "sandbox-web", "server");
  RunIn("web", Id('a'), "first");
  EXPECT_TRUE(EventuallySaid("exec", "first", "shop/web server Deployment/web"));
  EXPECT_TRUE(EventuallySaid("exit", "first", "shop/web server Deployment/web"));
  RunIn("web", Id('a'), "below", "init.scope");
  EXPECT_TRUE(EventuallySaid("exec", "below", "shop/web server Deployment/web"));
  RunIn("db", Id('b'), "bare");
  EXPECT_TRUE(EventuallySaid("exec", "bare", "shop/db - /")) << "no owner, and a container that nobody knows";

  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  const auto flows = Observe({"--type", "flow", "--owner", "deployment/web"});
  ASSERT_FALSE(flows.empty());
  for (const json& flow : flows) {
    EXPECT_EQ(flow["source"]["owner"], json({{"kind", "Deployment"}, {"name", "web"}})) << flow;
    EXPECT_FALSE(flow["destination"].contains("owner")) << flow;
  }
  EXPECT_TRUE(Observe({"--owner", "StatefulSet/web"}).empty());
  EXPECT_THAT(Sluice({"describe", "workload", "shop/web"}), HasSubstr("Deployment/web"));
  EXPECT_THAT(Sluice({"get", "pods", "-o", "wide"}), HasSubstr("Deployment/web"));
  EXPECT_THAT(Sluice({"observe", "--all", "--type", "exec", "-o", "wide"}),
              HasSubstr("(container server, Deployment/web)"));
}

TEST_F(KubernetesNames, ANameThatComesLateIsInTheRecordWhenItIsRead) {
  ASSERT_NO_FATAL_FAILURE(Start());
  RunIn("web", Id('a'), "early");
  ASSERT_TRUE(EventuallySaid("exec", "early", "shop/web - /"));
  AddContainer(Id('a'), "sandbox-web", "server");
  EXPECT_TRUE(EventuallySaid("exec", "early", "shop/web server /"));
  // The kubelet starts it anew.
  runtime_.RemoveContainer(Id('a'));
  AddContainer(Id('b'), "sandbox-web", "server");
  RunIn("web", Id('b'), "again");
  EXPECT_TRUE(EventuallySaid("exec", "again", "shop/web server /"));
  EXPECT_TRUE(EventuallySaid("exec", "early", "shop/web server /")) << "it stays";
}

// Init and ephemeral containers are in the status as all others.
TEST_F(KubernetesNames, TheStatusOfAPodNamesItsContainersToo) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPods, OwnedPod("web", "web", "uid-web",
                            fmt::format(R"(, "initContainerStatuses": [{{"name": "prepare", "containerID":
                                "containerd://{}", "state": {{"terminated": {{"exitCode": 0}}}}}}],
                                "ephemeralContainerStatuses": [{{"name": "debugger-x", "containerID": "cri-o://{}",
                                "state": {{"running": {{}}}}}}])",
                                        Id('c'), Id('d'))));
  RunIn("web", Id('c'), "init");
  EXPECT_TRUE(EventuallySaid("exec", "init", "shop/web prepare Deployment/web"));
  RunIn("web", Id('d'), "debug");
  EXPECT_TRUE(EventuallySaid("exec", "debug", "shop/web debugger-x Deployment/web"));
}

TEST_F(KubernetesNames, APodOnTheHostsNetworkAndAPauseContainerAreNamed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  runtime_.AddSandbox({.id = Id('e'), .pod = "proxy", .host_network = true});
  runtime_.Tell("/tasks/start", Id('e'), Id('e'));
  AddContainer(Id('f'), Id('e'), "kube-proxy");
  RunIn("", Id('f'), "proxy");
  EXPECT_TRUE(EventuallySaid("exec", "proxy", "shop/proxy kube-proxy /"));
  RunIn("", Id('e'), "pause");
  EXPECT_TRUE(EventuallySaid("exec", "pause", "shop/proxy POD /"));
  // As of a static pod: the API server learns of it later.
  api_->Put(kPods, OwnedPod("proxy", "proxy", "uid-proxy"));
  EXPECT_TRUE(EventuallySaid("exec", "proxy", "shop/proxy kube-proxy Deployment/proxy"));
}

TEST_F(KubernetesNames, APodMadeAnewUnderTheNameDoesNotLendItsOwner) {
  ASSERT_NO_FATAL_FAILURE(Start());
  AddContainer(Id('a'), "sandbox-web", "server");
  RunIn("web", Id('a'), "old");
  ASSERT_TRUE(EventuallySaid("exec", "old", "shop/web server /"));
  api_->Put(kPods, OwnedPod("web", "web", "uid-web"));  // its owner adopts it when the container is known already
  ASSERT_TRUE(EventuallySaid("exec", "old", "shop/web server Deployment/web"));
  api_->Delete(kPods, "shop", "web");
  api_->Put(kPods, OwnedPod("web", "another", "uid-another"));
  ASSERT_TRUE(Eventually([&] { return Sluice({"status"}).find("with uid uid-another") != std::string::npos; }));
  RunIn("web", Id('a'), "last");
  EXPECT_TRUE(EventuallySaid("exec", "last", "shop/web server Deployment/web")) << "it is the old one's container";
  EXPECT_TRUE(EventuallySaid("exec", "old", "shop/web server Deployment/web"));
}

}  // namespace
}  // namespace sluice::test
