// docs/rules.md is made here from the tables of policy/rules and from people's files: SLUICE_UPDATE_DOCS=1 writes it.
// The files are no part of this project: SLUICE_CORPORA is the directory that has them, below falco-rules/rules/.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "policy/rules/event_sets.h"
#include "policy/rules/loader.h"
#include "policy/rules/ruleset.h"

namespace sluice::policy::rules {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"(# Falco rules
Falco's users keep their detection rules as YAML: rules, macros, lists and exceptions. Sluice reads these files as they
are, checks them (`sluice rules check`), tries them on recorded events (`sluice rules test`), and reports what meets them
(`sluiced --rules`).

What a condition means is written down as a program, `policy/rules/evaluate.cc`, which the tests of
`tests/unit/policy_rules` hold to this page; the form in which rules run (`policy/rules/ruleset.h`) is tested against it
with random conditions and events. The page itself is made from `policy/rules` and from the files below: change those, and
run `SLUICE_UPDATE_DOCS=1 SLUICE_CORPORA=DIR build/bin/unit_rules --gtest_filter=RulesPage.*`.

## Checking and trying
```
sluice rules check falco_rules.yaml local_rules.yaml     # in this order: the second one may change the first
sluice rules check --json falco_rules.yaml               # Falco's falco_load_results
sluice record -o events.jsonl --duration 60s             # what programs do on this node, as the rules see it
sluice rules test --events events.jsonl falco_rules.yaml # an alert a line, as JSON, for each event that meets a rule
sluice replay --events events.jsonl --rules falco_rules.yaml # the same
```
- `check` prints `FILE: Ok`, `FILE: Ok, with warnings` or `FILE: Invalid` with the error; warnings go to standard error.
  Exit 0: every file is right, 1: one is not or cannot be read.
- Messages have Falco's codes (below). The texts are Sluice's own. The place is that of the item in the file; for a
  condition the text in which lists are replaced is shown too, with a mark.
- `record` needs the agent: it writes system calls (`--type openat,execve`: only these; `--workload NS/NAME`: only of its
  processes) while it runs, whatever rules are in force. A recording may hold secrets: a new file is for its owner only.
- `test` reads one event a line (`policy/rules/event_record.h` says which keys there are), and takes the first rule that
  an event meets; `--all` takes all. Rules with `enabled: false` are not looked at.

## Rules in force
`sluiced --rules FILE|DIR` (several times: later files build on earlier ones; of a directory its `*.yaml` and `*.yml` by
name) applies rules. They are read again when a file changes or comes or goes (looked at each second; a file counts once it
has been the same for two looks), and at SIGHUP. A file that is wrong changes nothing: `sluice status`, the log and
`sluice_rules_refused` say what is wrong, with file, line and column. At the node's first start it ends the agent with exit
code 2; at a later one the agent enforces its policies and waits for the files.

No event is lost in between: the sensors report what the old and the new rules need, then the rules change between two
events, then the sensors leave what only the old ones needed. Counters of a rule go on as long as its name stays.

| option | |
| --- | --- |
| `--rules-match first\|all` | an event counts for the first rule that it meets, in the order of the files, or for all |
| `--rules-priority PRIORITY` | rules of a lower priority are not applied |
| `--rules-rate N` | at most N detections a second (1000; 0: all), with a burst of one second. Half as many more are for rules in workloads that had less than a sixteenth of it in this second, so that a flood of one does not hide the others |

A hit is an event of type `detection` ([events.md](events.md#detection)) for `sluice observe`, the agent's history and
`--export-file`. What is missing is counted by rule and workload: `sluice status` has for each rule its `matches`, `lost`
(hits beyond `--rules-rate`) and `missed` (events that were lost before rules were applied, and that the rule might have
been for), and `-o json` also `losses` by workload. [Metrics](metrics.md) have the same by rule, also under Falco's names.

## Outputs
| | |
| --- | --- |
| file | `--export-file FILE --export-format falco-json`: [Falco's form](events.md#falcos-form), with the export's limits and rotation |
| stream | `sluice observe -f -o falco-json`, or any other form |
| HTTP | `--rules-http URL`: each detection is posted as Falco's JSON on a connection that is kept, as Falco's `http_output` does for falcosidekick. `--rules-http-ca`, `--rules-http-cert` and `--rules-http-key` for TLS (1.2 at least) with certificates at both ends; the files are read again when they change. Redirects are not followed |
| syslog | `--rules-syslog /dev/log`: facility `user`, the priority as severity, Falco's line of text or (`--rules-syslog-format json`) its JSON, at most 8 KiB |

Each receiver has a queue of 4096 detections and 16 MiB. While it fails, the oldest one is tried again, with pauses from
0.1 s to 30 s (or what `Retry-After` asks for, up to that). An answer of 5xx, 408 or 429 is tried five times; another
answer than 2xx is a refusal. From a full queue the rule with the most detections loses its newest. All losses are counted:
`sluice_rule_output_lost_total`, and by rule and workload in `sluice status -o json`.

## What a file may have
- Several documents, each a list of items: `rule`, `macro`, `list`, `required_engine_version`,
  `required_plugin_versions`. Other items and unknown keys are warnings, and ignored.
- **Lists** are replaced in the text of conditions, **macros** in the tree. A macro may use macros from before its last
  change; rules use all, as they are at the end. A list may have names of earlier lists as items.
- `override: {KEY: append|replace}` (and `append: true`, which warns) change what an earlier item or file defines. Text is
  appended with a blank between. An item of the same name without it takes the place of the earlier one.
- **Exceptions** become `(condition) and not (...)`.
- `enabled`, `priority`, `tags`, `source`, `capture`, `capture_duration`, `warn_evttypes` and `skip-if-unknown-filter` are
  read; `capture` has no effect yet. Rules of another source than `syscall` are left out with a warning.
- `required_engine_version` up to 0.63.0 is served, and of plugins `container` up to 0.7.1, whose fields are built in. Any
  other plugin is refused by its name.

## What is known of containers
| fields | from | without it |
| --- | --- | --- |
| `container.id`, `container.full_id` | the path of the process's cgroup | `host` |
| `container.name`, `container.type`, `container.image` and its parts, `container.privileged`, `container.mounts` and its parts, `k8s.*` | the container runtime (`--kube` with a runtime at `--cri`), as it lists the container | missing |
| `container.start_ts`, `container.duration` | the pid namespace of the process, as in Falco | missing |
| `container.ip` | nothing yet | missing |
| `user.name`, `group.name` and the like of processes in a container | only `root` is known: the files of a container are the workload's, and are not read | `<NA>` |

- A program that moves into a container's cgroup before it runs the container's program, as runtimes do, is in the
  container from then on. Of one whose cgroup cannot be found any more, neither `container.id = host` nor its opposite is
  true.
- `container.privileged` is missing, and so no rule that asks for it hits, in the moment between a container's first
  program and the runtime's answer.
- `proc.exepath` of a program in memory is `memfd:NAME`.

## What a condition means
- A check on a field that is missing is false, `!=` too. So `not a = b` is true where `a != b` is false.
- `and` binds more than `or`; `not` belongs to the next check.
- A field of ancestors without an index is compared with each ancestor: one is enough. `fd.ip`, `fd.port`, `fd.net` and
  the fields of names (`fd.sip.name`, ...) are compared with each value: one is enough, and `!=` needs all.
- `fd.sip.name` and its like compare names that are known for the address: of the cluster's Services, with `--kube`
  (`kubernetes.default.svc.cluster.local`). Rules never cause a look-up of their own.
- Times are UTC.

## What is stricter or other than in Falco
- Numbers must fit their field: `proc.tty = -1` and `fd.sport = http` are errors. `0x10` is a number.
- `exists`, `in`, `intersects` and `pmatch` need a blank, a parenthesis or the end after them.
- A duplicate key in YAML is an error.
- `fd.net in (A, B)` compares with all networks of the list. Falco takes the first one.
- A list in a list in a list is replaced too.
- A quoted text may end with an escaped backslash.
- Conditions have at most 1 MiB of text and 200,000 checks once macros are expanded.
)";

std::string Escaped(std::string text) {
  for (std::size_t bar = 0; (bar = text.find('|', bar)) != std::string::npos; bar += 2) text.insert(bar, "\\");
  return text;
}

const char* FormOf(const FieldInfo& field) {
  switch (field.argument) {
    case ArgumentForm::kNone:
      return "";
    case ArgumentForm::kAncestor:
    case ArgumentForm::kPosition:
      return "`[N]` or none";
    case ArgumentForm::kName:
      return "`[NAME]` or none";
    case ArgumentForm::kMount:
      return "`[N]` or `[PATTERN]`";
    case ArgumentForm::kEventArgument:
      return "`.NAME` or `[N]`";
  }
  return "";
}

std::string TypesOf(std::uint32_t classes) {
  if (classes == TypeClass::kAll) return "all";
  std::string text;
  const auto add = [&](std::uint32_t bit, const char* name) {
    if ((classes & bit) != 0) text += (text.empty() ? "" : ", ") + std::string(name);
  };
  add(TypeClass::kText, "text");
  add(TypeClass::kBytes, "bytes");
  add(TypeClass::kNumber, "number");
  return text;
}

std::string MadeFromTables() {
  std::string text = kHead;
  text += "\n## Fields\n| field | type | argument | it is |\n| --- | --- | --- | --- |\n";
  for (const FieldInfo& field : Fields()) {
    std::string meaning(field.meaning);
    if (field.flags.filter_only) meaning += " (only in conditions)";
    if (field.flags.deprecated) meaning += " (given up)";
    text += fmt::format("| `{}` | {} | {} | {} |\n", field.name, NameOf(field.type), FormOf(field), Escaped(meaning));
  }
  text += "\n## Operators\n| operator | types | true if the value |\n| --- | --- | --- |\n";
  for (const OperatorInfo& info : kOperators) {
    text += fmt::format("| `{}` | {} | {} |\n", info.name, TypesOf(info.classes), info.meaning);
  }
  text += "\nAfter an operator that takes a text:\n\n| modifier | meaning |\n| --- | --- |\n";
  for (const ModifierInfo& info : kModifiers) text += fmt::format("| `{}` | {} |\n", info.name, info.meaning);
  text += "\n## Functions\nIn conditions on both sides, and in outputs.\n\n| function | gives |\n| --- | --- |\n";
  for (const TransformInfo& info : kTransforms) text += fmt::format("| `{}` | {} |\n", info.name, info.meaning);
  text += "\n## Codes\n| error | when |\n| --- | --- |\n";
  for (const LoadCode& code : kLoadErrors) text += fmt::format("| `{}` | {} |\n", code.code, code.description);
  text += "\n| warning | when |\n| --- | --- |\n";
  for (const LoadCode& code : kLoadWarnings) text += fmt::format("| `{}` | {} |\n", code.code, code.description);
  text +=
      "\n`LOAD_UNSAFE_NA_CHECK` is about fields of Kubernetes audit events, and the codes of extensions about Falco's "
      "own: there are none here.\n";
  return text;
}

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

void CollectFields(const ValueExpr& value, std::set<std::string>& fields) {
  if (value.kind == Operand::Kind::kField) fields.insert(value.field.text.substr(0, value.field.text.find('[')));
  for (const ValueExprPtr& part : value.parts) CollectFields(*part, fields);
}

void CollectFields(const BoundCondition& condition, std::set<std::string>& fields) {
  if (condition.check != nullptr) {
    CollectFields(*condition.check->left, fields);
    if (condition.check->right != nullptr) CollectFields(*condition.check->right, fields);
  }
  for (const BoundConditionPtr& part : condition.parts) CollectFields(*part, fields);
}

std::string TypesText(const EventSet& types) {
  if (types.count() > 20) return fmt::format("{} types", types.count());
  std::string text;
  for (EventType type = 0; type < EventTypeNames().size(); ++type) {
    if (types.test(type)) text += (text.empty() ? "" : " ") + std::string(NameOf(type));
  }
  return text.empty() ? "none: it never is true" : text;
}

constexpr const char* kFiles[] = {"falco_rules.yaml", "falco-incubating_rules.yaml", "falco-sandbox_rules.yaml"};

constexpr const char* kFilesHead = R"(
## Files of Falco's repository
The three files as they are, each loaded alone. "active": the rule is loaded, all its fields are known, and it can be
evaluated; whether Sluice has sensors for its event types is another question.

)";

std::string MadeFromFiles(const fs::path& corpus) {
  std::string totals =
      "| file | rules | active | disabled by the file | errors | warnings |\n| --- | --- | --- | --- | --- | --- |\n";
  std::string rows;
  std::set<std::string> fields, conditions;
  EventSet types;
  for (const char* name : kFiles) {
    Loader loader;
    const LoadResult result = loader.Load(name, ReadFile(corpus / name));
    std::size_t disabled = 0;
    for (const Rule& rule : loader.rules()) {
      disabled += rule.enabled ? 0 : 1;
      types |= rule.event_types;
      CollectFields(*rule.condition, conditions);
      for (const OutputField& field : rule.output.fields()) CollectFields(*field.value, fields);
      rows += fmt::format("| {} | {} | {} | {} |\n", rule.name, NameOf(rule.priority), TypesText(rule.event_types),
                          rule.enabled ? "active" : "active, disabled by the file");
    }
    const std::string text = ReadFile(corpus / name);
    std::size_t written = 0;
    for (std::size_t at = text.find("\n- rule:"); at != std::string::npos; at = text.find("\n- rule:", at + 1))
      ++written;
    totals += fmt::format("| {} | {} | {} | {} | {} | {} |\n", name, written, loader.rules().size(), disabled,
                          result.errors.size(), result.warnings.size());
  }
  const std::size_t in_conditions = conditions.size();
  fields.merge(conditions);
  return kFilesHead + totals +
         fmt::format(
             "\nTheir conditions have {} fields, and with the outputs {}; each `evt.arg.NAME` counts, arguments in "
             "brackets do not. They are for {} event types.\n\n| rule | priority | event types | result |\n| --- "
             "| --- | --- | --- |\n",
             in_conditions, fields.size(), types.count()) +
         rows;
}

fs::path Page() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / "docs/rules.md";
}

// Where the page's second part begins, and the third, which `falco_suites` makes.
std::size_t FilesBegin(const std::string& page) { return std::min(page.find("\n## Files of "), page.size()); }
std::size_t SuitesBegin(const std::string& page) { return std::min(page.find("\n## Suites of "), page.size()); }

TEST(RulesPage, TablesAreThoseOfTheCode) {
  const std::string page = ReadFile(Page());
  const std::size_t files = FilesBegin(page);
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(Page()) << MadeFromTables() + page.substr(files);
  const std::string written = ReadFile(Page());
  EXPECT_EQ(written.substr(0, FilesBegin(written)), MadeFromTables()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

TEST(RulesPage, FilesLoadAsItSays) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr) {
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with falco-rules/: people's files are not read";
  }
  const std::string made = MadeFromFiles(fs::path(corpora) / "falco-rules/rules");
  ASSERT_GT(std::count(made.begin(), made.end(), '\n'), 90) << "too few rules below " << corpora;
  const std::string page = ReadFile(Page());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) {
    std::ofstream(Page()) << page.substr(0, FilesBegin(page)) + made + page.substr(SuitesBegin(page));
  }
  const std::string written = ReadFile(Page());
  EXPECT_EQ(written.substr(FilesBegin(written), SuitesBegin(written) - FilesBegin(written)), made)
      << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

// Of the page itself, so that what it says of the files is seen without them.
TEST(RulesPage, EveryRuleOfTheFilesIsActive) {
  const std::string page = ReadFile(Page());
  EXPECT_NE(page.find("| falco_rules.yaml | 25 | 25 | 0 | 0 | 0 |"), std::string::npos);
  EXPECT_NE(page.find("| falco-incubating_rules.yaml | 31 | 31 |"), std::string::npos);
  EXPECT_NE(page.find("| falco-sandbox_rules.yaml | 37 | 37 |"), std::string::npos);
  std::istringstream lines(page.substr(FilesBegin(page)));
  int active = 0;
  for (std::string line; std::getline(lines, line);) {
    active += line.ends_with("| active |") || line.ends_with("| active, disabled by the file |") ? 1 : 0;
  }
  EXPECT_EQ(active, 93);
}

// All 93 rules as one set: the compiled form is built, and each rule is reached by one of its event types.
TEST(RulesPage, AllFilesCompileTogether) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr) {
    GTEST_SKIP() << "SLUICE_CORPORA names no directory with falco-rules/: people's files are not read";
  }
  Loader loader;
  for (const char* name : kFiles) {
    const LoadResult result = loader.Load(name, ReadFile(fs::path(corpora) / "falco-rules/rules" / name));
    ASSERT_TRUE(result.ok()) << result.errors.front().ToString();
  }
  ASSERT_EQ(loader.rules().size(), 93U);
  const auto ruleset = Ruleset::Compile(loader.rules());
  std::set<std::uint32_t> reached;
  for (EventType type = 0; type < EventTypeNames().size(); ++type) {
    for (const RuleRoot& root : ruleset->Roots(type, false)) reached.insert(root.rule);
  }
  EXPECT_EQ(reached.size(), ruleset->rules().size());
}

}  // namespace
}  // namespace sluice::policy::rules
