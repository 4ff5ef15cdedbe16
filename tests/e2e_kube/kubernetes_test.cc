// The real agent beside an API server and a container runtime that a test plays, and the real CNI plugin; pods are
// network namespaces with real packets. `scripts/test-kube` has the same with a real cluster.
#include <gmock/gmock.h>

#include "tests/e2e_kube/kubernetes_fixture.h"

namespace sluice::test {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class KubernetesE2e : public KubernetesFixture {
 protected:
  // The real plugin, as a container runtime calls it for the pod `new`.
  CommandResult Cni(const std::string& command, const std::string& more_keys = "") const {
    const TestPod& pod = fixture_->node().pod("new");
    const std::string config = fmt::format(
        R"({{"cniVersion": "1.0.0", "name": "net", "type": "sluice-cni", "socket": "{}/cni.sock", {} "prevResult":
            {{"cniVersion": "1.0.0", "interfaces": [{{"name": "{}"}}, {{"name": "eth0", "sandbox": "{}"}}],
              "ips": [{{"address": "{}/32", "interface": 1}}]}}}})",
        directory_, more_keys, pod.host_interface, pod.netns_path, pod.ip4);
    return RunCni(BinDirectory() + "/sluice-cni", command, "sandbox-new", pod.netns_path, "new", config);
  }
};

TEST_F(KubernetesE2e, PodsAndPoliciesOfTheApiServerAreInForceAndFollowed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_THAT(Sluice({"get", "workloads", "-o", "wide"}), AllOf(HasSubstr("web"), HasSubstr("kubernetes")));
  EXPECT_THAT(Sluice({"status"}),
              AllOf(HasSubstr("pods"), HasSubstr("container runtime"), HasSubstr("API server: http://")));

  api_->Put(kPods, Pod("web", "other"));
  EXPECT_TRUE(EventuallyUdp("web", false)) << "its label has changed";
  api_->Put(kPods, Pod("web", "web"));
  EXPECT_TRUE(EventuallyUdp("web", true));
  api_->Delete(kPolicies, "shop", "db");
  EXPECT_TRUE(EventuallyUdp("new", true)) << "nothing isolates db any more";
}

TEST_F(KubernetesE2e, APodIsClosedUntilTheApiServerKnowsIt) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Delete(kPolicies, "shop", "db");
  ASSERT_TRUE(EventuallyUdp("new", true));
  AddSandbox(fixture_->node(), "new");
  EXPECT_TRUE(EventuallyUdp("new", false));
  EXPECT_THAT(Sluice({"status"}), HasSubstr("Pod shop/new (uid uid-new): the API server has not told of it"));
  api_->Put(kPods, Pod("new", "new", "another-uid"));
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
  api_->Put(kPods, Pod("new", "new"));
  EXPECT_TRUE(EventuallyUdp("new", true));
}

TEST_F(KubernetesE2e, WithoutTheApiServerWhatIsEnforcedStays) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->GoAway();
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_TRUE(Eventually([&] { return Sluice({"status"}).find("waiting") != std::string::npos; }));

  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().RestartHolding().ok());
  EXPECT_THAT(Sluice({"status"}), HasSubstr("what Kubernetes has is not known yet"));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);

  api_->ComeBack();
  EXPECT_TRUE(Eventually([&] { return Sluice({"status"}).find("enforcing") == 0; }, std::chrono::seconds(60)));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
}

TEST_F(KubernetesE2e, ServicesOfTheApiServerAreFollowed) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kServices, R"({"metadata": {"name": "web", "namespace": "shop"}, "spec": {"clusterIP": "10.96.0.1",
      "ports": [{"port": 80}]}})");
  api_->Put(kSlices, R"({"metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name":
      "web"}}, "addressType": "IPv4", "endpoints": [{"addresses": ["10.1.0.1"]}], "ports": [{"port": 8080}]})");
  api_->Put(kNodes, R"({"metadata": {"name": "here"}})");
  for (const char* source : {"services", "endpointslices", "node"}) {
    // The only object, and no problem.
    EXPECT_TRUE(Eventually([&] {
      const std::string line = Line(Sluice({"status"}), source);
      return line.find("watching") != std::string::npos && ::testing::Matches(::testing::ContainsRegex(" 1 *$"))(line);
    })) << Sluice({"status"});
  }
}

// An account whose rights are of an older chart must not hold a node.
TEST_F(KubernetesE2e, ServicesThatMayNotBeReadHoldNothing) {
  forbidden_ = {kServices, kSlices, kNodes};
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, false), ProbeOutcome::kTimeout);
  EXPECT_THAT(Sluice({"status"}), ::testing::StartsWith("enforcing"));
  EXPECT_THAT(Line(Sluice({"status"}), "services"), HasSubstr("403"));
}

TEST_F(KubernetesE2e, ARefusedPolicyHasOneEventAndAConditionUntilItIsMended) {
  ASSERT_NO_FATAL_FAILURE(Start());
  const auto policy = [](int end_port) {
    return fmt::format(
        R"({{"apiVersion": "sluice.dev/v1alpha1", "kind": "NetworkPolicy", "metadata": {{"name": "own", "namespace":
            "shop", "uid": "p1"}}, "spec": {{"podSelector": {{"matchLabels": {{"app": "db"}}}}, "ingress": [{{"ports":
            [{{"protocol": "UDP", "port": {}, "endPort": {}}}]}}]}}}})",
        kPort, end_port);
  };
  api_->Put(kOwnPolicies, policy(kPort));
  EXPECT_TRUE(EventuallyUdp("new", true));
  EXPECT_TRUE(Eventually([&] { return api_->condition("shop/own") == "Enforced=True as of 1"; }));
  EXPECT_THAT(api_->events(), ::testing::IsEmpty());

  api_->Put(kOwnPolicies, policy(kPort - 1));
  EXPECT_TRUE(Eventually([&] { return api_->condition("shop/own") == "Enforced=False as of 2"; }));
  EXPECT_TRUE(Eventually([&] { return !api_->events().empty(); }));
  EXPECT_EQ(fixture_->Udp("new", "db", kPort, true), ProbeOutcome::kAllowed) << "its last good version";
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  ASSERT_TRUE(fixture_->agent().Restart().ok());
  EXPECT_TRUE(Eventually([&] { return Sluice({"status"}).find("enforcing") == 0; }));

  api_->Put(kOwnPolicies, policy(kPort + 1));
  EXPECT_TRUE(Eventually([&] { return api_->condition("shop/own") == "Enforced=True as of 3"; }));
  EXPECT_THAT(api_->events(),
              ::testing::ElementsAre(
                  AllOf(HasSubstr("PolicyRefused own: NetworkPolicy shop/own: spec.ingress[0].ports[0].endPort"),
                        HasSubstr("is below port"))));
  EXPECT_LE(api_->patches(), 4);
}

// Its definition is installed while the agent runs.
TEST_F(KubernetesE2e, AClusterWidePolicyIsFollowedLikeTheOthers) {
  ASSERT_NO_FATAL_FAILURE(Start());
  EXPECT_THAT(Line(Sluice({"status"}), "clusternetworkpolicies.sluice.dev"), HasSubstr("absent"));
  const auto policy = [](const char* spec) {
    return fmt::format(
        R"({{"apiVersion": "sluice.dev/v1alpha1", "kind": "ClusterNetworkPolicy", "metadata": {{"name": "guard", "uid":
            "c1"}}, "spec": {{"namespaceSelector": {{"matchLabels": {{"kubernetes.io/metadata.name": "shop"}}}}, {}}}}})",
        spec);
  };
  api_->Put(kClusterPolicies, policy(R"("defaultDeny": false, "ingress": [{"action": "Deny"}])"));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
  api_->Serve(kClusterPolicies);
  EXPECT_TRUE(Eventually([&] { return fixture_->Udp("web", "db", kPort, false) == ProbeOutcome::kTimeout; },
                         std::chrono::seconds(60)))
      << "a Deny wins over what shop/db allows";
  EXPECT_TRUE(Eventually([&] { return api_->condition("/guard") == "Enforced=True as of 1"; }));
  EXPECT_THAT(Sluice({"get", "clusternetworkpolicies", "-o", "wide"}),
              AllOf(HasSubstr("guard"), HasSubstr("kubernetes")));
  EXPECT_THAT(Sluice({"explain", "--from", "shop/web", "--to", "shop/db", "--port", "1000/UDP"}),
              HasSubstr("guard ingress[0]"));

  api_->Put(kClusterPolicies, policy(R"("defaultDeny": 1)"));
  EXPECT_TRUE(Eventually([&] { return api_->condition("/guard") == "Enforced=False as of 2"; }));
  EXPECT_TRUE(Eventually([&] { return !api_->events().empty(); }));
  EXPECT_THAT(api_->events(),
              ::testing::ElementsAre(HasSubstr("PolicyRefused guard: ClusterNetworkPolicy guard: spec.defaultDeny: ")));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, false), ProbeOutcome::kTimeout) << "its last good version";

  api_->Put(kClusterPolicies, policy(R"("defaultDeny": false, "ingress": [{}])"));
  EXPECT_TRUE(EventuallyUdp("new", true)) << "what it allows is allowed in shop too";
  EXPECT_TRUE(Eventually([&] { return api_->condition("/guard") == "Enforced=True as of 3"; }));
  api_->Delete(kClusterPolicies, "", "guard");
  EXPECT_TRUE(EventuallyUdp("new", false));
  EXPECT_EQ(fixture_->Udp("web", "db", kPort, true), ProbeOutcome::kAllowed);
}

TEST_F(KubernetesE2e, ThePluginReturnsWhenThePodIsEnforcedOn) {
  ASSERT_NO_FATAL_FAILURE(Start());
  api_->Put(kPods, Pod("new", "new"));
  const TestPod& pod = fixture_->node().pod("new");
  const CommandResult added = Cni("ADD");
  ASSERT_EQ(added.exit_code, 0) << added.output;
  EXPECT_NE(TcPrograms(fixture_->node(), pod.host_ifindex), 0) << "at once";
  EXPECT_THAT(Sluice({"get", "workload", "shop/new"}), HasSubstr("enforced"));
  const CommandResult checked = Cni("CHECK");
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
  const CommandResult deleted = Cni("DEL");
  EXPECT_EQ(deleted.exit_code, 0) << deleted.output;
  EXPECT_TRUE(Eventually([&] { return TcPrograms(fixture_->node(), pod.host_ifindex) == 0; }));

  ASSERT_TRUE(fixture_->agent().Stop().ok());
  EXPECT_TRUE(std::filesystem::exists(fixture_->agent().state_dir() + "/sandboxes.json"));
  const auto uninstalled = fixture_->Sluiced({"--uninstall"});
  ASSERT_TRUE(uninstalled.ok()) << uninstalled.status();
  EXPECT_EQ(uninstalled->exit_code, 0) << uninstalled->output;
  EXPECT_FALSE(std::filesystem::exists(fixture_->agent().state_dir()));
}

TEST_F(KubernetesE2e, APodThatComesWhileTheAgentHoldsIsToldToComeAgain) {
  ASSERT_NO_FATAL_FAILURE(Start());
  ASSERT_TRUE(fixture_->agent().Kill().ok());
  std::filesystem::remove_all(fixture_->agent().state_dir());
  ASSERT_TRUE(fixture_->agent().RestartHolding().ok());
  api_->Put(kPods, Pod("new", "new"));
  const CommandResult added = Cni("ADD", R"("timeout": 1,)");
  EXPECT_NE(added.exit_code, 0) << added.output;
  EXPECT_THAT(added.output, AllOf(HasSubstr("\"code\": 11"), HasSubstr("nothing is saved")));
  EXPECT_EQ(TcPrograms(fixture_->node(), fixture_->node().pod("new").host_ifindex), 2) << "closed";
  const CommandResult checked = Cni("CHECK");
  EXPECT_THAT(checked.output, AllOf(HasSubstr("\"code\": 11"), HasSubstr("shop/new is closed")));

  ASSERT_TRUE(fixture_->agent()
                  .Apply("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: any, namespace: "
                         "shop}, spec: {podSelector: {matchLabels: {app: none}}}}")
                  .ok());
  const CommandResult again = Cni("ADD");
  EXPECT_EQ(again.exit_code, 0) << again.output;
  EXPECT_EQ(Cni("CHECK").exit_code, 0);
}

}  // namespace
}  // namespace sluice::test
