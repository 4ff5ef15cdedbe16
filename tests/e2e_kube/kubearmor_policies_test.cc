// KubeArmor policies of an API server, with the real agent. Rules about peers need nothing of the kernel but the packet
// path; all others need BPF programs at LSM hooks (KubernetesKubeArmorKernel).
#include <gmock/gmock.h>

#include "kernel/lsm/lsm_store.h"
#include "tests/e2e_kube/container_cgroup.h"
#include "tests/e2e_kube/kubernetes_fixture.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;

class KubernetesKubeArmor : public KubernetesFixture {
 protected:
  void Prepare(TestNode& node) override {
    for (const char* path : {kKubeArmorPolicies, kKubeArmorHostPolicies, kKubeArmorClusterPolicies}) api_->Serve(path);
    db_ = node.pod("db").ip4;
    for (const auto& [path, object] : objects_) api_->Put(path, object);
  }
  // `ns` empty: of the cluster.
  static std::string Policy(const std::string& name, const json& spec, const std::string& ns = "shop") {
    json object = {{"metadata", {{"name", name}, {"uid", "uid-" + name}}}, {"spec", spec}};
    if (!ns.empty()) object["metadata"]["namespace"] = ns;
    return object.dump();
  }
  static json ForApp(const std::string& app, json sections) {
    sections["selector"]["matchLabels"]["app"] = app;
    return sections;
  }
  static json Peer(const std::string& cidr) { return {{"network", {{"matchPeers", {{{"cidr", cidr}}}}}}}; }
  static std::string Namespace(const std::string& posture) {
    return json{
        {"metadata", {{"name", "shop"}, {"uid", "n1"}, {"annotations", {{"kubearmor-network-posture", posture}}}}}}
        .dump();
  }

  std::string db_;
  std::vector<std::pair<std::string, std::string>> objects_;  // of the API server, before the agent starts
};

TEST_F(KubernetesKubeArmor, RulesAboutPeersAreInForceAsTheApiServerSays) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_TRUE(EventuallyUdp("web", true));
  api_->Put(kKubeArmorPolicies, Policy("peers", ForApp("web", Peer(db_ + "/32"))));
  EXPECT_TRUE(EventuallyUdp("web", false));
  EXPECT_THAT(Sluice({"get", "kubearmorpolicies", "-n", "shop"}), HasSubstr("peers"));
  EXPECT_THAT(Sluice({"explain", "--from", "shop/web", "--to", "shop/db", "--port", "1000/UDP"}),
              HasSubstr("shop/peers spec.network.matchPeers[0] denies it at shop/web"));
  api_->Put(kKubeArmorPolicies, Policy("peers", ForApp("other", Peer(db_ + "/32"))));
  EXPECT_TRUE(EventuallyUdp("web", true));
  api_->Delete(kKubeArmorPolicies, "shop", "peers");

  json in_shop = Peer(db_ + "/32");
  in_shop["selector"]["matchExpressions"] = {{{"key", "namespace"}, {"operator", "In"}, {"values", {"shop"}}}};
  api_->Put(kKubeArmorClusterPolicies, Policy("all", in_shop, ""));
  EXPECT_TRUE(EventuallyUdp("web", false));
  api_->Delete(kKubeArmorClusterPolicies, "", "all");
  EXPECT_TRUE(EventuallyUdp("web", true));
  api_->Put(kKubeArmorClusterPolicies, Policy("all", in_shop, ""));
  EXPECT_TRUE(EventuallyUdp("web", false));
  // The server is away: what it said stays.
  api_->GoAway();
  EXPECT_TRUE(EventuallyUdp("web", false));
}

// What an allow list does not have meets the posture that the API server's Namespace is annotated with.
TEST_F(KubernetesKubeArmor, TheDefaultPostureIsThatOfTheNamespace) {
  json list = ForApp("web", Peer("10.9.0.0/16"));
  list["action"] = "Allow";
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kKubeArmorPolicies, Policy("list", list));
  ASSERT_TRUE(Eventually([&] {
    return Sluice({"get", "kubearmorpolicies", "-n", "shop"}).find("list") != std::string::npos;
  }));
  EXPECT_TRUE(EventuallyUdp("web", true)) << "audit, without an annotation";
  api_->Put(kNamespaces, Namespace("block"));
  EXPECT_TRUE(EventuallyUdp("web", false));
  api_->Put(kNamespaces, Namespace("audit"));
  EXPECT_TRUE(EventuallyUdp("web", true));
  // Another value means the default, and stops nothing else.
  api_->Put(kNamespaces, Namespace("block"));
  EXPECT_TRUE(EventuallyUdp("web", false));
  api_->Put(kNamespaces, Namespace("deny"));
  EXPECT_TRUE(EventuallyUdp("web", true));
}

TEST_F(KubernetesKubeArmor, WhereAPersonHasToActAnEventSaysWhy) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kKubeArmorPolicies, Policy("wrong", ForApp("web", {{"proces", json::object()}})));
  // The packet path cannot tell terminals.
  json missing = ForApp("web", Peer(db_ + "/32"));
  missing["network"]["matchPeers"][0]["pts"] = true;
  api_->Put(kKubeArmorPolicies, Policy("missing", missing));
  api_->Put(kKubeArmorPolicies, Policy("good", ForApp("web", Peer(db_ + "/32"))));
  EXPECT_TRUE(EventuallyUdp("web", false)) << "the others do not stop it";
  EXPECT_TRUE(Eventually([&] { return !api_->events().empty(); }));
  EXPECT_THAT(api_->events(),
              Contains(HasSubstr("PolicyRefused wrong: KubeArmorPolicy shop/wrong: spec.proces: unknown "
                                 "field: did you mean process?")));
  // What this node cannot enforce may be right on another one, or soon: it has to last.
  EXPECT_TRUE(Eventually([&] { return api_->events().size() == 2; }, std::chrono::seconds(45)));
  EXPECT_THAT(api_->events(),
              Contains(AllOf(HasSubstr("PolicyNotEnforced missing: At least one agent does not enforce it on its node: "
                                       "spec.network.matchPeers[0]: pts: "),
                             HasSubstr("does not know terminals"))));
}

class KubernetesKubeArmorKernel : public KubernetesKubeArmor {
 protected:
  void SetUp() override {
    if (const Status has = lsm::CheckKernel(); !has.ok()) GTEST_SKIP() << Message(has);
    KubernetesKubeArmor::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    SL_SKIP_OR_FAIL_IF(cgroups_.Missing());
    for (const char* name : {"secret", "public"}) std::ofstream(directory_ + "/" + name) << name << "\n";
  }
  // The sandbox of web has a cgroup, below which those of its containers are.
  void Prepare(TestNode& node) override {
    KubernetesKubeArmor::Prepare(node);
    cgroups_.EnterPod("uid-web", "sandbox-web");
    runtime_.AddSandbox(
        {.id = "sandbox-web",
         .pod = "web",
         .info = fmt::format(R"({{"runtimeSpec": {{"linux": {{"cgroupsPath": "{}", "namespaces":
                                 [{{"type": "network", "path": "{}"}}]}}}}}})",
                             cgroups_.PathInPod("uid-web", "sandbox-web"), node.pod("web").netns_path)});
  }
  void Create(const std::string& id, const std::string& name) {
    runtime_.AddContainer(id, "sandbox-web", name, 0, runtime::v1::CONTAINER_CREATED,
                          cgroups_.PathInPod("uid-web", id));
    runtime_.Tell("/containers/create", id, id);
  }
  std::string Enter(const std::string& id) { return cgroups_.EnterPod("uid-web", id); }
  // Nobody opens the file `secret`.
  json Secret() const { return {{"file", {{"matchPaths", {{{"path", directory_ + "/secret"}}}}}}}; }
  // Whether `cat` of a file works in the pod's network namespace and, as in every container, a mount namespace that is
  // not the host's. `line`: of shell, before it.
  bool Reads(const std::string& pod, const std::string& name, const std::string& line = "") {
    return ExitCodeIn(*fixture_, pod,
                      {"/bin/sh", "-c", line + "exec unshare -m /bin/cat " + directory_ + "/" + name}) == 0;
  }
  // Until the programs are loaded for the first policy, which an emulated processor does in about a minute.
  static bool EventuallyLoaded(const std::function<bool()>& condition) {
    return Eventually(condition, std::chrono::minutes(2));
  }

  ContainerCgroups cgroups_;
};

TEST_F(KubernetesKubeArmorKernel, AContainersNameSelectsThatContainerOfAPodOnly) {
  json of_main = ForApp("web", Secret());
  of_main["selector"]["matchLabels"]["kubearmor.io/container.name"] = "main";
  objects_ = {{kKubeArmorPolicies, Policy("main", of_main)}};
  for (const auto& [id, name] : {std::pair{'a', "main"}, std::pair{'c', "side"}}) Create(Id(id), name);
  const std::string main = Enter(Id('a')), side = Enter(Id('c'));
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_TRUE(EventuallyLoaded([&] { return !Reads("web", "secret", main); })) << fixture_->agent().Log();
  EXPECT_TRUE(Reads("web", "public", main));
  EXPECT_TRUE(Reads("web", "secret", side));
  EXPECT_TRUE(Reads("web", "secret")) << "in no container";
  EXPECT_TRUE(Reads("db", "secret")) << "in another pod";
  EXPECT_THAT(Sluice({"observe", "--all", "--type", "alert", "-o", "json"}), HasSubstr("\"workload\":\"web\""));
  // One that starts now, in place of it.
  runtime_.RemoveContainer(Id('a'));
  Create(Id('b'), "main");
  ASSERT_TRUE(Eventually([&] { return runtime_.asked_for(Id('b')); }));
  const std::string again = Enter(Id('b'));
  EXPECT_TRUE(Eventually([&] { return !Reads("web", "secret", again); }));
  // The pod as a whole.
  api_->Put(kKubeArmorPolicies, Policy("main", ForApp("web", Secret())));
  EXPECT_TRUE(Eventually([&] { return !Reads("web", "secret", side); }));
  EXPECT_FALSE(Reads("web", "secret", again));
}

TEST_F(KubernetesKubeArmorKernel, APolicyForHostsFollowsTheLabelsOfTheNode) {
  const auto node = [](const std::string& zone) {
    return json{{"metadata", {{"name", "here"}, {"labels", {{"zone", zone}}}}}}.dump();
  };
  json spec = Secret();
  spec["nodeSelector"]["matchLabels"]["zone"] = "a";
  objects_ = {{kNodes, node("a")}, {kKubeArmorHostPolicies, Policy("host", spec, "")}};
  ASSERT_NO_FATAL_FAILURE(Start());
  const auto reads_on_node = [&] { return ExitCodeIn(*fixture_, "", {"/bin/cat", directory_ + "/secret"}) == 0; };
  EXPECT_TRUE(EventuallyLoaded([&] { return !reads_on_node(); })) << fixture_->agent().Log();
  EXPECT_TRUE(Reads("web", "secret")) << "a pod is none of the host's";
  api_->Put(kNodes, node("b"));
  EXPECT_TRUE(Eventually(reads_on_node));
  api_->Put(kNodes, node("a"));
  EXPECT_TRUE(Eventually([&] { return !reads_on_node(); }));
  // The test itself is a process of the node, and removes the file.
  api_->Delete(kKubeArmorHostPolicies, "", "host");
  EXPECT_TRUE(Eventually(reads_on_node));
}

}  // namespace
}  // namespace sluice::test
