// How suites are read, expanded and judged.
#include "tests/suites/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/suites/case_plan.h"
#include "tests/suites/suite_alerts.h"

namespace sluice::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<SuiteCase> Read(const std::string& text) {
  auto cases = ReadSuite("s.yaml", text);
  EXPECT_TRUE(cases.ok()) << cases.status();
  return cases.ok() ? *std::move(cases) : std::vector<SuiteCase>();
}

std::string ErrorOf(const std::string& text) {
  const auto cases = ReadSuite("s.yaml", text);
  return cases.ok() ? "" : Message(cases.status());
}

std::vector<std::string> NamesOf(const std::vector<SuiteCase>& cases) {
  std::vector<std::string> names;
  for (const SuiteCase& one : cases) names.push_back(one.name + " " + one.values);
  return names;
}

TEST(Suite, ATestWithoutCasesIsOne) { EXPECT_THAT(NamesOf(Read("tests: [{name: a, rule: R}]")), ElementsAre("a ")); }

TEST(Suite, VectorsAreOneCaseAndMatricesOneForEachCombination) {
  const auto cases = Read(R"(tests:
  - name: a
    rule: R
    runIf: %{ item.when }
    steps: [{args: {path: "%{ item.path }", mode: "x%{ item.path }"}}]
    cases:
      - {strategy: vector, values: {path: /v, when: null}}
      - strategy: matrix
        values:
          path: [/a, /b]
          when: [{arch: {op: ne, val: arm64}}, null]
)");
  EXPECT_THAT(NamesOf(cases), ElementsAre("a#0 path=/v", "a#1 path=/a", "a#2 path=/a", "a#3 path=/b", "a#4 path=/b"));
  ASSERT_EQ(cases.size(), 5U);
  const SuiteJson& second = cases[1].description;
  EXPECT_EQ(second["steps"][0]["args"]["path"], "/a");
  EXPECT_EQ(second["steps"][0]["args"]["mode"], "x%{ item.path }") << "only whole values are replaced";
  EXPECT_EQ(second["runIf"]["arch"]["val"], "arm64");
  EXPECT_TRUE(cases[2].description["runIf"].is_null());
  EXPECT_FALSE(second.contains("cases"));
}

TEST(Suite, WrongFilesAreRefusedByPlace) {
  EXPECT_THAT(ErrorOf("tests: ["), HasSubstr("s.yaml:2:1: end of sequence"));
  EXPECT_THAT(ErrorOf("a: b"), HasSubstr("s.yaml: no list of tests"));
  EXPECT_THAT(ErrorOf("tests: [{rule: R}]"), HasSubstr("a test without a name"));
  EXPECT_THAT(ErrorOf("tests: [{name: a}, {name: a}]"), HasSubstr("two tests are named a"));
  EXPECT_THAT(ErrorOf("tests: [{name: a, rule: \"%{ item.x }\", cases: [{strategy: vector, values: {y: 1}}]}]"),
              HasSubstr("s.yaml: a: no case has a value for %{ item.x }"));
  EXPECT_THAT(ErrorOf("tests: [{name: a, cases: [{strategy: each, values: {y: 1}}]}]"), HasSubstr("strategy \"each\""));
  EXPECT_THAT(ErrorOf("tests: [{name: a, cases: [{strategy: matrix, values: {y: 1}}]}]"),
              HasSubstr("values.y: a matrix needs a list"));
  EXPECT_THAT(
      ErrorOf("tests: [{name: a, cases: [{strategy: vector, values: {x: 1}}, {strategy: vector, values: {y: 1}}]}]"),
      HasSubstr("different keys"));
}

PlanOptions Options() { return {.directory = "/tmp/c", .program = "/p", .users = {{"daemon", {1, 2}}}}; }

std::string LinesOf(const std::string& test) {
  const auto plan = PlanOf(Read("tests: [{name: a, runner: HostRunner, " + test + "}]").front(), Options());
  return plan.ok() ? plan->lines : Message(plan.status());
}

TEST(CasePlan, ProcessesStartEachOtherAndTheLastOneActs) {
  const auto plan = PlanOf(Read(R"(tests:
  - name: a
    runner: HostRunner
    before: rm -f /x
    context:
      container: {}
      processes: [{name: sshd}, {name: id, exe: /bin/id, args: "-a 'b c'", user: daemon}]
    resources:
      - {type: fd, name: f, subtype: file, filePath: /etc/x}
      - {type: clientServer, name: cs, l4Proto: tcp6, address: "[::1]:99"}
    steps:
      - {type: syscall, name: d, syscall: dup2, args: {oldFd: "${ cs.client.fd }", newFd: 1}}
      - {type: syscall, name: o, syscall: openat2, args: {pathname: /y, how: {flags: O_WRONLY|O_CREAT, mode: 0644}}}
)")
                               .front(),
                           Options());
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->lines,
            "run\t/tmp/c/0/sshd\t-\t-\tsshd\n"
            "run\t/tmp/c/1/id\t1\t2\t/bin/id\t-a\tb c\n"
            "connection\ttcp6\t::1\t99\n"
            "dup2\tclient\t1\n"
            "openat2\t/y\t65\t420\n");
  EXPECT_TRUE(plan->in_container);
  EXPECT_EQ(plan->before, "rm -f /x");
  EXPECT_THAT(plan->files, ElementsAre("/etc/x"));
  EXPECT_EQ(plan->processes[0].program, "/p");
  EXPECT_TRUE(plan->processes[1].copied);
}

TEST(CasePlan, WhatIsNotKnownIsRefusedByName) {
  EXPECT_THAT(LinesOf("hurry: yes"), HasSubstr("a.hurry: not known"));
  EXPECT_THAT(LinesOf("steps: [{type: syscall, syscall: mount, args: {}}]"), HasSubstr("steps.syscall: mount"));
  EXPECT_THAT(LinesOf("steps: [{type: syscall, syscall: open, args: {pathname: /x, flags: O_FAST}}]"),
              HasSubstr("steps.args.flags: O_FAST"));
  EXPECT_THAT(LinesOf("steps: [{type: syscall, syscall: open, args: {flags: 0}}]"),
              HasSubstr("steps.args.pathname: missing"));
  EXPECT_THAT(LinesOf("steps: [{type: syscall, syscall: symlink, args: {target: a, linkPath: b, dir: c}}]"),
              HasSubstr("steps.args.dir: not known"));
  EXPECT_THAT(LinesOf("resources: [{type: fd, subtype: pipe}]"), HasSubstr("resources.subtype: pipe"));
  EXPECT_THAT(LinesOf("context: {container: {image: x}}"), HasSubstr("context.container.image: not known"));
  EXPECT_THAT(LinesOf("context: {processes: [{name: a, user: nobody-here}]}"),
              HasSubstr("this machine has no user nobody-here"));
  EXPECT_THAT(LinesOf("context: {processes: [{name: \"a\\tb\"}]}"), HasSubstr("has a tab"));
}

TEST(CasePlan, ConditionsAreAboutTheArchitecture) {
  const auto is_for = [](const std::string& condition) {
    return IsForThisMachine(Read("tests: [{name: a, runIf: " + condition + "}]").front());
  };
  EXPECT_TRUE(*is_for("null"));
  EXPECT_TRUE(*is_for("{arch: {op: ne, val: s390x}}"));
  EXPECT_FALSE(*is_for("{arch: {op: eq, val: s390x}}"));
  EXPECT_FALSE(is_for("{kernel: {op: eq, val: 6}}").ok());
}

constexpr char kLine[] =
    R"({"type":"detection","node":"n","rule":"R","priority":"WARNING","source":"syscall","process":{"pid":7},)"
    R"("fields":[{"name":"a","text":"x"},{"name":"n","uint64Value":"3"},{"name":"gone"}]})"
    "\n{\"type\":\"exec\"}\nno json\n{\"type\":\"detection\",\"rule\":\"half";

TEST(SuiteAlerts, AnAlertIsComparedWithEachExpectation) {
  const SuiteAlerts alerts = ReadAlerts(kLine);
  ASSERT_EQ(alerts.size(), 1U);
  const Expectation good{
      .rule = "R", .source = "syscall", .hostname = "n", .priority = "warning", .fields = {{"a", "x"}, {"n", "3"}}};
  EXPECT_EQ(Judge(good, {6, 7}, alerts), "");
  EXPECT_EQ(Judge(good, {6}, alerts), "no alert of the rule");
  Expectation other = good;
  other.rule = "S";
  EXPECT_EQ(Judge(other, {7}, alerts), "no alert of the rule, but one of R");
  other = good;
  other.fields["a"] = "y";
  EXPECT_EQ(Judge(other, {7}, alerts), "a is x, not y");
  other = good;
  other.fields["gone"] = "z";
  EXPECT_EQ(Judge(other, {7}, alerts), "gone is not known, not z");
  other = good;
  other.priority = "error";
  EXPECT_EQ(Judge(other, {7}, alerts), "priority is warning, not error");
  other.source = "k8s_audit";
  EXPECT_THAT(Judge(other, {7}, alerts), HasSubstr("source is syscall, not k8s_audit"));
}

}  // namespace
}  // namespace sluice::test
