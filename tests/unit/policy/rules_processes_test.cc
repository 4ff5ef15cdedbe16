// The numbered rules of docs/policy.md from 41 on: by process.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/policy/world.h"

namespace sluice::policy {
namespace {

constexpr char kPsql[] = "/usr/bin/psql";
constexpr char kCurl[] = "/usr/bin/curl";
constexpr char kSshd[] = "/usr/sbin/sshd";

// A policy for shop/web's egress, or for shop/db's ingress; `more`: further fields of the spec.
std::string WebEgress(const std::string& rules, const std::string& more = "", const std::string& name = "p") {
  return SluicePolicyYaml("shop", name,
                          fmt::format("podSelector: {{matchLabels: {{app: web}}}}, policyTypes: [Egress], egress: {}{}",
                                      rules, more)) +
         "---\n";
}
std::string DbIngress(const std::string& rules, const std::string& more = "") {
  return SluicePolicyYaml(
      "shop", "q",
      fmt::format("podSelector: {{matchLabels: {{app: db}}}}, policyTypes: [Ingress], ingress: {}{}", rules, more));
}

using Known = std::optional<Process>;

Known Program(const std::string& binary, std::vector<std::string> ancestors = {}, bool more = false) {
  return Process{.binary = binary, .script = "", .ancestors = std::move(ancestors), .more_ancestors = more};
}

Known Script(const std::string& interpreter, const std::string& script) {
  return Process{.binary = interpreter, .script = script};
}

Evaluation EvaluateFrom(const World& world, const Known& process, const std::string& service = "80/TCP") {
  Flow flow = world.FlowOf("shop/web", "shop/db", service);
  flow.source_process = process;
  return world.Evaluate(flow);
}
bool From(const World& world, const Known& process, const std::string& service = "80/TCP") {
  return EvaluateFrom(world, process, service).allowed;
}
bool To(const World& world, const Known& process) {
  Flow flow = world.FlowOf("shop/web", "shop/db", "80/TCP");
  flow.destination_process = process;
  return world.Evaluate(flow).allowed;
}

TEST(RulesProcesses, Rule41_ARuleMatchesItsProcessesOnly) {
  const World world =
      With(WebEgress("[{processes: {binaries: [/usr/bin/psql, /usr/bin/pg_dump]}, ports: [{port: 80}]}]"));
  EXPECT_TRUE(From(world, Program(kPsql)));
  EXPECT_TRUE(From(world, Program("/usr/bin/pg_dump")));
  EXPECT_FALSE(From(world, Program(kCurl)));
  EXPECT_FALSE(From(world, Program(kPsql), "81/TCP")) << "peer and port count as ever";
  EXPECT_EQ(EvaluateFrom(world, Program(kCurl)).egress->contributions[0].effect, Effect::kDefaultDeny);
  EXPECT_EQ(EvaluateFrom(world, Program(kPsql)).egress->contributions[0].rule, "egress[0]");
}

TEST(RulesProcesses, Rule41_BothListsMustBeMet) {
  const World world = With(WebEgress("[{processes: {binaries: [/usr/bin/psql], ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_TRUE(From(world, Program(kPsql, {"/usr/bin/bash", kSshd})));
  EXPECT_FALSE(From(world, Program(kPsql, {"/usr/bin/bash"})));
  EXPECT_FALSE(From(world, Program(kPsql)));
  EXPECT_FALSE(From(world, Program(kCurl, {kSshd})));
  const World any = With(WebEgress("[{processes: {ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_TRUE(From(any, Program(kCurl, {kSshd})));
  EXPECT_FALSE(From(any, Program(kCurl)));
}

TEST(RulesProcesses, Rule41_ActionsAndModesMeanWhatTheyAlwaysDo) {
  const World deny = With(WebEgress("[{}, {action: Deny, processes: {binaries: [/usr/bin/curl]}}]"));
  EXPECT_FALSE(From(deny, Program(kCurl)));
  EXPECT_TRUE(From(deny, Program(kPsql)));
  const World audit_rule = With(WebEgress("[{}, {action: Audit, processes: {binaries: [/usr/bin/curl]}}]"));
  EXPECT_TRUE(EvaluateFrom(audit_rule, Program(kCurl)).audit_denied);
  EXPECT_FALSE(EvaluateFrom(audit_rule, Program(kPsql)).audit_denied);
  const World trial = With(WebEgress("[{processes: {binaries: [/usr/bin/psql]}}]", ", mode: Audit"));
  EXPECT_TRUE(From(trial, Program(kCurl)));
  EXPECT_TRUE(EvaluateFrom(trial, Program(kCurl)).audit_denied);
  EXPECT_FALSE(EvaluateFrom(trial, Program(kPsql)).audit_denied);
}

TEST(RulesProcesses, Rule41_ItSaysWhetherTheAnswerHangsOnTheProcess) {
  const World world = With(WebEgress("[{ports: [{port: 81}]}, {ports: [{port: 80}], processes: {binaries: [/a]}}]"));
  EXPECT_TRUE(EvaluateFrom(world, Program(kPsql)).egress_by_process);
  EXPECT_FALSE(EvaluateFrom(world, Program(kPsql)).ingress_by_process);
  EXPECT_FALSE(EvaluateFrom(world, Program(kPsql), "81/TCP").egress_by_process);
}

// See also glob_test.cc; for refused patterns, parser_test.cc.
TEST(RulesProcesses, Rule42_Patterns) {
  const World world = With(WebEgress("[{processes: {binaries: [/opt/app/**, '/usr/bin/python3.?', '**/agent']}}]"));
  EXPECT_TRUE(From(world, Program("/opt/app/bin/x")));
  EXPECT_TRUE(From(world, Program("/usr/bin/python3.9")));
  EXPECT_TRUE(From(world, Program("/srv/agent")));
  EXPECT_FALSE(From(world, Program("/usr/bin/python3.11")));
}

TEST(RulesProcesses, Rule43_AScriptCountsByItsInterpreterAndByItsName) {
  const World by_script = With(WebEgress("[{processes: {binaries: [/opt/backup.py]}}]"));
  EXPECT_TRUE(From(by_script, Script("/usr/bin/python3", "/opt/backup.py")));
  EXPECT_FALSE(From(by_script, Script("/usr/bin/python3", "/opt/other.py")));
  EXPECT_FALSE(From(by_script, Program("/usr/bin/python3")));
  const World by_interpreter = With(WebEgress("[{processes: {binaries: [/usr/bin/python3]}}]"));
  EXPECT_TRUE(From(by_interpreter, Script("/usr/bin/python3", "/opt/backup.py")));
}

// The sensors decide which instances are ancestors; here they are given.
TEST(RulesProcesses, Rule44_TheProgramItselfIsNoAncestor) {
  const World world = With(WebEgress("[{processes: {ancestors: ['/usr/bin/*']}}]"));
  EXPECT_FALSE(From(world, Program(kPsql)));
  EXPECT_TRUE(From(world, Program(kPsql, {kPsql}))) << "a fork of it";
}

TEST(RulesProcesses, Rule45_EgressAsksTheSenderIngressTheListener) {
  const World egress = With(WebEgress("[{processes: {binaries: [/usr/bin/psql]}}]"));
  EXPECT_TRUE(From(egress, Program(kPsql)));
  EXPECT_FALSE(To(egress, Program(kPsql)));
  const World ingress = With(DbIngress("[{processes: {binaries: [/usr/bin/psql]}}]"));
  EXPECT_FALSE(From(ingress, Program(kPsql)));
  EXPECT_TRUE(To(ingress, Program(kPsql)));
}

TEST(RulesProcesses, Rule46_WhoeverIsAbsentIsNotKnown) {
  const World world = With(WebEgress("[{processes: {binaries: [/usr/bin/psql]}}, {ports: [{port: 53}]}]"));
  EXPECT_FALSE(From(world, std::nullopt));
  EXPECT_TRUE(From(world, std::nullopt, "53/TCP")) << "a rule that asks for no process";
  const World anything = With(WebEgress("[{processes: {binaries: ['**']}}]"));
  EXPECT_TRUE(From(anything, Program(kCurl)));
  EXPECT_FALSE(From(anything, std::nullopt)) << "every program is one that is known";
}

TEST(RulesProcesses, Rule46_AncestorsThatMayBeMissing) {
  const World world =
      With(WebEgress("[{}, {action: Deny, processes: {binaries: [/usr/bin/psql], ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_TRUE(From(world, Program(kPsql, {"/usr/bin/bash"})));
  EXPECT_FALSE(From(world, Program(kPsql, {"/usr/bin/bash"}, true))) << "sshd may be one of them";
  EXPECT_FALSE(From(world, Program(kPsql, {kSshd}, true))) << "sshd is one of them";
  EXPECT_TRUE(From(world, Program(kCurl, {"/usr/bin/bash"}, true))) << "whoever they are, it is not psql";
}

TEST(RulesProcesses, Rule46_NotKnownToOneRuleIsKnownToAnother) {
  const World world = With(WebEgress(
      "[{processes: {binaries: [/usr/bin/psql]}}, {ports: [{port: 80}], processes: {ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_TRUE(From(world, Program(kPsql, {}, true))) << "it is psql, whoever led to it";
  EXPECT_FALSE(From(world, Program(kCurl, {}, true)));
  EXPECT_TRUE(From(world, Program(kCurl, {kSshd}, true)));
}

TEST(RulesProcesses, Rule46_AncestorsOfAProgramThatIsNotKnown) {
  const World world = With(WebEgress("[{processes: {ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_TRUE(From(world, Program("", {kSshd})));
  EXPECT_FALSE(From(world, Program("", {})));
  const World both = With(WebEgress("[{processes: {binaries: [/usr/bin/psql], ancestors: [/usr/sbin/sshd]}}]"));
  EXPECT_FALSE(From(both, Program("", {kSshd})));
}

TEST(RulesProcesses, Rule47_ClosedUnlessThePolicySaysOtherwise) {
  const std::string allow = "[{processes: {binaries: [/usr/bin/psql]}}]";
  const std::string deny = "[{}, {action: Deny, processes: {binaries: [/usr/bin/curl]}}]";
  const std::string audit = "[{}, {action: Audit, processes: {binaries: [/usr/bin/curl]}}]";
  for (const char* closed : {"", ", unknownProcesses: Deny"}) {
    EXPECT_FALSE(From(With(WebEgress(allow, closed)), std::nullopt));
    EXPECT_FALSE(From(With(WebEgress(deny, closed)), std::nullopt));
    EXPECT_TRUE(EvaluateFrom(With(WebEgress(audit, closed)), std::nullopt).audit_denied);
  }
  const std::string open = ", unknownProcesses: Allow";
  EXPECT_TRUE(From(With(WebEgress(allow, open)), std::nullopt));
  EXPECT_TRUE(From(With(WebEgress(deny, open)), std::nullopt));
  EXPECT_FALSE(EvaluateFrom(With(WebEgress(audit, open)), std::nullopt).audit_denied);
  EXPECT_FALSE(From(With(WebEgress(allow, open)), Program(kCurl))) << "a process that is known";
}

TEST(RulesProcesses, Rule47_EachPolicySpeaksForItsOwnRules) {
  const std::string open = WebEgress("[{processes: {binaries: [/usr/bin/psql]}}]", ", unknownProcesses: Allow", "open");
  const std::string closed = WebEgress("[{action: Deny, processes: {binaries: [/usr/bin/curl]}}]", "", "closed");
  EXPECT_TRUE(From(With(open), std::nullopt));
  const World both = With(open + closed);
  EXPECT_FALSE(From(both, std::nullopt));
  EXPECT_EQ(EvaluateFrom(both, std::nullopt).egress->contributions[0].policy.name, "closed");
  EXPECT_TRUE(From(both, Program(kPsql)));
}

TEST(RulesProcesses, Rule47_RulesAboutTheNodeAndOneselfStand) {
  const World world = With(DbIngress("[{processes: {binaries: [/usr/bin/psql]}}]"));
  Flow probe = world.FlowOf(kNode4, "shop/db", "80/TCP");
  EXPECT_FALSE(world.Evaluate(probe).allowed);
  probe.from_node = true;
  EXPECT_TRUE(world.Evaluate(probe).allowed);  // 14
  EXPECT_TRUE(world.Allows("shop/db", "shop/db"));
}

// The packet path notices the change; here only the questions and answers are tested.
TEST(RulesProcesses, Rule48_AnotherProcessBehindAFlowGetsItsOwnAnswer) {
  const World world = With(
      WebEgress("[{processes: {binaries: ['/usr/bin/p*']}}, {action: Deny, processes: {binaries: ['**'], ancestors: "
                "['**/bash']}}]"));
  EXPECT_TRUE(From(world, Program(kPsql)));
  EXPECT_FALSE(From(world, Program(kCurl, {kPsql}))) << "it executed another program";
  const auto number = [&](const Known& process) {
    Flow flow = world.FlowOf("shop/web", "shop/db", "80/TCP");
    flow.source_process = process;
    return test::LookUp(world.compiled().tables, flow).egress_decision;
  };
  EXPECT_EQ(number(Program(kPsql)), number(Program("/usr/bin/perl", {kPsql}))) << "nothing changed for the flow (19)";
  EXPECT_NE(number(Program(kPsql)), number(Program(kPsql, {"/usr/bin/bash"})));
}

// For the other limits see process_verdict_test.cc.
TEST(RulesProcesses, Rule49_EightDifferentProcessesMayMeet) {
  std::string rules;
  for (int i = 0; i < 8; i++) rules += fmt::format("{{processes: {{binaries: [/bin/{}]}}}}, ", i);
  const World world = With(WebEgress("[" + rules + "{processes: {binaries: [/bin/7, /bin/7]}}]"));
  for (int i = 0; i < 9; i++) EXPECT_EQ(From(world, Program(fmt::format("/bin/{}", i))), i < 8) << i;
}

}  // namespace
}  // namespace sluice::policy
