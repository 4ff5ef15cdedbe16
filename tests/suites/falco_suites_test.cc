// The suites of Falco's repository, run as they are: each case's programs and system calls, and what the agent says of
// them with Falco's own rules. They are no part of this project: SLUICE_CORPORA is the directory that has them, below
// falco-suites/, and the rules, below falco-rules/. docs/rules.md has the counts: SLUICE_UPDATE_DOCS=1 writes them.
// SLUICE_SUITE=TEXT runs only cases whose name has the text.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/e2e_kube/kubernetes_fixture.h"
#include "tests/suites/suite_alerts.h"
#include "tests/suites/suite_place.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

constexpr char kContainer[] = "5c1e0fa1c05c1e0fa1c05c1e0fa1c05c1e0fa1c05c1e0fa1c05c1e0fa1c0abcd";
constexpr unsigned kFirstUser = 61'000;  // of users that this machine has not
constexpr double kGoal = 0.95;

// Why a case does not pass, by a part of its test's name and of what was seen. Nothing else may fail.
struct KnownReason {
  const char* test;
  const char* seen;
  const char* why;
};
constexpr KnownReason kKnown[] = {
    {"detect_release_agent_file_container_escapes", "user.name is <NA>, not ",
     "of users in a container only root has a name: their files are the workload's, and are not read"},
};

// Empty: it should have passed.
std::string WhyNot(const std::string& test, const std::string& seen) {
  for (const KnownReason& known : kKnown) {
    if (test.find(known.test) != std::string::npos && seen.find(known.seen) != std::string::npos) return known.why;
  }
  return "";
}

struct Outcome {
  SuiteCase one;
  Expectation expected;
  std::vector<pid_t> leaves;
  std::string reason;  // empty: passed
};

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<fs::path> SuiteFiles(const fs::path& corpus) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

// The page's part about suites, from its head to its end.
constexpr const char* kSuitesTitle = "\n## Suites of Falco's repository\n";
constexpr const char* kSuitesHead = R"(
## Suites of Falco's repository
Falco's own end-to-end tests, which are files for event-generator's `suite test`: each case starts programs, makes system
calls, and names the alert that has to come, with fields. `tests/suites` runs the files as they are, each case with a real
agent and `falco_rules.yaml` as it is, in a root of its own and, where the case says so, in a container. A case passes if
an alert about its process has the rule, the priority and every field that it expects; fields that the rule itself does not
print are added to its output by a second file.

)";

std::string MadeFromOutcomes(const std::vector<Outcome>& outcomes) {
  struct Count {
    std::size_t cases = 0, passed = 0;
  };
  std::map<std::string, Count> files;
  std::map<std::pair<std::string, std::string>, std::size_t> reasons;
  Count all;
  for (const Outcome& outcome : outcomes) {
    const bool passed = outcome.reason.empty();
    for (Count* const count : {&files[outcome.one.file], &all}) {
      count->cases++;
      count->passed += passed ? 1 : 0;
    }
    if (!passed) reasons[{outcome.one.test, outcome.reason + ": " + WhyNot(outcome.one.test, outcome.reason)}]++;
  }
  std::string text = kSuitesHead + std::string("| file | cases | passed |\n| --- | --- | --- |\n");
  for (const auto& [file, count] : files) text += fmt::format("| {} | {} | {} |\n", file, count.cases, count.passed);
  text += fmt::format("| all | {} | {} |\n", all.cases, all.passed);
  if (reasons.empty()) return text;
  text += "\n| did not pass | cases | because |\n| --- | --- | --- |\n";
  for (const auto& [why, count] : reasons) text += fmt::format("| {} | {} | {} |\n", why.first, count, why.second);
  return text;
}

// A container's facts come from a runtime, as they do in a cluster: this one is privileged, as event-generator's are.
class FalcoSuites : public KubernetesFixture {
 protected:
  void SetUp() override {
    KubernetesFixture::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    const char* const corpora = std::getenv("SLUICE_CORPORA");
    if (corpora == nullptr) {
      GTEST_SKIP() << "SLUICE_CORPORA names no directory with falco-suites/: other people's suites are not run";
    }
    corpora_ = corpora;
  }
  void TearDown() override {
    observer_.reset();
    host_.reset();
    container_.reset();
  }
  void Prepare(TestNode&) override {
    runtime_.AddContainer(kContainer, "sandbox-web", "c", 0);
    runtime_.SetFacts(kContainer, "registry.example/shop/web:1.0", true);
  }

  std::string Seen() const { return directory_ + "/seen"; }

  void ReadCases() {
    const char* const only = std::getenv("SLUICE_SUITE");
    for (const fs::path& file : SuiteFiles(corpora_ / "falco-suites")) {
      auto cases = ReadSuite(file.filename(), ReadFile(file));
      ASSERT_TRUE(cases.ok()) << cases.status();
      for (SuiteCase& one : *cases) {
        const auto is_for = IsForThisMachine(one);
        ASSERT_TRUE(is_for.ok()) << is_for.status();
        auto expected = ExpectationOf(one);
        ASSERT_TRUE(expected.ok()) << expected.status();
        if (*is_for && (only == nullptr || one.name.find(only) != std::string::npos))
          outcomes_.push_back({.one = std::move(one), .expected = *std::move(expected), .leaves = {}, .reason = ""});
      }
    }
  }

  // The users that the cases ask for. Those that this machine has not are in the agent's file of users only: event-
  // generator makes them.
  void FindUsers() {
    std::string file = ReadFile("/etc/passwd");
    unsigned next = kFirstUser;
    for (const Outcome& outcome : outcomes_) {
      const SuiteJson context = outcome.one.description.value("context", SuiteJson::object());
      for (const SuiteJson& process : context.value("processes", SuiteJson::array())) {
        if (!process.contains("user") || !process["user"].is_string()) continue;
        const auto name = process["user"].get<std::string>();
        if (users_.contains(name)) continue;
        if (const passwd* const user = getpwnam(name.c_str()); user != nullptr) {
          users_[name] = {user->pw_uid, user->pw_gid};
          continue;
        }
        users_[name] = {next, next};
        file += fmt::format("{}:x:{}:{}::/:/bin/false\n", name, next, next);
        next++;
      }
    }
    std::ofstream(directory_ + "/passwd") << file;
    fs::create_directory(directory_ + "/nothing");
  }

  // What Falco's `append_output` is for: the expected fields are in each alert.
  void AddFields() const {
    std::map<std::string, std::set<std::string>> fields;
    for (const Outcome& outcome : outcomes_) {
      for (const auto& [field, value] : outcome.expected.fields) fields[outcome.expected.rule].insert(field);
    }
    std::string text =
        "- rule: Facts known\n  desc: what the runtime says is known\n  output: known\n  priority: INFO\n"
        "  condition: evt.type = openat and fd.name = /facts and container.privileged = true\n";
    for (const auto& [rule, names] : fields) {
      text += fmt::format("- rule: {}\n  output: \"", rule);
      for (const std::string& name : names) text += fmt::format(" {0}=%{0}", name);
      text += "\"\n  override: {output: append}\n";
    }
    std::ofstream(directory_ + "/fields.yaml") << text;
  }

  // The agent takes names of users from process 1's root, which is this machine's; without that, from its own.
  void StartAgent() {
    const std::string files = fmt::format(
        "mount --bind {0}/nothing /proc/1 && mount --bind {0}/passwd /etc/passwd && exec \"$@\"", directory_);
    before_ = {"/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", files, "sh"};
    more_arguments_ = {"--rules",      corpora_ / "falco-rules/rules/falco_rules.yaml",
                       "--rules",      directory_ + "/fields.yaml",
                       "--rules-rate", "0"};
    ASSERT_NO_FATAL_FAILURE(Start());
    const TestNode& node = fixture_->node();
    // Where the cases connect to, besides loopback.
    ASSERT_TRUE(node.netns().Ip("address add 203.0.113.10/32 dev lo\n").ok());
    auto host = SuitePlace::Create({.netns_fd = node.fd(), .container = ""});
    ASSERT_TRUE(host.ok()) << host.status();
    host_ = *std::move(host);
    auto container = SuitePlace::Create({.netns_fd = fixture_->netns_fd("web"), .container = kContainer});
    ASSERT_TRUE(container.ok()) << container.status();
    container_ = *std::move(container);
    auto observer = ChildProcess::Start({"/bin/sh", "-c", "exec \"$@\" >" + Seen(), "sh", BinDirectory() + "/sluice",
                                         "--server", fixture_->agent().api_address(), "observe", "-f", "--all",
                                         "--host", "--type", "detection", "-o", "json"});
    ASSERT_TRUE(observer.ok()) << observer.status();
    observer_ = std::make_unique<ChildProcess>(*std::move(observer));
    ASSERT_TRUE(Eventually([this] { return AreFactsKnown(); })) << fixture_->agent().Log();
  }

  bool AreFactsKnown() {
    CasePlan plan;
    plan.lines = fmt::format("openat\t/facts\t{}\t{}\n", O_WRONLY | O_CREAT, 0600);
    EXPECT_TRUE(container_->Run(plan).ok());
    const SuiteAlerts alerts = ReadAlerts(ReadFile(Seen()));
    return std::any_of(alerts.begin(), alerts.end(), [](const auto& one) { return one.second.rule == "Facts known"; });
  }

  void Run(Outcome* outcome, std::size_t number) {
    const auto plan =
        PlanOf(outcome->one,
               {.directory = fmt::format("/tmp/suite-{}", number), .program = SuitePlace::kProgram, .users = users_});
    if (!plan.ok()) {
      outcome->reason = Message(plan.status());
      return;
    }
    const auto run = (plan->in_container ? *container_ : *host_).Run(*plan);
    outcome->reason = run.ok() ? run->problem : Message(run.status());
    if (outcome->reason.empty()) outcome->leaves = run->leaves;
    if (outcome->reason.empty() && outcome->leaves.empty()) outcome->reason = "its last program did not start";
  }

  // True when all cases have their alert, or a reason that is known.
  bool JudgeAll() {
    const SuiteAlerts alerts = ReadAlerts(ReadFile(Seen()));
    bool all = true;
    for (Outcome& outcome : outcomes_) {
      if (!outcome.leaves.empty()) outcome.reason = Judge(outcome.expected, outcome.leaves, alerts);
      all = all && (outcome.reason.empty() || !WhyNot(outcome.one.test, outcome.reason).empty());
    }
    return all;
  }

  fs::path corpora_;
  std::vector<Outcome> outcomes_;
  std::map<std::string, std::pair<unsigned, unsigned>> users_;
  std::unique_ptr<SuitePlace> host_, container_;
  std::unique_ptr<ChildProcess> observer_;
};

TEST_F(FalcoSuites, CasesHaveTheAlertsThatTheyExpect) {
  ReadCases();
  if (HasFatalFailure()) return;
  ASSERT_FALSE(outcomes_.empty()) << "no case below " << corpora_;
  FindUsers();
  AddFields();
  StartAgent();
  if (HasFatalFailure()) return;
  std::size_t number = 0;
  for (Outcome& outcome : outcomes_) Run(&outcome, number++);
  if (!Eventually([this] { return JudgeAll(); })) {
    // Once more, because a loaded machine may stop the agent for longer than an event waits for its process.
    for (Outcome& outcome : outcomes_) {
      const bool is_odd = !outcome.reason.empty() && WhyNot(outcome.one.test, outcome.reason).empty();
      if (!is_odd) continue;
      fmt::print("again: {} {}: {}\n", outcome.one.name, outcome.one.values, outcome.reason);
      Run(&outcome, number++);
    }
    Eventually([this] { return JudgeAll(); }, std::chrono::seconds(5));
  }
  std::size_t passed = 0;
  for (const Outcome& outcome : outcomes_) {
    const bool good = outcome.reason.empty();
    passed += good ? 1 : 0;
    fmt::print("{} {}: {} {}{}{}\n", good ? "passed" : "FAILED", outcome.one.file, outcome.one.name, outcome.one.values,
               good ? "" : ": ", outcome.reason);
    EXPECT_TRUE(good || !WhyNot(outcome.one.test, outcome.reason).empty())
        << outcome.one.name << " " << outcome.one.values << ": " << outcome.reason;
  }
  fmt::print("{} of {} cases passed\n", passed, outcomes_.size());
  EXPECT_GE(static_cast<double>(passed), kGoal * static_cast<double>(outcomes_.size())) << fixture_->agent().Log();
  if (std::getenv("SLUICE_SUITE") != nullptr) return;  // not all of them
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  const fs::path file = fs::path(source == nullptr ? "." : source) / "docs/rules.md";
  const auto begin = [](const std::string& page) { return std::min(page.find(kSuitesTitle), page.size()); };
  const std::string made = MadeFromOutcomes(outcomes_), page = ReadFile(file);
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(file) << page.substr(0, begin(page)) + made;
  const std::string written = ReadFile(file);
  EXPECT_EQ(written.substr(begin(written)), made) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

}  // namespace
}  // namespace sluice::test
