#include "perf/rules/rules_suite.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "perf/cpu.h"
#include "perf/elapsed.h"
#include "perf/orderly_end.h"
#include "perf/rows.h"
#include "perf/rules/event_mix.h"
#include "policy/rules/evaluate.h"
#include "policy/rules/loader.h"
#include "policy/rules/ruleset.h"

namespace sluice::perf {
namespace {

using policy::rules::Event;
using policy::rules::Loader;
using policy::rules::Matcher;
using policy::rules::MatchMode;
using policy::rules::Ruleset;

constexpr std::size_t kProcesses = 512;

// Rules of this project's own, so that there is a figure where Falco's files are not.
constexpr const char* kOwnRules = R"(
- list: shells
  items: [ash, bash, csh, dash, ksh, sh, tcsh, zsh]
- macro: in_container
  condition: (container.id != host)
- macro: started
  condition: (evt.type in (execve, execveat))
- macro: opened_to_read
  condition: (evt.type in (open, openat, openat2) and evt.is_open_read=true and fd.typechar='f' and fd.num>=0)
- rule: Shell with a terminal in a container
  desc: somebody works in a container
  condition: started and in_container and proc.name in (shells) and proc.tty != 0
  output: shell=%proc.name
  priority: NOTICE
- rule: Passwords read
  desc: a program that has nothing to do with them reads the passwords
  condition: opened_to_read and fd.name in (/etc/shadow, /etc/gshadow) and not proc.name in (login, sshd, passwd, su)
  output: file=%fd.name
  priority: WARNING
- rule: Secrets searched for
  desc: keys are looked for
  condition: started and proc.name in (grep, find) and (proc.args contains id_rsa or proc.args icontains "BEGIN PRIVATE")
  output: command=%proc.cmdline
  priority: WARNING
- rule: Shell of a server
  desc: a server starts a shell
  condition: started and proc.name in (shells) and proc.aname in (nginx, postgres, redis-server, java)
  output: parent=%proc.pname
  priority: WARNING
)";

// The reader of one set of rules.
struct Subject {
  std::string row;
  std::shared_ptr<const Ruleset> ruleset;
};

StatusOr<std::shared_ptr<const Ruleset>> CompileText(const std::vector<std::pair<std::string, std::string>>& files) {
  Loader loader;
  for (const auto& [name, text] : files) {
    const auto result = loader.Load(name, text);
    if (!result.ok()) return InvalidError("{}", result.errors.front().ToString());
  }
  return Ruleset::Compile(loader.rules());
}

// Falco's files, if SLUICE_CORPORA names a directory that has them.
StatusOr<std::vector<Subject>> FalcoSubjects() {
  std::vector<Subject> subjects;
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr) return subjects;
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : {"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"}) {
    std::ifstream file(std::string(corpora) + "/falco-rules/rules/" + name);
    if (!file) return subjects;
    std::ostringstream text;
    text << file.rdbuf();
    files.emplace_back(name, text.str());
    if (files.size() == 2) continue;  // the first file, and all three
    SL_ASSIGN_OR_RETURN(auto ruleset, CompileText(files));
    subjects.push_back({files.size() == 1 ? "falco/rules:25" : "falco/rules:93", std::move(ruleset)});
  }
  return subjects;
}

// The compiled rules must say of each event what the reference evaluator says. Returns how many events meet a rule.
StatusOr<std::size_t> CheckAnswers(const Subject& subject, const std::vector<Event>& events) {
  Matcher matcher(subject.ruleset);
  std::size_t met = 0;
  for (const Event& event : events) {
    std::vector<std::uint32_t> expected;
    for (std::uint32_t i = 0; i < subject.ruleset->rules().size(); ++i) {
      if (Evaluate(*subject.ruleset->rules()[i].condition, event)) expected.push_back(i);
    }
    const auto all = matcher.Match(event, MatchMode::kAll);
    if (!std::equal(all.begin(), all.end(), expected.begin(), expected.end())) {
      return InvalidError("{}: event {} meets other rules than by the reference", subject.row, event.number);
    }
    met += expected.empty() ? 0 : 1;
  }
  return met;
}

// Million events a second through the rules, on this thread.
StatusOr<double> Measure(const Subject& subject, const std::vector<Event>& events, std::size_t met, int passes) {
  Matcher matcher(subject.ruleset);
  for (const Event& event : events) matcher.Match(event);  // the caches are warm
  std::size_t matches = 0;
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < passes; ++i) {
    for (const Event& event : events) matches += matcher.Match(event).size();
  }
  const double ms = MillisecondsSince(start);
  if (matches != met * static_cast<std::size_t>(passes)) return InvalidError("{}: {} matches", subject.row, matches);
  return static_cast<double>(events.size()) * passes / ms / 1'000;
}

}  // namespace

std::vector<std::string> RulesRows(bool /*brief*/) { return {"own/rules:4", "falco/rules:25", "falco/rules:93"}; }

StatusOr<Report> RunRulesSuite(const RunOptions& options) {
  SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
  SL_RETURN_IF_ERROR(StayOn(cpu));
  std::vector<Subject> subjects;
  SL_ASSIGN_OR_RETURN(auto own, CompileText({{"own", kOwnRules}}));
  subjects.push_back({"own/rules:4", std::move(own)});
  SL_ASSIGN_OR_RETURN(std::vector<Subject> falco, FalcoSubjects());
  std::vector<std::string> left_out;
  if (falco.empty()) left_out.emplace_back("falco: SLUICE_CORPORA names no directory with falco-rules/rules");
  subjects.insert(subjects.end(), falco.begin(), falco.end());
  const EventMix mix(kProcesses, options.brief ? 10'000 : 200'000);
  std::vector<std::size_t> met;
  for (const Subject& subject : subjects) {
    SL_ASSIGN_OR_RETURN(const std::size_t events, CheckAnswers(subject, mix.events()));
    if (events < mix.intrusions()) return InvalidError("{}: only {} events meet a rule", subject.row, events);
    met.push_back(events);
  }
  Rows rows;
  for (int run = 0; run < options.runs; ++run) {
    for (std::size_t i = 0; i < subjects.size(); ++i) {
      SL_RETURN_IF_ERROR(OrderlyEnd::Check());
      SL_ASSIGN_OR_RETURN(const double rate, Measure(subjects[i], mix.events(), met[i], options.brief ? 1 : 5));
      rows.Add(subjects[i].row, "M events/s", rate);
    }
  }
  SL_RETURN_IF_ERROR(RoamFreely());
  return Report{.unit = "M events/s", .rows = std::move(rows).Take(options), .left_out = std::move(left_out)};
}

}  // namespace sluice::perf
