#include "ctrl/hooks/hook_controller.h"

#include <gmock/gmock.h>

#include "policy/resource/parser.h"
#include "policy/tracing/parser.h"
#include "tests/support/fake_hooks.h"

namespace sluice::hooks {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Policy(const std::string& name, const std::string& more = "") {
  return "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: " + name + "}, spec: {" + more +
         "kprobes: [{call: sys_openat}]}}\n---\n";
}

std::string NamespacedPolicy(const std::string& ns, const std::string& name) {
  return "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicyNamespaced, metadata: {namespace: " + ns +
         ", name: " + name + "}, spec: {kprobes: [{call: sys_openat}]}}\n---\n";
}

std::string Workload(const std::string& name, const std::string& spec = "") {
  return "{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {namespace: shop, name: " + name +
         ", labels: {app: " + name + "}}, spec: {netns: /run/netns/" + name + spec + "}}\n---\n";
}

policy::ResourceId IdOf(const std::string& name) { return {policy::Kind::kTracingPolicy, {"", name}}; }

class HookControllerTest : public ::testing::Test {
 protected:
  static policy::ResourceMap Parse(const std::string& text) {
    const auto parsed = policy::ParseResources(
        "f.yaml", text, {.more_kinds = policy::tracing::KindParsers(policy::tracing::Reading::kParsed)});
    EXPECT_TRUE(parsed.ok()) << parsed.status();
    policy::ResourceMap map;
    if (parsed.ok()) {
      for (const policy::Resource& resource : *parsed) map[resource.id] = resource;
    }
    return map;
  }
  // A change that may be refused.
  Status Change(const std::string& text, const std::set<policy::ResourceId>& asked_for = {}) {
    const policy::ResourceMap resources = Parse(text);
    return controller_.Enforce(
        {.resources = resources, .bindings = bindings_, .asked_for = asked_for, .refuses = true});
  }
  Status Follow(const std::string& text) {
    const policy::ResourceMap resources = Parse(text);
    return controller_.Enforce({.resources = resources, .bindings = bindings_});
  }
  void Bind(const std::string& name, std::uint64_t netns, std::uint32_t endpoint) {
    node::BoundWorkload& bound = bindings_[{"shop", name}];
    bound.netns = netns;
    bound.binding.endpoint = endpoint;
  }

  test::FakeKernel kernel_;
  Bindings bindings_;
  HookController controller_{kernel_.Options()};
};

TEST_F(HookControllerTest, LoadsNothingWithoutPolicies) {
  Bind("web", 11, 1);
  EXPECT_TRUE(Change(Workload("web")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier"));
  EXPECT_TRUE(Change("").ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_THAT(controller_.reports(), IsEmpty());
}

TEST_F(HookControllerTest, PutsPoliciesInForceAfterTheWorkloadsAreKnown) {
  Bind("web", 11, 1);
  EXPECT_TRUE(Change(Workload("web") + Policy("files") + NamespacedPolicy("shop", "files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(),
              ElementsAre("Open", "SetSubjects shop/web", "Put files", "Put shop/files", "EndEarlier"));
  ASSERT_EQ(kernel_.subjects().size(), 1U);
  const Subject& web = kernel_.subjects()[0];
  EXPECT_THAT(web.netns, ElementsAre(11U));
  EXPECT_EQ(web.endpoint, 1U);
  EXPECT_EQ(web.facts.ns, "shop");
  EXPECT_EQ(web.facts.labels.at("app"), "web");
  // The same again is nothing to do; a new workload is told first.
  EXPECT_TRUE(Change(Workload("web") + Policy("files") + NamespacedPolicy("shop", "files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  Bind("db", 12, 2);
  EXPECT_TRUE(Change(Workload("web") + Workload("db") + Policy("files") + Policy("more")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/db shop/web", "Put more", "Remove shop/files"));
  const auto reports = controller_.reports();
  ASSERT_EQ(reports.size(), 2U);
  const PolicyReport& files = reports.at(IdOf("files"));
  EXPECT_EQ(files.state, ReportedState::kEnabled);
  EXPECT_EQ(files.numbers.memory_bytes, 4096U);
  EXPECT_EQ(files.numbers.hooks[0].counts[SL_HOOK_COUNT_MATCHED], 3U);
}

TEST_F(HookControllerTest, FindsWorkloadsByTheirFilesWhereTheNodeDoesNotKnowThem) {
  kernel_.SetInode("/run/netns/closed", 21);
  kernel_.SetInode("/cgroup/kubepods/pod1", 77);
  EXPECT_TRUE(Change(Workload("closed", ", cgroup: /kubepods/pod1") + Workload("nowhere") + Policy("files")).ok());
  ASSERT_EQ(kernel_.subjects().size(), 1U);
  EXPECT_THAT(kernel_.subjects()[0].netns, ElementsAre(21U));
  EXPECT_EQ(kernel_.subjects()[0].endpoint, 0U);
  EXPECT_THAT(kernel_.subjects()[0].cgroups, ElementsAre(77U));
}

TEST_F(HookControllerTest, RefusesAPolicyThatCannotBeEnforcedAndKeepsTheOthersAsTheyWere) {
  EXPECT_TRUE(Change(Policy("files") + Policy("old")).ok());
  const auto* const before = kernel_.Find({"", "files"});
  kernel_.TakeCalls();
  kernel_.FailNext("Put new", MakeError(absl::StatusCode::kNotFound, "there is no such function"));
  const Status refused = Change(Policy("files", "options: [{name: policy-mode, value: monitor}], ") + Policy("new"));
  EXPECT_THAT(Message(refused), HasSubstr("TracingPolicy new: there is no such function"));
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Put files", "Put new", "Put files"));
  EXPECT_EQ(kernel_.Find({"", "files"}), before);
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files", "old"));
  EXPECT_EQ(controller_.reports().size(), 2U);
  EXPECT_EQ(controller_.reports().at(IdOf("files")).state, ReportedState::kEnabled);
  EXPECT_FALSE(controller_.reports().contains(IdOf("new")));
}

TEST_F(HookControllerTest, RefusesBeforeTheKernelIsTouchedWhatCannotBeCompiled) {
  kernel_.not_compiled["bad"] = "spec.kprobes[0]: too many tests";
  const policy::ResourceMap resources = Parse(Policy("bad"));
  EXPECT_THAT(Message(controller_.Check({.resources = resources, .bindings = bindings_, .refuses = true})),
              HasSubstr("TracingPolicy bad: spec.kprobes[0]: too many tests"));
  EXPECT_THAT(Message(Change(Policy("bad"))), HasSubstr("too many tests"));
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_THAT(controller_.reports(), IsEmpty());
}

TEST_F(HookControllerTest, APolicyInErrorAtAStartStopsNoOther) {
  kernel_.FailNext("Put bad", MakeError(absl::StatusCode::kNotFound, "there is no such function"));
  EXPECT_TRUE(Follow(Policy("bad") + Policy("files")).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  EXPECT_EQ(controller_.reports().at(IdOf("bad")).state, ReportedState::kError);
  EXPECT_EQ(controller_.reports().at(IdOf("bad")).problem, "there is no such function");
  // Changes that follow the node do not try it again; others do, and are not refused because of it.
  kernel_.TakeCalls();
  EXPECT_TRUE(Follow(Policy("bad") + Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  kernel_.FailNext("Put bad", MakeError(absl::StatusCode::kNotFound, "still none"));
  EXPECT_TRUE(Change(Policy("bad") + Policy("files") + Policy("more")).ok());
  EXPECT_EQ(controller_.reports().at(IdOf("bad")).problem, "still none");
  kernel_.FailNext("Put bad", MakeError(absl::StatusCode::kNotFound, "none"));
  EXPECT_THAT(Message(Change(Policy("bad") + Policy("files") + Policy("more"), {IdOf("bad")})), HasSubstr("none"));
  EXPECT_TRUE(Change(Policy("bad") + Policy("files") + Policy("more"), {IdOf("bad")}).ok());
  EXPECT_EQ(controller_.reports().at(IdOf("bad")).state, ReportedState::kEnabled);
}

TEST_F(HookControllerTest, AKernelThatLoadsNothingIsTheReason) {
  kernel_.FailNext("Open", MakeError(absl::StatusCode::kFailedPrecondition, "the verifier refuses hook_enter"));
  EXPECT_THAT(Message(Change(Policy("files"))), HasSubstr("TracingPolicy files: the verifier refuses hook_enter"));
  EXPECT_THAT(controller_.reports(), IsEmpty());
  // At a start, what the agent before left in force stays then.
  kernel_.FailNext("Open", MakeError(absl::StatusCode::kFailedPrecondition, "the verifier refuses hook_enter"));
  kernel_.TakeCalls();
  EXPECT_TRUE(Follow(Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open"));
  EXPECT_EQ(controller_.reports().at(IdOf("files")).state, ReportedState::kError);
  EXPECT_TRUE(Change(Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects", "Put files", "EndEarlier"));
}

TEST_F(HookControllerTest, AWorkloadThatTheHooksCannotTakeIsAnError) {
  EXPECT_TRUE(Change(Policy("files")).ok());
  Bind("web", 11, 1);
  kernel_.FailNext("SetSubjects shop/web", MakeError(absl::StatusCode::kResourceExhausted, "8192 subjects"));
  EXPECT_THAT(Message(Follow(Workload("web") + Policy("files"))), HasSubstr("8192 subjects"));
  EXPECT_TRUE(Follow(Workload("web") + Policy("files")).ok());
  EXPECT_EQ(kernel_.subjects().size(), 1U);
}

TEST_F(HookControllerTest, MonitorModeIsAState) {
  EXPECT_TRUE(Change(Policy("files", "options: [{name: policy-mode, value: monitor}], ")).ok());
  EXPECT_EQ(controller_.reports().at(IdOf("files")).state, ReportedState::kMonitor);
}

const char kOnlyMain[] = "containerSelector: {matchLabels: {name: main}}, ";

LocalContainer ContainerIn(const std::string& pod, const std::string& id, std::uint64_t cgroup) {
  return {.id = id, .name = "main", .repository = "shop/web", .cgroup = pod + "/" + id, .cgroup_id = cgroup};
}

TEST_F(HookControllerTest, ContainersAreSubjectsWhileAPolicySelectsThem) {
  kernel_.SetInode("/cgroup/kubepods/pod1", 77);
  Bind("web", 11, 1);
  const std::string web = Workload("web", ", cgroup: /kubepods/pod1");
  EXPECT_TRUE(controller_
                  .SetContainers({ContainerIn("/kubepods/pod1", "c1", 78), ContainerIn("/kubepods/pod1", "c2", 0),
                                  ContainerIn("/kubepods/pod11", "c3", 79)})
                  .ok());
  EXPECT_TRUE(Change(web + Policy("files")).ok());
  EXPECT_EQ(kernel_.subjects().size(), 1U) << "no policy asks";
  kernel_.TakeCalls();
  EXPECT_TRUE(Change(web + Policy("files") + Policy("main", kOnlyMain)).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/web shop/web/c1", "Put main"));
  const Subject container = kernel_.subjects()[1];
  EXPECT_THAT(container.cgroups, ElementsAre(78U));
  EXPECT_THAT(container.netns, IsEmpty()) << "the pod as a whole has it";
  EXPECT_EQ(container.endpoint, 1U);
  EXPECT_EQ(container.facts.ns, "shop");
  EXPECT_EQ(container.facts.labels.at("app"), "web");
  EXPECT_EQ(container.facts.container, "main");
  EXPECT_EQ(container.facts.repository, "shop/web");
  EXPECT_EQ(WorkloadOfKey(container.key), (policy::ObjectName{"shop", "web"}));
  EXPECT_EQ(WorkloadOfKey("shop/web"), (policy::ObjectName{"shop", "web"}));
  // The second one's cgroup comes, and the first one ends.
  EXPECT_TRUE(controller_.SetContainers({ContainerIn("/kubepods/pod1", "c2", 80)}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/web shop/web/c2"));
  EXPECT_TRUE(controller_.SetContainers({ContainerIn("/kubepods/pod1", "c2", 80)}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_TRUE(Change(web + Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/web", "Remove main"));
}

TEST_F(HookControllerTest, WithoutContainersAPolicyThatSelectsThemIsRefusedOrWaits) {
  const std::string in_selector =
      "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: deep}, spec: {kprobes: [{call: "
      "sys_openat, selectors: [{matchWorkloads: [{containerSelector: {matchLabels: {name: main}}}]}]}]}}\n---\n";
  for (const std::string& policy : {Policy("main", kOnlyMain), in_selector}) {
    EXPECT_THAT(Message(Change(policy)), HasSubstr("containerSelector: no container runtime has told this agent"));
    const policy::ResourceMap resources = Parse(policy);
    EXPECT_FALSE(controller_.Check({.resources = resources, .bindings = bindings_, .refuses = true}).ok());
  }
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  // At a start. What the agent before left goes on until the policy is in force.
  EXPECT_TRUE(Follow(Policy("main", kOnlyMain) + Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects", "Put files"));
  EXPECT_EQ(controller_.reports().at(IdOf("main")).state, ReportedState::kError);
  kernel_.FailNext("Put main", MakeError(absl::StatusCode::kNotFound, "there is no such function"));
  EXPECT_TRUE(controller_.SetContainers({}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Put main", "EndEarlier"));
  EXPECT_EQ(controller_.reports().at(IdOf("main")).problem, "there is no such function");
}

TEST_F(HookControllerTest, ContainersThatTheKernelDidNotTakeAreGivenAgain) {
  kernel_.SetInode("/cgroup/kubepods/pod1", 77);
  const std::string web = Workload("web", ", cgroup: /kubepods/pod1");
  EXPECT_TRUE(Follow(web + Policy("main", kOnlyMain) + Policy("files")).ok());
  kernel_.TakeCalls();
  kernel_.FailNext("SetSubjects shop/web shop/web/c1", MakeError(absl::StatusCode::kInternal, "full"));
  const std::vector<LocalContainer> containers{ContainerIn("/kubepods/pod1", "c1", 78)};
  EXPECT_THAT(Message(controller_.SetContainers(containers)), HasSubstr("full"));
  EXPECT_EQ(controller_.reports().at(IdOf("main")).state, ReportedState::kError);
  kernel_.TakeCalls();
  EXPECT_TRUE(controller_.SetContainers(containers).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetSubjects shop/web shop/web/c1", "Put main", "EndEarlier"));
  EXPECT_EQ(controller_.reports().at(IdOf("main")).state, ReportedState::kEnabled);
}

const char kOnlyEdge[] = "nodeSelector: {matchLabels: {tier: edge}}, ";

TEST_F(HookControllerTest, ANodeSelectorFollowsTheLabelsOfTheNode) {
  EXPECT_THAT(Message(Change(Policy("edge", kOnlyEdge))), HasSubstr("the labels of this node are not known"));
  EXPECT_TRUE(controller_.SetNodeLabels({{"tier", "core"}}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_TRUE(Change(Policy("edge", kOnlyEdge)).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier")) << "nothing is loaded for other nodes";
  EXPECT_EQ(controller_.reports().at(IdOf("edge")).state, ReportedState::kOtherNodes);
  EXPECT_TRUE(controller_.SetNodeLabels({{"tier", "edge"}}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects", "Put edge"));
  EXPECT_EQ(controller_.reports().at(IdOf("edge")).state, ReportedState::kEnabled);
  EXPECT_TRUE(controller_.SetNodeLabels({{"tier", "edge"}}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  kernel_.FailNext("Remove edge", MakeError(absl::StatusCode::kInternal, "busy"));
  EXPECT_TRUE(controller_.SetNodeLabels({{"tier", "core"}}).ok());
  EXPECT_EQ(controller_.reports().at(IdOf("edge")).problem, "busy");
  EXPECT_TRUE(Change(Policy("edge", kOnlyEdge)).ok()) << "it is tried again";
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  EXPECT_EQ(controller_.reports().at(IdOf("edge")).state, ReportedState::kOtherNodes);
  EXPECT_TRUE(Change("").ok());
  EXPECT_THAT(controller_.reports(), IsEmpty());
}

TEST_F(HookControllerTest, NotesWhatIsWantedUntilItMayBegin) {
  HookController::Options options = kernel_.Options();
  options.waits = true;
  HookController late(options);
  Bind("web", 11, 1);
  const policy::ResourceMap early = Parse(Workload("web") + Policy("old")),
                            resources = Parse(Workload("web") + Policy("files"));
  EXPECT_TRUE(late.Enforce({.resources = early, .bindings = bindings_}).ok());
  EXPECT_TRUE(late.Enforce({.resources = resources, .bindings = bindings_, .same_workloads = true}).ok());
  EXPECT_THAT(kernel_.TakeCalls(), IsEmpty());
  EXPECT_TRUE(late.Begin().ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects shop/web", "Put files", "EndEarlier"));
}

TEST_F(HookControllerTest, EndsWhatAnEarlierAgentLeftOnlyAfterItsOwnPoliciesAreInForce) {
  kernel_.FailNext("EndEarlier", MakeError(absl::StatusCode::kInternal, "unlink"));
  EXPECT_TRUE(Follow(Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("Open", "SetSubjects", "Put files", "EndEarlier"));
  EXPECT_TRUE(Follow(Policy("files")).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("EndEarlier"));
}

}  // namespace
}  // namespace sluice::hooks
