// TracingPolicies with the real agent and real programs: a system call, which every kernel can see.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/e2e/constants.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/open_policy.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

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
    return OpenPolicyYaml(
        File("secret"),
        {.kind = kind, .metadata = metadata, .scope = scope, .call = call, .action = "{action: Sigkill}"});
  }

  // The exit code of `cat`. `pod` empty: on the node.
  int Cat(const std::string& pod, const std::string& name) {
    return ExitCodeIn(*fixture_, pod, {"/bin/cat", File(name)});
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

// Of each kind of mistake one: its message, with line and field, and nothing is loaded or attached.
TEST_F(HookPolicy, WhatIsWrongIsNamedAndNothingIsAttached) {
  struct Wrong {
    const char* what;
    std::string hooks;                  // of spec
    std::vector<std::string> messages;  // all of them are said
  };
  const auto on_openat = [](const std::string& args, const std::string& selectors) {
    return fmt::format("kprobes:\n  - call: sys_openat\n    args: {}\n    selectors: {}", args, selectors);
  };
  const std::string path = "[{index: 1, type: string}]";
  const auto filter = [](const std::string& text) { return fmt::format("[{{matchArgs: [{}]}}]", text); };
  const std::vector<Wrong> all = {
      {"unknown system call",
       "kprobes: [{call: sys_opennat}]",
       {":6: TracingPolicy wrong: spec.kprobes[0].call: ", "\"sys_opennat\"", "did you mean sys_openat?"}},
      {"unknown function",
       "kprobes: [{call: no_such_function, syscall: false}]",
       {"TracingPolicy wrong: the hook in line 6: ", "no_such_function"}},
      {"unknown tracepoint",
       "tracepoints: [{subsystem: sched, event: no_such_event, raw: true}]",
       {"TracingPolicy wrong: the hook in line 6: ", "the tracepoint no_such_event"}},
      {"wrong index",
       on_openat("[{index: 5, type: string}]", "[]"),
       {":8: TracingPolicy wrong: spec.kprobes[0].args[0].index: no argument 5: sys_openat has 4, counted from 0"}},
      {"index of an argument that is not there",
       on_openat(path, filter("{index: 2, operator: Equal, values: [a]}")),
       {":9: TracingPolicy wrong: spec.kprobes[0].selectors[0].matchArgs[0].index: no argument 2: "}},
      {"unknown type",
       on_openat("[{index: 1, type: strings}]", "[]"),
       {":8: TracingPolicy wrong: spec.kprobes[0].args[0].type: ", "\"strings\"", "string"}},
      {"type of the kernel's own",
       on_openat("[{index: 1, type: file}]", "[]"),
       {":8: TracingPolicy wrong: spec.kprobes[0].args[0].type: a system call has no argument of type file"}},
      {"too many selectors",
       on_openat(path, "[{}, {}, {}, {}, {}, {}]"),
       {":9: TracingPolicy wrong: spec.kprobes[0].selectors: 6 entries: at most 5 are possible"}},
      {"unknown operator",
       on_openat(path, filter("{index: 1, operator: Equals, values: [a]}")),
       {":9: TracingPolicy wrong: ", "matchArgs[0].operator: unknown operator \"Equals\"", "Equal"}},
      {"operator that does not fit",
       on_openat(path, filter("{index: 1, operator: GreaterThan, values: [\"1\"]}")),
       {"matchArgs[0].operator: operator GreaterThan does not fit type string"}},
      {"value of a wrong type",
       on_openat("[{index: 2, type: int}]", filter("{index: 2, operator: Equal, values: [many]}")),
       {":9: TracingPolicy wrong: ", "matchArgs[0].values[0]: ", "\"many\""}},
      {"value that is too large",
       on_openat("[{index: 2, type: int32}]", filter("{index: 2, operator: Equal, values: [\"4294967296\"]}")),
       {"matchArgs[0].values[0]: ", "4294967296"}},
      {"unknown action",
       on_openat(path, "[{matchActions: [{action: Kill}]}]"),
       {"matchActions[0].action: ", "\"Kill\"", "Sigkill"}},
      {"two lists of one name",
       "lists: [{name: a, type: syscalls, values: [sys_dup]}, {name: a, type: syscalls, values: [sys_dup2]}]\n  "
       "kprobes: "
       "[{call: \"list:a\"}]",
       {":6: TracingPolicy wrong: spec.lists[1].name: two lists are called \"a\""}},
      {"an option twice",
       "options: [{name: policy-mode, value: enforce}, {name: policy-mode, value: monitor}]\n  kprobes: [{call: "
       "sys_dup}]",
       {":6: TracingPolicy wrong: spec.options[1].name: \"policy-mode\" is set twice"}},
  };
  const std::string head =
      "---\napiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: wrong}\nspec:\n  ";
  // Each attachment has a pin.
  const auto attached = [&] {
    const auto found = fixture_->Run({"find", agent().bpf_root(), "-path", "*/hooks/*", "-type", "f"});
    return found.ok() ? found->output : found.status().ToString();
  };
  for (const Wrong& wrong : all) {
    const auto refused = Sluice({"apply", "-f", "-"}, head + wrong.hooks + "\n");
    EXPECT_EQ(refused.exit_code, 1) << wrong.what;
    for (const std::string& message : wrong.messages) EXPECT_THAT(refused.err, HasSubstr(message)) << wrong.what;
    EXPECT_EQ(attached(), "") << wrong.what;
  }
  // A policy of the same name twice in one text.
  const std::string good = head + "kprobes: [{call: sys_dup}]\n";
  const auto twice = Sluice({"apply", "-f", "-"}, good + good);
  EXPECT_EQ(twice.exit_code, 1);
  EXPECT_THAT(twice.err, AllOf(HasSubstr("TracingPolicy wrong"), HasSubstr("twice")));
  EXPECT_THAT(Sluice({"get", "tp", "-o", "name"}).out, Not(HasSubstr("wrong")));
  EXPECT_THAT(Sluice({"status"}).out, Not(HasSubstr("HOOK POLICY")));
  ASSERT_EQ(Sluice({"apply", "-f", "-"}, good).exit_code, 0);
  EXPECT_THAT(attached(), HasSubstr("/hooks/"));
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
