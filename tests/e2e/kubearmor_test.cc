// KubeArmor policies with the real agent and real programs. Rules about peers need nothing of the kernel but the packet
// path; all others need BPF programs at LSM hooks (KubeArmorKernel).
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "kernel/lsm/lsm_store.h"
#include "tests/support/environment.h"
#include "tests/support/node_fixture.h"
#include "tests/support/run_in_pod.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr int kTimedOut = 124;  // exit code of timeout(1): dropped packets get no answer

class KubeArmor : public testing::Test {
 protected:
  void SetUp() override {
    SL_REQUIRE_NETNS();
    SL_REQUIRE_BPF();
    auto fixture = NodeFixture::Create({.pods = {"web", "db"}, .args = {}, .outside = false});
    ASSERT_TRUE(fixture.ok()) << fixture.status();
    fixture_ = *std::move(fixture);
    directory_ = agent().directory() + "/programs";
    fs::create_directory(directory_);
    for (const char* name : {"psql", "curl"}) fs::copy_file("/bin/bash", File(name));
    for (const char* name : {"secret", "public"}) std::ofstream(File(name)) << name << "\n";
    db_ = fixture_->ip4("db").ToString();
    const Status applied =
        agent().Apply(fixture_->WorkloadYaml("web", "{app: web}") + fixture_->WorkloadYaml("db", "{app: db}"));
    ASSERT_TRUE(applied.ok()) << applied;
  }
  void TearDown() override {
    server_.reset();
    if (!directory_.empty()) fs::remove_all(directory_);
  }

  AgentProcess& agent() { return fixture_->agent(); }
  std::string File(const std::string& name) const { return directory_ + "/" + name; }

  // For the workloads with the label app=web.
  static std::string Policy(const std::string& sections, const std::string& name = "p") {
    return fmt::format(
        "---\napiVersion: security.kubearmor.com/v1\nkind: KubeArmorPolicy\nmetadata: {{name: {}, namespace: shop}}\n"
        "spec:\n  selector: {{matchLabels: {{app: web}}}}\n{}",
        name, sections);
  }
  static std::string Posture(const std::string& section, const std::string& posture) {
    return fmt::format(
        "---\n{{apiVersion: v1, kind: Namespace, metadata: {{name: shop, annotations: {{kubearmor-{}-posture: "
        "{}}}}}}}\n",
        section, posture);
  }
  ClientResult Sluice(const std::vector<std::string>& arguments, const std::string& input = "") {
    const auto result = agent().Sluice(arguments, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : ClientResult();
  }
  void Apply(const std::string& policies, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"apply", "-f", "-"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const auto applied = Sluice(arguments, policies);
    ASSERT_EQ(applied.exit_code, 0) << applied.err << agent().Log();
  }
  // The exit code of a command in a pod. `pod` empty: on the node.
  int Run(const std::string& pod, const Arguments& command) { return ExitCodeIn(*fixture_, pod, command); }
  // `program` (a bash) in a pod connects to db; 0: connected.
  int Connect(const std::string& program, std::uint16_t port = 5432, const std::string& pod = "web") {
    return Run(pod, {"/usr/bin/timeout", "1.5", File(program), "-c", fmt::format(": <>/dev/tcp/{}/{}", db_, port)});
  }
  void Serve(std::uint16_t port = 5432) {
    static constexpr char kServer[] =
        "use IO::Socket::INET; $|=1; my $s=IO::Socket::INET->new(Listen=>9,LocalPort=>$ARGV[0],ReuseAddr=>1) or die;"
        "print qq(ready\\n); while (my $c=$s->accept) { }";
    StatusOr<ChildProcess> child = Status(absl::StatusCode::kInternal, "not started");
    const Status started = fixture_->node().netns(fixture_->node().pod("db")).Run([&] {
      child = ChildProcess::Start({"/usr/bin/perl", "-e", kServer, std::to_string(port)});
      return child.status();
    });
    ASSERT_TRUE(started.ok()) << started;
    const auto ready = child->WaitForOutput("ready");
    ASSERT_TRUE(ready.ok()) << ready.status();
    server_ = std::make_unique<ChildProcess>(*std::move(child));
  }
  // The latest event of `observe` with these filters.
  json Event(const std::vector<std::string>& filters) {
    json found;
    Eventually([&] {
      std::vector<std::string> arguments = {"observe", "--all", "-o", "json"};
      arguments.insert(arguments.end(), filters.begin(), filters.end());
      const auto result = agent().Sluice(arguments);
      std::istringstream lines(result.ok() ? result->out : "");
      for (std::string line; std::getline(lines, line);) found = json::parse(line);
      return !found.is_null();
    });
    return found;
  }
  json StatusOf(const std::string& name) {
    const auto document =
        json::parse(Sluice({"get", "kubearmorpolicies", name, "-n", "shop", "-o", "json"}).out, nullptr, false);
    return document.is_object() && document.contains("status") ? document["status"] : json::object();
  }

  std::unique_ptr<NodeFixture> fixture_;
  std::string directory_;
  std::string db_;
  std::unique_ptr<ChildProcess> server_;
};

std::string PeersOf(const std::string& rules) { return "  network:\n    matchPeers: [" + rules + "]\n"; }

TEST_F(KubeArmor, PeersAreRefusedToTheProgramOfTheRuleOnly) {
  Serve();
  Apply(Policy(PeersOf(
      fmt::format("{{cidr: {}/32, port: 5432, protocol: tcp, fromSource: [{{path: {}}}]}}", db_, File("curl")))));
  EXPECT_EQ(Connect("psql"), 0);
  EXPECT_EQ(Connect("curl"), kTimedOut);
  const json dropped = Event({"--type", "flow", "--verdict", "DROPPED", "--process", File("curl")});
  ASSERT_FALSE(dropped.is_null());
  EXPECT_EQ(dropped["dropReason"], "POLICY_DENIED") << dropped;
  EXPECT_EQ(dropped["policies"][0]["kind"], "KubeArmorPolicy") << dropped;
  EXPECT_EQ(dropped["policies"][0]["name"], "p") << dropped;
  EXPECT_EQ(dropped["policies"][0]["rule"], "spec.network.matchPeers[0]") << dropped;
  EXPECT_EQ(dropped["policies"][0]["effect"], "DENY") << dropped;
  // The answer for the program is the same beforehand.
  const auto explain = [&](const std::string& program) {
    return Sluice({"explain", "--from", "shop/web", "--to", "shop/db", "--port", "5432", "--process", File(program)});
  };
  EXPECT_EQ(explain("psql").exit_code, 0);
  const auto denied = explain("curl");
  EXPECT_EQ(denied.exit_code, 3);
  EXPECT_THAT(denied.out, HasSubstr("shop/p spec.network.matchPeers[0]"));
  EXPECT_EQ(StatusOf("p").value("state", ""), "enforced") << StatusOf("p");
  // Another workload is untouched, and so is this one without the policy.
  ASSERT_EQ(Sluice({"delete", "kubearmorpolicy", "p", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(Connect("curl"), 0);
}

TEST_F(KubeArmor, PeersStayRefusedWithoutTheAgentAndAfterItsRestart) {
  Serve();
  Apply(Policy(PeersOf(fmt::format("{{cidr: {}/32, fromSource: [{{path: {}}}]}}", db_, File("curl")))));
  for (const bool kill : {true, false}) {
    const Status ended = kill ? agent().Kill() : agent().Stop();
    ASSERT_TRUE(ended.ok()) << ended;
    EXPECT_EQ(Connect("curl"), kTimedOut);
    const Status started = agent().Restart();
    ASSERT_TRUE(started.ok()) << started;
    EXPECT_EQ(Connect("curl"), kTimedOut);
    EXPECT_EQ(Connect("psql"), 0);
  }
  EXPECT_EQ(StatusOf("p").value("state", ""), "enforced") << StatusOf("p");
}

TEST_F(KubeArmor, AnAllowListOfPeersMeetsThePostureOfTheNamespace) {
  Serve();
  const std::string list = Policy(PeersOf(fmt::format("{{cidr: {}/32, port: 5432, action: Allow}}", db_)));
  Apply(list);
  EXPECT_EQ(Connect("psql"), 0);
  Serve(5433);
  EXPECT_EQ(Connect("psql", 5433), 0) << "the default posture is audit";
  EXPECT_EQ(Event({"--type", "flow", "--verdict", "AUDIT"})["policies"][0]["rule"],
            "spec.network.matchPeers[0] (default posture)");
  Apply(Posture("network", "block"));
  EXPECT_EQ(Connect("psql", 5433), kTimedOut);
  Serve(5432);
  EXPECT_EQ(Connect("psql"), 0);
}

TEST_F(KubeArmor, LenientDocumentsAreAppliedWithNoticesAndReadAgainAfterARestart) {
  Serve();
  const std::string misspelt =
      Policy(PeersOf(fmt::format("{{cidr: {}/32, prot: 80, fromSource: [{{path: {}}}]}}", db_, File("curl"))));
  const auto strict = Sluice({"apply", "-f", "-"}, misspelt);
  EXPECT_EQ(strict.exit_code, 1);
  EXPECT_THAT(strict.err, HasSubstr("stdin:8: KubeArmorPolicy shop/p: spec.network.matchPeers[0].prot: unknown field"));
  EXPECT_EQ(Connect("curl"), 0);
  const auto lenient = Sluice({"apply", "--lenient", "-f", "-"}, misspelt);
  EXPECT_EQ(lenient.exit_code, 0) << lenient.err;
  EXPECT_THAT(lenient.err, HasSubstr("KubeArmorPolicy/p: warning: spec.network.matchPeers[0].prot: unknown field"));
  EXPECT_EQ(Connect("curl"), kTimedOut);
  ASSERT_TRUE(agent().Stop().ok());
  ASSERT_TRUE(agent().Restart().ok());
  EXPECT_EQ(Connect("curl"), kTimedOut);
}

TEST_F(KubeArmor, WhatThePacketPathCannotDoIsRefused) {
  const auto refused = Sluice({"apply", "-f", "-"}, Policy(PeersOf("{cidr: 10.0.0.0/8, pts: true}")));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("stdin: KubeArmorPolicy shop/p: line 8: spec.network.matchPeers[0]: pts: the packet "
                        "path does not know terminals"));
}

// Nothing of the change takes effect, and the policies before it stay.
TEST_F(KubeArmor, AKernelWithoutLsmProgramsRefusesTheRestByName) {
  if (lsm::CheckKernel().ok()) GTEST_SKIP() << "this kernel can have BPF programs at LSM hooks";
  Serve();
  Apply(Policy(PeersOf(fmt::format("{{cidr: {}/32, fromSource: [{{path: {}}}]}}", db_, File("curl")))));
  const auto refused =
      Sluice({"apply", "-f", "-"}, Policy(PeersOf("{cidr: 0.0.0.0/0}"), "all") +
                                       Policy("  file:\n    matchPaths: [{path: /etc/shadow}]\n", "files"));
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("KubeArmorPolicy shop/files: "), HasSubstr("LSM")));
  EXPECT_EQ(Connect("psql"), 0);
  EXPECT_EQ(Connect("curl"), kTimedOut);
  EXPECT_THAT(Sluice({"get", "kubearmorpolicies", "-n", "shop"}).out, AllOf(HasSubstr("p "), Not(HasSubstr("files"))));
  EXPECT_EQ(Sluice({"apply", "--dry-run", "-f", "-"}, Policy("  presets: [{name: exec}]\n", "x")).exit_code, 1);
}

TEST_F(KubeArmor, ExplainSaysWhoWouldStopAProgramOrTheOpeningOfAFile) {
  Apply(
      fmt::format("---\n{{apiVersion: cilium.io/v1alpha1, kind: TracingPolicy, metadata: {{name: secret}}, spec: "
                  "{{podSelector: {{matchLabels: {{app: web}}}}, kprobes: [{{call: sys_openat, syscall: true, args: "
                  "[{{index: 1, type: string}}], selectors: [{{matchArgs: [{{index: 1, operator: Equal, values: "
                  "[{}]}}], matchActions: [{{action: Sigkill}}]}}]}}]}}}}\n",
                  File("secret")));
  const auto denied = Sluice({"explain", "--from", "shop/web", "--open", File("secret")});
  EXPECT_EQ(denied.exit_code, 3) << denied.err;
  EXPECT_THAT(denied.out,
              HasSubstr("TracingPolicy secret spec.kprobes[0].selectors[0]: Sigkill, at the system call openat"));
  EXPECT_EQ(Run("web", {"/bin/cat", File("secret")}), 128 + SIGKILL) << "as it says";
  EXPECT_EQ(Sluice({"explain", "--from", "shop/web", "--open", File("public")}).exit_code, 0);
  EXPECT_EQ(Sluice({"explain", "--from", "shop/db", "--open", File("secret")}).exit_code, 0);
  EXPECT_EQ(Sluice({"explain", "--from", "shop/web", "--exec", File("secret")}).exit_code, 0);
  const auto wrong = Sluice({"explain", "--from", "shop/none", "--exec", "/bin/ls"});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.err, HasSubstr("shop/none: no such workload or pod"));
}

// On kernels with BPF programs at LSM hooks.
class KubeArmorKernel : public KubeArmor {
 protected:
  void SetUp() override {
    if (const Status has = lsm::CheckKernel(); !has.ok()) GTEST_SKIP() << Message(has);
    KubeArmor::SetUp();
  }
  int Cat(const std::string& pod, const std::string& name) { return Run(pod, {"/bin/cat", File(name)}); }
};

TEST_F(KubeArmorKernel, AFileIsBlockedInTheWorkloadsOfThePolicyAndAnAlertSaysSo) {
  Apply(Policy(
      fmt::format("  severity: 7\n  tags: [PCI]\n  message: not for you\n  file:\n    matchPaths: [{{path: {}}}]\n",
                  File("secret"))));
  EXPECT_EQ(Cat("web", "secret"), 1);
  EXPECT_EQ(Cat("web", "public"), 0);
  EXPECT_EQ(Cat("db", "secret"), 0);
  EXPECT_EQ(Cat("", "secret"), 0);
  const json alert = Event({"--type", "alert", "--policy", "shop/p"});
  ASSERT_FALSE(alert.is_null()) << agent().Log();
  EXPECT_EQ(alert["workload"], "web") << alert;
  EXPECT_EQ(alert["operation"], "FILE") << alert;
  EXPECT_EQ(alert["action"], "BLOCK") << alert;
  EXPECT_EQ(alert["resource"], File("secret")) << alert;
  EXPECT_THAT(alert["process"].value("binary", ""), HasSubstr("bin/cat")) << alert;
  EXPECT_EQ(alert["severity"], 7) << alert;
  EXPECT_EQ(alert["message"], "not for you") << alert;
  EXPECT_EQ(alert["labels"]["app"], "web") << alert;
  const json theirs = json::parse(Sluice({"observe", "--last", "1", "--type", "alert", "-o", "kubearmor-json"}).out);
  EXPECT_EQ(theirs["PolicyName"], "p") << theirs;
  EXPECT_EQ(theirs["Action"], "Block") << theirs;
  EXPECT_EQ(theirs["PodName"], "web") << theirs;
  const json status = StatusOf("p");
  EXPECT_EQ(status.value("state", ""), "enforced") << status;
  EXPECT_EQ(status.value("blocked", ""), "1") << status;
  EXPECT_THAT(Sluice({"status"}).out, HasSubstr("KUBEARMOR POLICY"));
  ASSERT_EQ(Sluice({"delete", "kubearmorpolicy", "p", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(Cat("web", "secret"), 0);
}

TEST_F(KubeArmorKernel, AProgramIsBlockedAndExplainSaysSoBefore) {
  Apply(Policy(fmt::format("  process:\n    matchPaths: [{{path: {}}}]\n", File("curl"))));
  EXPECT_EQ(Sluice({"explain", "--from", "shop/web", "--exec", File("curl")}).exit_code, 3);
  EXPECT_EQ(Sluice({"explain", "--from", "shop/web", "--exec", File("psql")}).exit_code, 0);
  EXPECT_NE(Run("web", {"/bin/sh", "-c", File("curl") + " -c :"}), 0);
  EXPECT_EQ(Run("web", {"/bin/sh", "-c", File("psql") + " -c :"}), 0);
  EXPECT_EQ(Run("db", {"/bin/sh", "-c", File("curl") + " -c :"}), 0);
}

TEST_F(KubeArmorKernel, StaysInForceWithoutTheAgentAndAfterItsRestart) {
  Apply(Policy(fmt::format("  file:\n    matchPaths: [{{path: {}}}]\n", File("secret"))));
  const Status ended = agent().Kill();
  ASSERT_TRUE(ended.ok()) << ended;
  EXPECT_EQ(Cat("web", "secret"), 1);
  const Status started = agent().Restart();
  ASSERT_TRUE(started.ok()) << started;
  EXPECT_EQ(Cat("web", "secret"), 1);
  EXPECT_EQ(Cat("web", "public"), 0);
  ASSERT_EQ(Sluice({"delete", "kubearmorpolicy", "p", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(Cat("web", "secret"), 0) << "the earlier agent's programs have ended";
}

TEST_F(KubeArmorKernel, AnAllowListMeetsThePostureOfTheNamespace) {
  const std::string list =
      Policy(fmt::format("  action: Allow\n  file:\n    matchPaths: [{{path: {}, fromSource: [{{path: {}}}]}}]\n",
                         File("public"), File("curl")));
  const auto read = [&](const std::string& name) {
    return Run("web", {File("curl"), "-c", fmt::format("read x < {}", File(name))});
  };
  Apply(list);
  EXPECT_EQ(read("secret"), 0) << "the default posture is audit";
  EXPECT_EQ(Event({"--type", "alert"})["policy"]["would"], "DEFAULT_DENY");
  Apply(
      Posture("file", "block") +
      Policy(fmt::format("  action: Allow\n  file:\n    matchPaths: [{{path: {0}, fromSource: [{{path: {1}}}]}}]\n    "
                         "matchDirectories: [{{dir: /usr/, recursive: true}}, {{dir: /etc/, recursive: true}}, {{dir: "
                         "/dev/, recursive: true}}, {{dir: /proc/, recursive: true}}]\n",
                         File("public"), File("curl"))));
  EXPECT_NE(read("secret"), 0);
  EXPECT_EQ(read("public"), 0);
}

TEST_F(KubeArmorKernel, WhatCannotBeKnownIsRefused) {
  const auto refused = Sluice(
      {"apply", "-f", "-"},
      "{apiVersion: security.kubearmor.com/v1, kind: KubeArmorPolicy, metadata: {name: c, namespace: shop}, spec: "
      "{selector: {matchLabels: {kubearmor.io/container.name: web}}, presets: [{name: exec}]}}");
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("KubeArmorPolicy shop/c: kubearmor.io/container.name: no container runtime has "
                                     "told this agent of its containers"));
}

TEST_F(KubeArmorKernel, APolicyForHostsSelectsThemByTheirLabels) {
  const std::string policy = fmt::format(
      "{{apiVersion: security.kubearmor.com/v1, kind: KubeArmorHostPolicy, metadata: {{name: h}}, spec: "
      "{{nodeSelector: "
      "{{matchLabels: {{zone: a}}}}, file: {{matchPaths: [{{path: {}}}]}}}}}}\n",
      File("secret"));
  const auto refused = Sluice({"apply", "-f", "-"}, policy);
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("KubeArmorHostPolicy h: nodeSelector: zone: the labels of this node are not known"));
  const auto restart = [&](const std::string& label) {
    EXPECT_TRUE(agent().Stop().ok());
    EXPECT_TRUE(agent().Restart({"--node-label", label}).ok()) << agent().Log();
  };
  restart("zone=a");
  Apply(policy);
  EXPECT_NE(Cat("", "secret"), 0);
  EXPECT_EQ(Cat("", "public"), 0);
  EXPECT_EQ(Cat("web", "secret"), 0) << "a pod is none of the host's";
  const auto denied = Sluice({"explain", "--from", "node", "--open", File("secret")});
  EXPECT_EQ(denied.exit_code, 3) << denied.out;
  restart("zone=b");
  EXPECT_EQ(Cat("", "secret"), 0);
  EXPECT_EQ(Sluice({"explain", "--from", "node", "--open", File("secret")}).exit_code, 0);
}

}  // namespace
}  // namespace sluice::test
