// TracingPolicies with the real agent and real programs: a system call, which every kernel can see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kKilled = 128 + SIGKILL;

class HookPolicy : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    directory_ = testing::TempDir() + "/sluice-hooks-" + std::to_string(getpid());
    fs::create_directories(directory_ + "/resources");
    for (const char* name : {"secret", "public"}) std::ofstream(File(name)) << name << "\n";
    auto fixture = NodeFixture::Create(
        {.pods = {"web", "db"}, .args = {"--resources", directory_ + "/resources"}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    const Status applied =
        agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  ~HookPolicy() override { fs::remove_all(directory_); }

  AgentProcess& agent() { return fixture_->agent(); }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }

  // Kills whoever opens the file `secret`. `scope`: fields of spec.
  std::string Policy(const std::string& scope, const std::string& call = "sys_openat",
                     const std::string& metadata = "{name: secret}", const std::string& kind = "TracingPolicy") const {
    return fmt::format(R"(---
apiVersion: cilium.io/v1alpha1
kind: {}
metadata: {}
spec:
  {}
  kprobes:
  - call: {}
    syscall: true
    args:
    - {{index: 0, type: int}}
    - {{index: 1, type: string}}
    selectors:
    - matchArgs: [{{index: 1, operator: Equal, values: [{}]}}]
      matchActions: [{{action: Sigkill}}]
)",
                       kind, metadata, scope, call, File("secret"));
  }

  // The exit code of `cat`. `pod` empty: on the node.
  int Cat(const std::string& pod, const std::string& name) {
    const Arguments command{"/bin/cat", File(name)};
    int code = -1;
    const auto run = [&]() -> Status {
      SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(command));
      code = result.exit_code;
      return OkStatus();
    };
    const Status ran = pod.empty() ? run() : fixture_->node().netns(fixture_->node().pod(pod)).Run(run);
    EXPECT_TRUE(ran.ok()) << ran;
    return code;
  }
  void ExpectOnlyWebIsKilled() {
    EXPECT_EQ(Cat("web", "secret"), kKilled);
    EXPECT_EQ(Cat("web", "public"), 0);
    EXPECT_EQ(Cat("db", "secret"), 0);
    EXPECT_EQ(Cat("", "secret"), 0);
  }
  ClientResult Sluice(const std::vector<std::string>& arguments, const std::string& input = "") {
    const auto result = agent().Sluice(arguments, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult();
  }
  json StatusOfPolicy() {
    const auto document = json::parse(Sluice({"get", "tracingpolicies", "secret", "-o", "json"}).out, nullptr, false);
    return document.is_object() && document.contains("status") ? document["status"] : json::object();
  }

  std::string directory_;
  std::unique_ptr<NodeFixture> fixture_;
};

const char* const kWebOnly = "podSelector: {matchLabels: {app: web}}";

TEST_F(HookPolicy, KillsInTheWorkloadsThatItSelectsAndCountsIt) {
  const auto applied = Sluice({"apply", "-f", "-"}, Policy(kWebOnly));
  ASSERT_EQ(applied.exit_code, 0) << applied.err << agent().Log();
  EXPECT_THAT(applied.out, HasSubstr("TracingPolicy secret created\n"));
  ExpectOnlyWebIsKilled();

  const json status = StatusOfPolicy();
  EXPECT_EQ(status.value("state", ""), "enabled") << status;
  EXPECT_THAT(status.value("memoryBytes", "0"), Not("0")) << status;
  ASSERT_EQ(status["hooks"].size(), 1U) << status;
  EXPECT_EQ(status["hooks"][0].value("matches", ""), "1") << status;
  EXPECT_THAT(status["hooks"][0].dump(), HasSubstr(R"({"count":"1","what":"signalled"})"));
  EXPECT_THAT(status["hooks"][0].value("attached", ""), Not("")) << status;
  EXPECT_THAT(Sluice({"status"}).out, AllOf(HasSubstr("HOOK POLICY"), HasSubstr("the system call openat by ")));
  EXPECT_THAT(Sluice({"describe", "tracingpolicy", "secret"}).out, HasSubstr("matches 1, "));

  const auto removed = Sluice({"delete", "tracingpolicy", "secret"});
  EXPECT_THAT(removed.out, HasSubstr("TracingPolicy secret removed\n")) << removed.err;
  EXPECT_EQ(Cat("web", "secret"), 0);
  EXPECT_THAT(Sluice({"status"}).out, Not(HasSubstr("HOOK POLICY")));
}

TEST_F(HookPolicy, StaysInForceWithoutTheAgentAndAfterItsRestarts) {
  ASSERT_TRUE(agent().Apply(Policy(kWebOnly)).ok()) << agent().Log();
  for (const bool kill : {true, false}) {
    ExpectOnlyWebIsKilled();
    const Status ended = kill ? agent().Kill() : agent().Stop();
    ASSERT_TRUE(ended.ok()) << ended;
    ExpectOnlyWebIsKilled();
    const Status started = agent().Restart();
    ASSERT_TRUE(started.ok()) << started;
  }
  ExpectOnlyWebIsKilled();
  // The earlier agents' programs have ended: there is one left to delete.
  ASSERT_EQ(Sluice({"delete", "tracingpolicy", "secret"}).exit_code, 0);
  EXPECT_EQ(Cat("web", "secret"), 0);

  ASSERT_TRUE(agent().Apply(Policy(kWebOnly)).ok());
  ASSERT_TRUE(agent().Stop().ok());
  EXPECT_EQ(Cat("web", "secret"), kKilled);
  const auto uninstalled = fixture_->Sluiced({"--uninstall"});
  ASSERT_TRUE(uninstalled.ok() && uninstalled->exit_code == 0) << uninstalled.status();
  EXPECT_EQ(Cat("web", "secret"), 0);
}

TEST_F(HookPolicy, ARefusedOneSaysWhyAndChangesNothing) {
  ASSERT_TRUE(agent().Apply(Policy(kWebOnly)).ok()) << agent().Log();
  const std::string missing =
      "---\n{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: missing}, "
      "spec: {kprobes: [{call: no_such_function, syscall: false}]}}\n";
  const auto refused = Sluice({"apply", "-f", "-"}, Policy("podSelector: {matchLabels: {app: db}}") + missing);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("TracingPolicy missing: "), HasSubstr("no_such_function")));
  ExpectOnlyWebIsKilled();

  const auto wrong = Sluice({"apply", "-f", "-"}, Policy(kWebOnly, "sys_nothing"));
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err,
              AllOf(HasSubstr(":8: TracingPolicy secret: spec.kprobes[0].call: "), HasSubstr("sys_nothing")));
  const auto containers = Sluice(
      {"apply", "-f", "-"}, Policy("containerSelector: {matchExpressions: [{key: name, operator: In, values: [a]}]}"));
  EXPECT_EQ(containers.exit_code, 1);
  EXPECT_THAT(containers.err, HasSubstr("containerSelector: "));
  const auto listed = Sluice({"get", "tp", "-o", "name"});
  EXPECT_THAT(listed.out, AllOf(HasSubstr("secret"), Not(HasSubstr("missing"))));
  ExpectOnlyWebIsKilled();
}

TEST_F(HookPolicy, AWorkloadThatComesLaterIsCovered) {
  ASSERT_EQ(Sluice({"delete", "workload", "shop/db"}).exit_code, 0);
  ASSERT_TRUE(agent()
                  .Apply(Policy("podSelector: {matchLabels: {app: db}}", "sys_openat",
                                "{name: secret, namespace: shop}", "TracingPolicyNamespaced"))
                  .ok())
      << agent().Log();
  EXPECT_EQ(Cat("db", "secret"), 0);
  ASSERT_TRUE(agent().Apply(fixture_->WorkloadYaml("db", "{app: db}")).ok());
  EXPECT_EQ(Cat("db", "secret"), kKilled);
  EXPECT_EQ(Cat("web", "secret"), 0);
  // Its labels may change, and another namespace's policy is not for it.
  ASSERT_TRUE(agent().Apply(fixture_->WorkloadYaml("db", "{app: other}")).ok());
  EXPECT_EQ(Cat("db", "secret"), 0);
  ASSERT_TRUE(agent().Apply(Policy("", "sys_openat", "{name: all, namespace: ops}", "TracingPolicyNamespaced")).ok());
  EXPECT_EQ(Cat("db", "secret"), 0);
}

TEST_F(HookPolicy, ADirectoryHasThemTooAndMonitorModeOnlyCounts) {
  const std::string file = directory_ + "/resources/secret.yaml";
  std::ofstream(file) << Policy(
      "options: [{name: policy-mode, value: monitor}]\n  podSelector: {matchLabels: {app: web}}");
  ASSERT_TRUE(agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(Eventually([&] { return StatusOfPolicy().value("state", "") == "monitor"; })) << agent().Log();
  EXPECT_EQ(Cat("web", "secret"), 0);
  EXPECT_THAT(StatusOfPolicy()["hooks"].dump(), HasSubstr(R"({"count":"1","what":"would_enforce"})"));
  std::ofstream(file) << Policy(kWebOnly);
  ASSERT_TRUE(agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(Eventually([&] { return StatusOfPolicy().value("state", "") == "enabled"; })) << agent().Log();
  ExpectOnlyWebIsKilled();
  const auto only_there = Sluice({"delete", "tracingpolicy", "secret"});
  EXPECT_EQ(only_there.exit_code, 1);
  EXPECT_THAT(only_there.err, HasSubstr("comes from the resources directory"));
  // A bad file leaves the good policy in force.
  std::ofstream(file) << Policy(kWebOnly, "sys_nothing");
  ASSERT_TRUE(agent().Signal(SIGHUP).ok());
  ASSERT_TRUE(Eventually([&] { return agent().Log().find(file + ":8: TracingPolicy secret: ") != std::string::npos; }))
      << agent().Log();
  ExpectOnlyWebIsKilled();
  fs::remove(file);
  ASSERT_TRUE(agent().Signal(SIGHUP).ok());
  EXPECT_TRUE(Eventually([&] { return Cat("web", "secret") == 0; }));
}

TEST_F(HookPolicy, OneThatCannotBeAttachedAtAStartIsShownAndStopsNoOther) {
  std::ofstream(directory_ + "/resources/missing.yaml")
      << "{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {name: missing}, "
         "spec: {kprobes: [{call: no_such_function, syscall: false}]}}\n";
  ASSERT_TRUE(agent().Apply(Policy(kWebOnly)).ok()) << agent().Log();
  ASSERT_TRUE(agent().Stop().ok());
  const Status restarted = agent().Restart();
  ASSERT_TRUE(restarted.ok()) << restarted;
  ExpectOnlyWebIsKilled();
  const auto status = Sluice({"status", "-o", "json"});
  EXPECT_THAT(status.err, HasSubstr("TracingPolicy missing is not in force: "));
  EXPECT_THAT(agent().Log(), HasSubstr("TracingPolicy missing is not enforced: "));
}

}  // namespace
}  // namespace sluice::test
