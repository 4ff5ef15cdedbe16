// Policies by Tetragon's calls: added, listed, enabled, disabled, set to a mode, deleted, and who may.
#include "tests/unit/tetra/tetra_world.h"

namespace sluice::tetra {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Tracing(const std::string& name, const std::string& more = "") {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  kprobes:\n  - call: sys_openat\n" + more;
}
constexpr char kKills[] = "    selectors:\n    - label: first\n      matchActions:\n      - action: Sigkill\n";

class TetraPolicies : public TetraFixture {
 protected:
  void SetUp() override {
    Serve();
    client_ = Client();
  }
  std::unique_ptr<Stub> client_;
};

TEST_F(TetraPolicies, AreAddedListedAndDeleted) {
  const grpc::Status added = Add(*client_, Tracing("files", kKills));
  ASSERT_TRUE(added.ok()) << added.error_message();
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
  const auto listed = List(*client_);
  ASSERT_EQ(listed.size(), 1U);
  const tetragon::TracingPolicyStatus& files = listed[0];
  EXPECT_EQ(files.id(), 1U);
  EXPECT_EQ(files.name(), "files");
  EXPECT_EQ(files.namespace_(), "");
  EXPECT_EQ(files.domain(), "grpc");
  EXPECT_THAT(files.sensors(), ElementsAre("generic_kprobe"));
  EXPECT_TRUE(files.enabled());
  EXPECT_EQ(files.filter_id(), 0U);
  EXPECT_EQ(files.error(), "");
  EXPECT_EQ(files.state(), tetragon::TP_STATE_ENABLED);
  EXPECT_EQ(files.mode(), tetragon::TP_MODE_ENFORCE);
  EXPECT_EQ(files.kernel_memory_bytes(), 4096U);
  const tetragon::TracingPolicyActionCounters& counters = files.stats().action_counters();
  EXPECT_EQ(counters.post(), 1U);
  EXPECT_EQ(counters.signal(), 2U);
  EXPECT_EQ(counters.monitor_signal(), 5U);
  EXPECT_EQ(counters.monitor_override(), 0U) << "no selector overrides";
  ASSERT_EQ(files.stats().selector_action_counters_size(), 1);
  const auto& selector = files.stats().selector_action_counters(0);
  EXPECT_EQ(selector.hook(), "the system call openat");
  EXPECT_EQ(selector.selector_label(), "first");
  EXPECT_EQ(selector.action_counters().signal(), 2U);
  ASSERT_EQ(files.hook_statuses_size(), 1);
  EXPECT_EQ(files.hook_statuses(0).section(), "kprobes");
  EXPECT_EQ(files.hook_statuses(0).state(), tetragon::STATUS_LOADED);
  EXPECT_THAT(files.hook_statuses(0).hook_description(), HasSubstr("raw tracepoint sys_enter"));

  EXPECT_TRUE(Delete(*client_, "files").ok());
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  EXPECT_THAT(List(*client_), IsEmpty());
  EXPECT_EQ(Delete(*client_, "files").error_code(), Code::NOT_FOUND);
  EXPECT_THAT(log(), HasSubstr("apply: created TracingPolicy files"));
  EXPECT_THAT(log(), HasSubstr("delete: removed TracingPolicy files"));
}

TEST_F(TetraPolicies, OfANamespaceHaveItInTheirName) {
  const std::string spec = "spec: {kprobes: [{call: sys_openat}]}";
  ASSERT_TRUE(Add(*client_,
                  "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicyNamespaced\n"
                  "metadata: {name: files, namespace: shop}\n" +
                      spec)
                  .ok());
  ASSERT_TRUE(Add(*client_, Tracing("files")).ok());
  const auto listed = List(*client_);
  ASSERT_EQ(listed.size(), 2U);
  EXPECT_EQ(listed[1].namespace_(), "shop");
  EXPECT_NE(listed[1].filter_id(), 0U) << "it is for a part of the node";
  EXPECT_EQ(listed[0].mode(), tetragon::TP_MODE_MONITOR_ONLY) << "it has nothing to enforce";
  EXPECT_TRUE(Delete(*client_, "files", "shop").ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
}

TEST_F(TetraPolicies, AreRefusedWithTheReason) {
  ASSERT_TRUE(Add(*client_, Tracing("files")).ok());
  const grpc::Status again = Add(*client_, Tracing("files"));
  EXPECT_EQ(again.error_code(), Code::ALREADY_EXISTS);
  EXPECT_THAT(again.error_message(), HasSubstr("TracingPolicy files exists already"));
  const auto refusal = [&](const std::string& yaml, const std::string& domain = "") {
    const grpc::Status status = Add(*client_, yaml, domain);
    EXPECT_EQ(status.error_code(), Code::INVALID_ARGUMENT) << status.error_message();
    return status.error_message();
  };
  EXPECT_THAT(refusal(Tracing("bad", "    selectors:\n    - matchNothing: []\n")), HasSubstr("matchNothing"));
  EXPECT_THAT(refusal("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"),
              HasSubstr("Namespace shop: only a TracingPolicy"));
  EXPECT_THAT(refusal(Tracing("one") + "---\n" + Tracing("two")), HasSubstr("there are 2 documents"));
  EXPECT_THAT(refusal(Tracing("one"), "k8s"), HasSubstr("domain k8s"));
  refusal("");
  kernel_.not_compiled["new"] = "line 7: too many tests";
  EXPECT_THAT(Add(*client_, Tracing("new")).error_message(), HasSubstr("too many tests"));
  EXPECT_EQ(List(*client_).size(), 1U);
  EXPECT_THAT(log(), HasSubstr("refused: "));
}

TEST_F(TetraPolicies, AreDisabledEnabledAndSetToAMode) {
  ASSERT_TRUE(Add(*client_, Tracing("files", kKills)).ok());
  const auto state = [&] { return List(*client_)[0].state(); };
  const auto mode = [&] { return List(*client_)[0].mode(); };
  ASSERT_TRUE(Configure(*client_, "files", false).ok());
  EXPECT_EQ(state(), tetragon::TP_STATE_DISABLED);
  EXPECT_FALSE(List(*client_)[0].enabled());
  EXPECT_EQ(List(*client_)[0].kernel_memory_bytes(), 0U);
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  ASSERT_TRUE(Configure(*client_, "files", {}, tetragon::TP_MODE_MONITOR).ok());
  EXPECT_EQ(mode(), tetragon::TP_MODE_MONITOR) << "also while it is disabled";
  EXPECT_EQ(state(), tetragon::TP_STATE_DISABLED);
  ASSERT_TRUE(Configure(*client_, "files", true).ok());
  EXPECT_EQ(state(), tetragon::TP_STATE_ENABLED);
  EXPECT_TRUE(kernel_.Monitors({"", "files"}));
  kernel_.TakeCalls();
  ASSERT_TRUE(Configure(*client_, "files", {}, tetragon::TP_MODE_ENFORCE).ok());
  EXPECT_THAT(kernel_.TakeCalls(), ElementsAre("SetState files"));
  EXPECT_EQ(mode(), tetragon::TP_MODE_ENFORCE);
  ASSERT_TRUE(Configure(*client_, "files", false, tetragon::TP_MODE_MONITOR).ok()) << "both in one step";
  EXPECT_EQ(state(), tetragon::TP_STATE_DISABLED);

  EXPECT_EQ(Configure(*client_, "none", true).error_code(), Code::NOT_FOUND);
  EXPECT_EQ(Configure(*client_, "files", {}, tetragon::TP_MODE_MONITOR_ONLY).error_code(), Code::INVALID_ARGUMENT);
  EXPECT_THAT(log(), HasSubstr("disable: TracingPolicy files"));
  EXPECT_THAT(log(), HasSubstr("set-mode: TracingPolicy files"));
}

TEST_F(TetraPolicies, AreEnabledAndDisabledByOlderClients) {
  ASSERT_TRUE(Add(*client_, Tracing("files")).ok());
  tetragon::DisableTracingPolicyRequest disable;
  tetragon::DisableTracingPolicyResponse disabled;
  disable.set_name("files");
  EXPECT_TRUE(Call(*client_, &Stub::DisableTracingPolicy, disable, &disabled).ok());
  EXPECT_THAT(kernel_.in_force(), IsEmpty());
  tetragon::EnableTracingPolicyRequest enable;
  tetragon::EnableTracingPolicyResponse enabled;
  enable.set_name("files");
  EXPECT_TRUE(Call(*client_, &Stub::EnableTracingPolicy, enable, &enabled).ok());
  EXPECT_THAT(kernel_.in_force(), ElementsAre("files"));
}

TEST_F(TetraPolicies, HaveTheDomainOfTheirSource) {
  ASSERT_TRUE(controller_.SetDirectory(Map(Tracing("of-a-file"))).ok());
  ASSERT_TRUE(controller_.SetKubernetes(Map(Tracing("of-a-cluster"))).ok());
  ASSERT_TRUE(Add(*client_, Tracing("added"), "grpc").ok());
  const auto names = [&](const std::string& domain) {
    std::string all;
    for (const auto& policy : List(*client_, domain)) all += policy.name() + "@" + policy.domain() + " ";
    return all;
  };
  EXPECT_EQ(names(""), "added@grpc of-a-cluster@k8s of-a-file@static ");
  EXPECT_EQ(names("static"), "of-a-file@static ");
  EXPECT_EQ(names("k8s"), "of-a-cluster@k8s ");
  EXPECT_TRUE(Configure(*client_, "of-a-cluster", false).ok()) << "also what is not deleted here";
  EXPECT_THAT(Delete(*client_, "of-a-file").error_message(), HasSubstr("comes from the resources directory"));
  EXPECT_THAT(Delete(*client_, "added", "", "k8s").error_message(), HasSubstr("is in the domain grpc, not in k8s"));
  tetragon::ListDomainsResponse domains;
  EXPECT_TRUE(Call(*client_, &Stub::ListDomains, tetragon::ListDomainsRequest(), &domains).ok());
  EXPECT_THAT(domains.domains(), ElementsAre("grpc", "static", "k8s"));
}

TEST_F(TetraPolicies, InErrorSayWhyAndMayBeAddedAgain) {
  kernel_.FailNext("Put files", MakeError(absl::StatusCode::kNotFound, "there is no such function"));
  ASSERT_TRUE(controller_.SetKubernetes(Map(Tracing("files"))).ok()) << "nobody could be told";
  auto listed = List(*client_);
  ASSERT_EQ(listed.size(), 1U);
  EXPECT_EQ(listed[0].state(), tetragon::TP_STATE_LOAD_ERROR);
  EXPECT_EQ(listed[0].error(), "there is no such function");
  EXPECT_FALSE(listed[0].enabled());
  const grpc::Status added = Add(*client_, Tracing("files"));
  EXPECT_TRUE(added.ok()) << added.error_message();
  EXPECT_EQ(List(*client_)[0].state(), tetragon::TP_STATE_ENABLED);
}

class TetraRights : public TetraFixture {};

TEST_F(TetraRights, AreThoseOfTheAgentsApi) {
  Serve({.change_group = "54321", .read_group = "54322"});
  const auto changer = Client({.uid = 1000, .gid = 54321});
  const auto reader = Client({.uid = 1001, .gid = 54322});
  EXPECT_TRUE(Add(*changer, Tracing("files")).ok());
  EXPECT_EQ(List(*reader).size(), 1U);
  for (const grpc::Status& refused :
       {Add(*reader, Tracing("more")), Delete(*reader, "files"), Configure(*reader, "files", false)}) {
    EXPECT_EQ(refused.error_code(), Code::PERMISSION_DENIED);
    EXPECT_THAT(refused.error_message(), HasSubstr("may not change anything here, only read"));
  }
  tetragon::SetDebugRequest debug;
  tetragon::SetDebugResponse reply;
  debug.set_level(tetragon::LOG_LEVEL_DEBUG);
  EXPECT_EQ(Call(*reader, &Stub::SetDebug, debug, &reply).error_code(), Code::PERMISSION_DENIED);
  EXPECT_EQ(List(*reader).size(), 1U);
  EXPECT_THAT(log(), HasSubstr("uid 1001"));
  const auto stranger = Client({.uid = 1002, .gid = 1002});
  tetragon::GetVersionResponse version;
  EXPECT_EQ(Call(*stranger, &Stub::GetVersion, tetragon::GetVersionRequest(), &version).error_code(),
            Code::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice::tetra
