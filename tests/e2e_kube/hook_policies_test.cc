// Hook policies of an API server, and whom they are for by what the API server and the container runtime say: labels of
// this node, and containers. With the real agent and real programs.
#include <gmock/gmock.h>

#include "tests/e2e_kube/container_cgroup.h"
#include "tests/e2e_kube/kubernetes_fixture.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kKilled = 128 + SIGKILL;

class KubernetesHookPolicies : public KubernetesFixture {
 protected:
  void SetUp() override {
    KubernetesFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    for (const char* name : {"secret", "public"}) std::ofstream(directory_ + "/" + name) << name << "\n";
  }
  void Prepare(TestNode&) override {
    api_->Serve(kHookPolicies);
    api_->Serve(kNamespacedHookPolicies);
    for (const auto& [path, object] : objects_) api_->Put(path, object);
  }

  // Kills who opens the file `secret`. `scope`: fields of spec.
  std::string Policy(const std::string& name, const std::string& scope, const std::string& ns = "",
                     const std::string& call = "sys_openat") const {
    json spec = json::parse("{" + scope + "}");
    spec["kprobes"] = {{{"call", call},
                        {"syscall", call.starts_with("sys_")},
                        {"args", {{{"index", 1}, {"type", "string"}}}},
                        {"selectors",
                         {{{"matchArgs", {{{"index", 1}, {"operator", "Equal"}, {"values", {directory_ + "/secret"}}}}},
                           {"matchActions", {{{"action", "Sigkill"}}}}}}}}};
    json object = {{"metadata", {{"name", name}, {"uid", "uid-" + name}}}, {"spec", spec}};
    if (!ns.empty()) object["metadata"]["namespace"] = ns;
    return object.dump();
  }
  // The exit code of `cat` of a file in the pod's network namespace. `line`: of shell, before it.
  int Cat(const std::string& pod, const std::string& name, const std::string& line = "") {
    return ExitCodeIn(*fixture_, pod, {"/bin/sh", "-c", line + "exec /bin/cat " + directory_ + "/" + name});
  }
  bool EventuallyKills(const std::string& pod, bool kills, const std::string& line = "") {
    return Eventually([&] { return Cat(pod, "secret", line) == (kills ? kKilled : 0); });
  }
  std::string StateOf(const std::string& name) const {
    const auto document = json::parse(Sluice({"get", "tracingpolicies", name, "-o", "json"}), nullptr, false);
    return document.is_object() && document.contains("status") ? document["status"].value("state", "") : "";
  }

  std::vector<std::pair<std::string, std::string>> objects_;  // of the API server, before the agent starts
};

const char kWebOnly[] = R"("podSelector": {"matchLabels": {"app": "web"}})";

TEST_F(KubernetesHookPolicies, AreInForceAsTheApiServerSays) {
  objects_ = {{kNamespacedHookPolicies, Policy("first", kWebOnly, "shop")}};
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Cat("web", "secret"), kKilled) << "from the start" << fixture_->agent().Log();
  EXPECT_EQ(Cat("web", "public"), 0);
  EXPECT_EQ(Cat("db", "secret"), 0);
  EXPECT_THAT(Sluice({"get", "tracingpoliciesnamespaced", "-n", "shop"}), HasSubstr("first"));

  api_->Put(kNamespacedHookPolicies, Policy("first", R"("podSelector": {"matchLabels": {"app": "db"}})", "shop"));
  EXPECT_TRUE(EventuallyKills("db", true));
  EXPECT_EQ(Cat("web", "secret"), 0);
  api_->Delete(kNamespacedHookPolicies, "shop", "first");
  EXPECT_TRUE(EventuallyKills("db", false));
  api_->Put(kHookPolicies, Policy("all", kWebOnly));
  EXPECT_TRUE(EventuallyKills("web", true));
  // A pod that starts has it before its first process runs; its labels change.
  api_->Put(kPods, Pod("new", "web"));
  AddSandbox(fixture_->node(), "new");
  EXPECT_TRUE(EventuallyKills("new", true));
  api_->Put(kPods, Pod("new", "other"));
  EXPECT_TRUE(EventuallyKills("new", false));
  // The server is away: what it said stays.
  api_->GoAway();
  EXPECT_EQ(Cat("web", "secret"), kKilled);
  EXPECT_EQ(Cat("db", "secret"), 0);
}

// docs/kubernetes.md has the order of sources.
TEST_F(KubernetesHookPolicies, OneThatIsAppliedIsUsedInsteadOfTheServers) {
  objects_ = {{kHookPolicies, Policy("files", kWebOnly)}};
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_EQ(Cat("web", "secret"), kKilled);
  json own = json::parse(Policy("files", R"("podSelector": {"matchLabels": {"app": "db"}})"));
  own["apiVersion"] = "cilium.io/v1alpha1";
  own["kind"] = "TracingPolicy";
  own["metadata"].erase("uid");
  const auto applied = fixture_->agent().Sluice({"apply", "-f", "-"}, own.dump());
  ASSERT_TRUE(applied.ok() && applied->exit_code == 0) << applied->err;
  EXPECT_EQ(Cat("db", "secret"), kKilled);
  EXPECT_EQ(Cat("web", "secret"), 0);
  EXPECT_EQ(fixture_->agent().Sluice({"delete", "tracingpolicy", "files"})->exit_code, 0);
  EXPECT_EQ(Cat("db", "secret"), 0);
  EXPECT_EQ(Cat("web", "secret"), kKilled) << "the server still has its own";
}

TEST_F(KubernetesHookPolicies, WhereAPersonHasToActAnEventSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kHookPolicies, Policy("wrong", "", "", "sys_nothing"));
  api_->Put(kHookPolicies, Policy("missing", "", "", "no_such_function"));
  api_->Put(kHookPolicies, Policy("good", kWebOnly));
  EXPECT_TRUE(EventuallyKills("web", true)) << "the others do not stop it";
  EXPECT_TRUE(Eventually([&] { return StateOf("missing") == "error"; }));
  EXPECT_TRUE(Eventually([&] { return !api_->events().empty(); }));
  EXPECT_THAT(api_->events(),
              Contains(AllOf(HasSubstr("PolicyRefused wrong: TracingPolicy wrong: spec.kprobes[0].call: "),
                             HasSubstr("sys_nothing"))));
  // One that the kernel cannot attach may be right on another node, or soon: it has to last.
  EXPECT_TRUE(Eventually([&] { return api_->events().size() == 2; }, std::chrono::seconds(45)));
  EXPECT_THAT(
      api_->events(),
      Contains(AllOf(HasSubstr("PolicyNotEnforced missing: At least one agent does not enforce it on its node: "),
                     HasSubstr("no_such_function"), Not(HasSubstr("line 0")))));
}

TEST_F(KubernetesHookPolicies, ANodeSelectorFollowsTheLabelsOfTheNode) {
  const auto node = [](const std::string& labels) {
    return R"({"metadata": {"name": "here", "labels": {)" + labels + "}}}";
  };
  objects_ = {{kNodes, node(R"("tier": "edge")")},
              {kHookPolicies, Policy("edge", R"("nodeSelector": {"matchLabels": {"tier": "edge", "rack": "7"}})")}};
  more_arguments_ = {"--node-label", "rack=7"};
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(Cat("web", "secret"), kKilled) << fixture_->agent().Log();
  api_->Put(kNodes, node(R"("tier": "core")"));
  EXPECT_TRUE(EventuallyKills("web", false));
  EXPECT_EQ(StateOf("edge"), "other-nodes");
  EXPECT_THAT(Sluice({"status"}), HasSubstr("other-nodes"));
  EXPECT_EQ(fixture_->agent().Sluice({"status"})->exit_code, 0) << "nothing is wrong";
  api_->Put(kNodes, node(R"("tier": "edge")"));
  EXPECT_TRUE(EventuallyKills("web", true));
}

class KubernetesHookContainers : public KubernetesHookPolicies {
 protected:
  void SetUp() override {
    KubernetesHookPolicies::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) SL_SKIP_OR_FAIL_IF(cgroups_.Missing());
  }
  // The sandboxes have cgroups, below which those of containers are.
  void Prepare(TestNode& node) override {
    KubernetesHookPolicies::Prepare(node);
    for (const std::string pod : {"web", "db"}) {
      cgroups_.EnterPod("uid-" + pod, "sandbox-" + pod);
      runtime_.AddSandbox(
          {.id = "sandbox-" + pod,
           .pod = pod,
           .info = fmt::format(R"({{"runtimeSpec": {{"linux": {{"cgroupsPath": "{}", "namespaces":
                                   [{{"type": "network", "path": "{}"}}]}}}}}})",
                               cgroups_.PathInPod("uid-" + pod, "sandbox-" + pod), node.pod(pod).netns_path)});
    }
  }
  // As a runtime does: first it names the container, then makes its cgroup.
  void Create(const std::string& pod, const std::string& id, const std::string& name) {
    runtime_.AddContainer(id, "sandbox-" + pod, name, 0, runtime::v1::CONTAINER_CREATED,
                          cgroups_.PathInPod("uid-" + pod, id));
    runtime_.Tell("/containers/create", id, id);
  }
  std::string Enter(const std::string& pod, const std::string& id) { return cgroups_.EnterPod("uid-" + pod, id); }

  ContainerCgroups cgroups_;
};

TEST_F(KubernetesHookContainers, AContainerSelectorIsForThatContainerOfAPodOnly) {
  objects_ = {{kHookPolicies, Policy("main", R"("podSelector": {"matchLabels": {"app": "web"}},
                                        "containerSelector": {"matchLabels": {"name": "main"}})")}};
  for (const char* pod : {"web", "db"}) {
    const std::string one(1, *pod == 'w' ? 'a' : 'b'), two(1, *pod == 'w' ? 'c' : 'd');
    Create(pod, Id(one[0]), "main");
    Create(pod, Id(two[0]), "side");
  }
  ASSERT_NO_FATAL_FAILURE(Start());
  const std::string main = Enter("web", Id('a')), side = Enter("web", Id('c')), other = Enter("db", Id('b'));
  EXPECT_TRUE(EventuallyKills("web", true, main)) << fixture_->agent().Log();
  EXPECT_EQ(Cat("web", "public", main), 0);
  EXPECT_EQ(Cat("web", "secret", side), 0);
  EXPECT_EQ(Cat("web", "secret"), 0) << "in no container";
  EXPECT_EQ(Cat("db", "secret", other), 0) << "a container of this name in another pod";
  EXPECT_THAT(Sluice({"observe", "--all", "--type", "hook"}), HasSubstr("shop/web"));

  // By the repository of its image; and the twin that is not in the list.
  api_->Put(kHookPolicies, Policy("main", R"("containerSelector": {"matchExpressions": [{"key": "repo", "operator":
                                  "NotIn", "values": ["registry.example:5000/shop/main"]}]})"));
  EXPECT_TRUE(EventuallyKills("web", true, side));
  EXPECT_EQ(Cat("web", "secret", main), 0);
  EXPECT_EQ(Cat("db", "secret", other), 0);
  api_->Put(kHookPolicies,
            Policy("main", R"("containerSelector": {"matchLabels": {"repo": "registry.example:5000/shop/main"}})"));
  EXPECT_TRUE(EventuallyKills("db", true, other));
  EXPECT_EQ(Cat("web", "secret", side), 0);
}

TEST_F(KubernetesHookContainers, AContainerThatStartsIsCoveredOnceItsCgroupIsThere) {
  objects_ = {{kHookPolicies, Policy("main", R"("containerSelector": {"matchLabels": {"name": "main"}})")}};
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_TRUE(Eventually([&] { return StateOf("main") == "enabled"; })) << "no container is needed for that";
  Create("web", Id('a'), "main");
  // Its name is known; now its cgroup is made, and its first process runs some milliseconds later.
  ASSERT_TRUE(Eventually([&] { return runtime_.asked_for(Id('a')); }));
  const std::string main = Enter("web", Id('a'));
  EXPECT_EQ(Cat("web", "secret", "sleep 0.1\n" + main), kKilled);
  // The kubelet starts it anew.
  runtime_.RemoveContainer(Id('a'));
  Create("web", Id('b'), "main");
  ASSERT_TRUE(Eventually([&] { return runtime_.asked_for(Id('b')); }));
  EXPECT_EQ(Cat("web", "secret", Enter("web", Id('b')) + "sleep 0.1\n"), kKilled);
  EXPECT_TRUE(EventuallyKills("web", false, main)) << "this one has ended";
  // The agent starts anew: what was in force stays until it knows the containers.
  ASSERT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_EQ(Cat("web", "secret", Enter("web", Id('b'))), kKilled);
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_EQ(Cat("web", "secret", Enter("web", Id('b'))), kKilled);
}

}  // namespace
}  // namespace sluice::test
