#include "ctrl/lsm/lsm_controller.h"

#include <gmock/gmock.h>

#include "policy/kinds/kinds.h"
#include "tests/support/fake_lsm.h"

namespace sluice::lsm {
namespace {

using policy::Kind;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kCat[] = "process: {matchPaths: [{path: /bin/cat}]}";
constexpr char kMain[] = "selector: {matchLabels: {kubearmor.io/container.name: main}}, ";
const std::string kOfMain = std::string(kMain) + kCat;
const std::string kOfZoneA = std::string("nodeSelector: {matchLabels: {zone: a}}, ") + kCat;

std::string Policy(const std::string& name, const std::string& spec = kCat, const std::string& ns = "shop") {
  return fmt::format(
      "{{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {{name: {}, namespace: "
      "{}}}, spec: {{{}}}}}\n---\n",
      name, ns, spec);
}
std::string HostPolicy(const std::string& spec) {
  return "{apiVersion: security.kubearmor.com/v1, kind: KubeArmorHostPolicy, metadata: {name: host}, spec: {" + spec +
         "}}\n---\n";
}
std::string Workload(const std::string& name, const std::string& ns = "shop", const std::string& cgroup = "") {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{namespace: {}, name: {}, labels: "
      "{{app: {}}}}}, spec: {{netns: /run/netns/{}{}}}}}\n---\n",
      ns, name, name, name, cgroup.empty() ? "" : ", cgroup: " + cgroup);
}
hooks::LocalContainer Container(const std::string& id, const std::string& name) {
  return {.id = id, .name = name, .repository = "", .cgroup = "/pod1/" + id, .cgroup_id = 100};
}
std::string Namespace(const std::string& posture) {
  return "{apiVersion: v1, kind: Namespace, metadata: {name: shop, annotations: {kubearmor-file-posture: " + posture +
         "}}}\n---\n";
}

class LsmControllerTest : public ::testing::Test {
 protected:
  LsmControllerTest() {
    Bind("web", 11);
    Bind("db", 12);
  }
  static policy::ResourceMap Parse(const std::string& text) {
    const auto parsed =
        policy::ParseResources("f.yaml", text, {.more_kinds = policy::MoreKinds(policy::tracing::Reading::kParsed)});
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    policy::ResourceMap map;
    if (!parsed.ok()) return map;
    for (const policy::Resource& resource : *parsed) map[resource.id] = resource;
    return map;
  }
  // A change that may be refused.
  Status Change(const std::string& text) {
    const policy::ResourceMap resources = Parse(text);
    return controller_.Enforce({.resources = resources, .bindings = bindings_, .refuses = true});
  }
  Status Follow(const std::string& text) {
    const policy::ResourceMap resources = Parse(text);
    return controller_.Enforce({.resources = resources, .bindings = bindings_});
  }
  void Bind(const std::string& name, std::uint64_t netns) { bindings_[{"shop", name}].netns = netns; }
  std::string ProblemOf(const std::string& name) {
    const auto reports = controller_.reports();
    const auto report = reports.find({Kind::kKubeArmorPolicy, {"shop", name}});
    return report == reports.end() ? "there is none" : report->second.problem;
  }

  test::FakeLsm kernel_;
  hooks::Bindings bindings_;
  LsmController controller_{kernel_.Options()};
};

TEST_F(LsmControllerTest, LoadsNothingWithoutPolicies) {
  EXPECT_TRUE(Change(Workload("web")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier"));
  EXPECT_TRUE(Change(Workload("web") + Workload("db")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
}

TEST_F(LsmControllerTest, ANewWorkloadsPoliciesAreInForceBeforeItIsFound) {
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web", "SetSubjects shop/web", "EndEarlier"));
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty()) << "the same again is nothing to do";
  EXPECT_TRUE(Follow(Workload("web") + Workload("db") + Policy("a")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/db shop/web", "SetSubjects shop/db shop/web"));
  EXPECT_TRUE(Change(Workload("web") + Workload("db")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace")) << "the last policy ends the programs";
  EXPECT_THAT(controller_.reports(), IsEmpty());
}

TEST_F(LsmControllerTest, OnlyWorkloadsThatAPolicySelectsHaveRules) {
  EXPECT_TRUE(Change(Workload("web") + Workload("db") + Workload("other", "ops") +
                     Policy("a", std::string("selector: {matchLabels: {app: web}}, ") + kCat) +
                     HostPolicy(std::string("nodeSelector: {matchLabels: {kubernetes.io/hostname: n1}}, ") + kCat))
                  .ok());
  EXPECT_THAT(kernel_.TakeCalls(), testing::Contains("Replace - shop/web"));
  const auto reports = controller_.reports();
  EXPECT_THAT(reports.at({Kind::kKubeArmorPolicy, {"shop", "a"}}).workloads, ElementsAre("shop/web"));
  EXPECT_THAT(reports.at({Kind::kKubeArmorHostPolicy, {"", "host"}}).workloads, ElementsAre(""));
}

TEST_F(LsmControllerTest, ThePostureOfTheNamespaceDecides) {
  const std::string allow = Policy("a", "action: Allow, file: {matchPaths: [{path: /etc/passwd}]}");
  EXPECT_TRUE(Change(Namespace("audit") + Workload("web") + allow).ok());
  kernel_.TakeCalls();
  EXPECT_TRUE(Follow(Namespace("block") + Workload("web") + allow).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/web"));
}

TEST_F(LsmControllerTest, AKernelThatCannotEnforceRefusesBeforeAnythingChanges) {
  kernel_.lacks = "CONFIG_BPF_LSM";
  const Status refused = Change(Workload("web") + Policy("a"));
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Message(refused), "KubeArmorPolicy shop/a: CONFIG_BPF_LSM");
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_THAT(controller_.reports(), IsEmpty());
  // At a start nothing can be refused: it is in error, and stops nothing else.
  EXPECT_TRUE(Follow(Workload("web") + Policy("a")).ok());
  EXPECT_EQ(ProblemOf("a"), "CONFIG_BPF_LSM");
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
}

TEST_F(LsmControllerTest, RulesAboutPeersNeedNothingOfTheKernel) {
  kernel_.lacks = "CONFIG_BPF_LSM";
  EXPECT_TRUE(Change(Workload("web") + Policy("a", "network: {matchPeers: [{cidr: 10.0.0.0/8}]}")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier"));
  EXPECT_EQ(ProblemOf("a"), "");
}

TEST_F(LsmControllerTest, WhomItIsForMustBeKnown) {
  EXPECT_THAT(
      Message(Change(Policy("a", kOfMain))),
      HasSubstr("KubeArmorPolicy shop/a: kubearmor.io/container.name: no container runtime has told this agent"));
  EXPECT_THAT(Message(Change(HostPolicy(kOfZoneA))), HasSubstr("nodeSelector: zone: the labels of this node are not"));
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
}

TEST_F(LsmControllerTest, AContainerHasThePoliciesThatNameItAndItsPods) {
  const std::string all = Workload("web", "shop", "/pod1") + Policy("pod") + Policy("main", kOfMain);
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main"), Container("c2", "side")}).ok());
  ASSERT_TRUE(Change(all).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web shop/web/c1 shop/web/c2",
                                               "SetSubjects shop/web shop/web/c1 shop/web/c2", "EndEarlier"));
  const std::string rule = " spec.process.matchPaths[0]";
  EXPECT_THAT(kernel_.rules(), testing::UnorderedElementsAre("shop/pod" + rule, "shop/pod" + rule, "shop/main" + rule));
  EXPECT_EQ(kernel_.ProfileOf("shop/web"), kernel_.ProfileOf("shop/web/c2"));
  EXPECT_NE(kernel_.ProfileOf("shop/web"), kernel_.ProfileOf("shop/web/c1"));
  EXPECT_THAT(controller_.reports().at({Kind::kKubeArmorPolicy, {"shop", "main"}}).workloads, ElementsAre("shop/web"));
  // Its tables come before the container.
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main"), Container("c3", "main")}).ok());
  EXPECT_THAT(kernel_.TakeCalls(),
              ElementsAre("Replace shop/web shop/web/c1 shop/web/c3", "SetSubjects shop/web shop/web/c1 shop/web/c3"));
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main"), Container("c3", "main")}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  // Without the policy that names one, none is without its pod's rules for a moment.
  ASSERT_TRUE(Change(Workload("web", "shop", "/pod1") + Policy("pod")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/web shop/web/c1 shop/web/c3"));
}

// Only there are processes that are on their way into a container, and so under no rules.
TEST_F(LsmControllerTest, APodAndItsContainersHaveARuntimeAndADocumentsWorkloadHasNone) {
  const std::string pod =
      "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: "
      "[{name: main, image: i}]}}\n---\n";
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main")}).ok());
  ASSERT_TRUE(Change(Workload("web", "shop", "/pod1") + Workload("db") + Policy("main", kOfMain)).ok());
  EXPECT_THAT(kernel_.of_runtime(), IsEmpty());
  ASSERT_TRUE(Follow(Workload("web", "shop", "/pod1") + Workload("db") + pod + Policy("main", kOfMain)).ok());
  EXPECT_THAT(kernel_.of_runtime(), ElementsAre("shop/web", "shop/web/c1"));
}

// The policy comes first, then the workload, then its container; and the other way round.
TEST_F(LsmControllerTest, NeitherOrderOfPolicyWorkloadAndContainerLeavesAContainerWithoutRules) {
  const std::string workload = Workload("web", "shop", "/pod1"), policy = Policy("main", kOfMain);
  ASSERT_TRUE(Follow(policy).ok());
  ASSERT_TRUE(controller_.SetContainers({}).ok());
  EXPECT_EQ(ProblemOf("main"), "");
  ASSERT_TRUE(Follow(policy + workload).ok());
  EXPECT_EQ(kernel_.ProfileOf("shop/web/c1"), std::nullopt);
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main")}).ok());
  EXPECT_NE(kernel_.ProfileOf("shop/web/c1"), std::nullopt);
  EXPECT_THAT(kernel_.TakeCalls(), testing::Contains("SetSubjects shop/web shop/web/c1"));

  test::FakeLsm other;
  LsmController controller(other.Options());
  const auto follow = [&](const std::string& text) {
    const policy::ResourceMap resources = Parse(text);
    return controller.Enforce({.resources = resources, .bindings = bindings_});
  };
  ASSERT_TRUE(controller.Begin().ok());
  ASSERT_TRUE(controller.SetContainers({Container("c1", "main")}).ok());
  ASSERT_TRUE(follow(workload).ok());
  ASSERT_TRUE(follow(workload + policy).ok());
  EXPECT_NE(other.ProfileOf("shop/web/c1"), std::nullopt);
  EXPECT_THAT(other.TakeCalls(), testing::Contains("SetSubjects shop/web shop/web/c1"));
}

TEST_F(LsmControllerTest, ContainersTakeNoRoomWithoutAPolicyThatNamesSome) {
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main")}).ok());
  ASSERT_TRUE(Change(Workload("web", "shop", "/pod1") + Policy("pod")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web", "SetSubjects shop/web", "EndEarlier"));
}

// What was left of the agent before is in force until then.
TEST_F(LsmControllerTest, APolicyIsInForceAsSoonAsItIsKnownWhomItIsFor) {
  ASSERT_TRUE(
      Follow(Workload("web", "shop", "/pod1") + Policy("pod") + Policy("main", kOfMain) + HostPolicy(kOfZoneA)).ok());
  EXPECT_THAT(ProblemOf("main"), HasSubstr("no container runtime has told"));
  EXPECT_THAT(controller_.problems(), testing::SizeIs(2));
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web", "SetSubjects shop/web"));
  ASSERT_TRUE(controller_.SetContainers({Container("c1", "main")}).ok());
  EXPECT_EQ(ProblemOf("main"), "");
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/web shop/web/c1", "SetSubjects shop/web shop/web/c1"));
  ASSERT_TRUE(controller_.SetNodeLabels({{"zone", "a"}}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace - shop/web shop/web/c1", "EndEarlier"));
  EXPECT_THAT(controller_.problems(), IsEmpty());
  ASSERT_TRUE(controller_.SetNodeLabels({{"zone", "b"}}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/web shop/web/c1"));
}

TEST_F(LsmControllerTest, WhatTheKernelRefusedIsToldAgain) {
  ASSERT_TRUE(controller_.SetContainers({}).ok());
  ASSERT_TRUE(Change(Workload("web", "shop", "/pod1") + Policy("main", kOfMain)).ok());
  kernel_.TakeCalls();
  kernel_.FailNext("SetSubjects shop/web shop/web/c1", MakeError(absl::StatusCode::kResourceExhausted, "full"));
  kernel_.FailNext("SetSubjects shop/web shop/web/c1", MakeError(absl::StatusCode::kResourceExhausted, "full"));
  EXPECT_FALSE(controller_.SetContainers({Container("c1", "main")}).ok());
  EXPECT_TRUE(controller_.SetContainers({Container("c1", "main")}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), testing::Contains("SetSubjects shop/web shop/web/c1").Times(3));
}

TEST_F(LsmControllerTest, PeersAreForWholePods) {
  ASSERT_TRUE(controller_.SetContainers({}).ok());
  EXPECT_THAT(Message(Change(Policy("a", std::string(kMain) + "network: {matchPeers: [{cidr: 10.0.0.0/8}]}"))),
              HasSubstr("spec.network.matchPeers[0]: the packet path has rules for whole pods"));
}

TEST_F(LsmControllerTest, ARefusedChangeLeavesTheOthersAsTheyWere) {
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  kernel_.TakeCalls();
  kernel_.FailNext("Replace shop/web", MakeError(absl::StatusCode::kResourceExhausted, "lsm_rules: 8193 of 8192"));
  EXPECT_EQ(Message(Change(Workload("web") + Policy("a") + Policy("b"))),
            "KubeArmor policies: lsm_rules: 8193 of 8192");
  EXPECT_EQ(ProblemOf("a"), "");
  EXPECT_EQ(ProblemOf("b"), "there is none");
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
  kernel_.TakeCalls();
  EXPECT_TRUE(Change(Workload("web") + Policy("a") + Policy("b", "presets: [{name: exec}]")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Replace shop/web"));
}

TEST_F(LsmControllerTest, WhatCannotBeRefusedIsInErrorAndItsEarlierVersionStays) {
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  kernel_.TakeCalls();
  EXPECT_TRUE(Follow(Workload("web") +
                     Policy("a", "selector: {matchLabels: {kubearmor.io/container.name: x}}, presets: [{name: exec}]"))
                  .ok());
  EXPECT_THAT(ProblemOf("a"), HasSubstr("kubearmor.io/container.name"));
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
}

TEST_F(LsmControllerTest, WithoutRoomForANewPolicyNewWorkloadsHaveTheOthers) {
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  kernel_.TakeCalls();
  const Status full = MakeError(absl::StatusCode::kResourceExhausted, "full");
  kernel_.FailNext("Replace shop/db shop/web", full);
  EXPECT_TRUE(Follow(Workload("web") + Workload("db") + Policy("a") + Policy("b")).ok());
  EXPECT_THAT(kernel_.TakeCalls(),
              ElementsAre("Replace shop/db shop/web", "Replace shop/db shop/web", "SetSubjects shop/db shop/web"));
  EXPECT_EQ(ProblemOf("a"), "");
  EXPECT_EQ(ProblemOf("b"), "full");
  EXPECT_THAT(kernel_.rules(), testing::Each("shop/a spec.process.matchPaths[0]"));
  // A workload that cannot even have those must not come.
  kernel_.FailNext("Replace shop/db", full);
  kernel_.FailNext("Replace shop/db", full);
  EXPECT_FALSE(Follow(Workload("db") + Policy("a") + Policy("b")).ok());
}

TEST_F(LsmControllerTest, APolicyInErrorIsTriedAgainByTheNextChange) {
  kernel_.lacks = "CONFIG_BPF_LSM";
  EXPECT_TRUE(Follow(Workload("web") + Policy("a")).ok());
  kernel_.lacks = "";
  EXPECT_TRUE(Follow(Workload("web") + Policy("a")).ok());
  EXPECT_EQ(ProblemOf("a"), "CONFIG_BPF_LSM");
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  EXPECT_EQ(ProblemOf("a"), "");
  EXPECT_THAT(kernel_.rules(), ElementsAre("shop/a spec.process.matchPaths[0]"));
}

TEST_F(LsmControllerTest, CountsAreThoseOfThePolicy) {
  EXPECT_TRUE(Change(Workload("web") + Policy("a")).ok());
  PolicyCounts counts{.kind = policy::lsm::Policy::Kind::kPods, .policy = {"shop", "a"}};
  counts.counts.counts[SL_LSM_COUNT_BLOCKED] = 3;
  counts.counts.counts[SL_LSM_COUNT_AUDITED] = 2;
  counts.counts.counts[SL_LSM_COUNT_LOST] = 1;
  kernel_.counts = {counts, {.kind = policy::lsm::Policy::Kind::kCluster, .policy = {"shop", "a"}}};
  const LsmPolicyReport report = controller_.reports().at({Kind::kKubeArmorPolicy, {"shop", "a"}});
  EXPECT_EQ(report.blocked, 3U);
  EXPECT_EQ(report.audited, 2U);
  EXPECT_EQ(report.lost, 1U);
}

TEST_F(LsmControllerTest, NotesWhatIsWantedUntilBegin) {
  auto options = kernel_.Options();
  options.waits = true;
  LsmController waits(options);
  const policy::ResourceMap resources = Parse(Workload("web") + Policy("a"));
  EXPECT_TRUE(waits.Enforce({.resources = resources, .bindings = bindings_}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_TRUE(waits.Begin().ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "Replace shop/web", "SetSubjects shop/web", "EndEarlier"));
}

}  // namespace
}  // namespace sluice::lsm
