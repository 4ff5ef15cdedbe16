// docs/tracee.md is made from the tables: SLUICE_UPDATE_DOCS=1 writes it again. And people's own policies: each loads
// or is refused by name.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "policy/tracee/cel.h"
#include "policy/tracee/detector.h"
#include "policy/tracee/events.h"
#include "policy/tracee/policy.h"

namespace sluice::policy::tracee {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"(# Tracee policies
Tracee's policy files, in both shapes (`tracee.aquasec.com/v1beta1` `Policy`, and `type: policy`), are read as detection
rules: each event of a policy is a rule, with the policy's scope and the event's filters as its condition. So are its
[detectors](#detectors). One evaluator decides them and [Falco's rules](rules.md). `sluiced --rules FILE|DIR` puts them in
force beside Falco's files, and `sluice check -f FILE` says what is wrong in a file.
Whatever cannot be said with this agent's sensors is refused by its name, with file, line and field. This page is made by
`SLUICE_UPDATE_DOCS=1 SLUICE_CORPORA=DIR build/bin/unit_tracee --gtest_filter=TraceePage.*`.

- **Scope**: `global` alone, or several entries that must all hold; commas are "or". Operators: `=` and `!=`, of numbers also
  `<`, `<=`, `>`, `>=`. `container`, `not-container`, `container=ID`.
- **Filters**: `data.NAME` (`args.NAME`) with `=`, `!=` and `*` at the beginning or the end; `retval`; and what a scope may
  say. Of `=` with one name, one is enough; everything else must hold.
- **Actions**: `log` and `print`: a rule's match is an event. What should follow is said by a [Response](responses.md).
- **Rules** are called `POLICY: EVENT`, and have the tag `tracee`; signatures have the priority Warning, events Informational.
- **Refused**: sets of events and `-EVENT`; `container=new`, `container=started`, `pid=new`, `follow`, `tree`, `mntns`, `pidns`,
  `uts`, `tid`, `cgroupId`.

## Events
A path of a call is what the process wrote; a path of a `security_` event and of a signature is the kernel's, without
symbolic links. Calls are events whether they succeed or not; `security_` events are only those that succeeded, but for
sockets.

| event | data for filters | condition |
| --- | --- | --- |
)";

constexpr const char* kDetectorsHead = R"(
## Detectors
A file with `type: detector` is a rule that has the name of the event it produces, or, if it needs several events, a rule
for each: `NAME: EVENT`. Lists (`type: string_list`) are those of all files together.

- **Events** that it needs are those above, or what other detectors produce: those are put in its place, with their output
  as its data, so that one call of a program decides. A detector that builds on another comes before it: with
  `--rules-match first`, an event counts for the one that says most.
- **Filters** are written as in policies, without `data.`.
- **Priority** is by the threat's severity: critical is Critical, high Error, medium Warning, low Notice, and without a
  threat Informational. Tags are `tracee`, those of the event, and the technique.
- **Output** is in the rule's output, and in its fields by the names of rules.
- **Policies** may name what a detector produces as an event, with its output as data. The detector is in force without
  that, too, and after the policies: with `--rules-match first`, an event that a policy takes counts for the policy.
- `auto_populate` changes nothing: an event has its process, its workload and its rule. Versions are not compared, because
  they are Tracee's.

**Conditions** are a part of CEL, which is compiled into the rule:

- `&&`, `||`, `!`, parentheses; `==` and `!=`, of numbers also `<`, `<=`, `>`, `>=`; `in` a list that is written there or
  named. One side is a value of the event, the other a constant, or `null`.
- `getEventData("NAME")`, `hasData("NAME")`: the data above, or the output of the detector that it builds on.
- `.startsWith()`, `.endsWith()`, `.contains()`, `.matches()` of a text, with a constant. Expressions of `.matches()` are
  POSIX's extended ones.
- `lower()`, `upper()`, `basename()` of a text of the event.
- A value that the event does not have is `null` and equals the empty text; other checks on it are false.
- Refused: arithmetic, `a ? b : c`, `true` and `false`, other functions, indexes, data stores such as `process.get()`,
  comparisons of two values or of two constants.

| value | field of rules |
| --- | --- |
)";

std::string InTable(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.replace(at, 1, "\\|");
  return text;
}

std::string Page() {
  std::string page = kHead;
  std::string signatures;
  for (const EventInfo& event : Events()) {
    std::string data;
    for (const DataField& field : event.data) data += fmt::format("{}`{}`", data.empty() ? "" : ", ", field.name);
    if (event.is_signature) {
      signatures += fmt::format("| `{}` | `{}` |\n", event.name, InTable(std::string(event.condition)));
    } else {
      page += fmt::format("| `{}` | {} | `{}` |\n", event.name, data, InTable(std::string(event.condition)));
    }
  }
  page +=
      "\n## Signatures\nWhat Tracee finds by detectors of these names, said with this agent's sensors.\n\n"
      "| signature | condition |\n| --- | --- |\n" +
      signatures;
  page += "\n## Scope and filters\n| name | field of rules |\n| --- | --- |\n";
  for (const ContextField& field : ContextFields()) page += fmt::format("| `{}` | `{}` |\n", field.name, field.field);
  page += kDetectorsHead;
  for (const WorkloadField& field : WorkloadFields())
    page += fmt::format("| `workload.{}` | `{}` |\n", field.name, field.field);
  return page;
}

std::string ReadFile(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

fs::path PagePath() {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  return fs::path(source == nullptr ? "." : source) / "docs/tracee.md";
}

// Where the part about people's files begins.
std::size_t FilesBegin(const std::string& page) { return std::min(page.find("\n## Files of "), page.size()); }

struct LoadResult {
  bool is_detector = false;
  std::vector<Problem> problems;
};

// By the path below the directory. Detectors are loaded together, as `--rules DIR` does.
std::map<std::string, LoadResult> LoadCorpus(const fs::path& corpus) {
  std::map<std::string, LoadResult> results;
  std::vector<DetectorFile> detectors;
  for (const auto& entry : fs::recursive_directory_iterator(corpus)) {
    if (entry.path().extension() != ".yaml") continue;
    const std::string name = fs::relative(entry.path(), corpus), text = ReadFile(entry.path());
    if (IsPolicyText(text))
      results[name].problems = LoadPolicies(name, text).problems;  // none names a detector's event
    if (!IsDetectorText(text)) continue;
    results[name].is_detector = true;
    detectors.push_back({.path = name, .text = text});
  }
  for (FileProblem& problem : LoadDetectors(detectors).problems)
    results[problem.file].problems.push_back(std::move(problem.problem));
  return results;
}

std::string MadeFromFiles(const std::map<std::string, LoadResult>& results) {
  std::string rows;
  std::size_t loaded = 0;
  for (const auto& [file, result] : results) {
    loaded += result.problems.empty() ? 1 : 0;
    const std::string why = result.problems.empty() ? "loads" : "refused: " + InTable(result.problems.front().what);
    rows += fmt::format("| {} | {} | {} |\n", file, result.is_detector ? "detector" : "policy", why);
  }
  return fmt::format(
             "\n## Files of Tracee's repository\nPolicies and detectors there, as they are: {} of {} load. The first "
             "problem of each of the others:\n\n| file | is a | |\n| --- | --- | --- |\n",
             loaded, results.size()) +
         rows;
}

TEST(TraceePage, IsMadeFromTheTables) {
  const std::string page = ReadFile(PagePath());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(PagePath()) << Page() + page.substr(FilesBegin(page));
  const std::string written = ReadFile(PagePath());
  EXPECT_EQ(written.substr(0, FilesBegin(written)), Page()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

// SLUICE_CORPORA is a directory with tracee/, a part of Tracee's repository.
TEST(TraceePage, PeoplesFilesLoadOrAreRefusedByName) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr || !fs::exists(std::string(corpora) + "/tracee")) GTEST_SKIP() << "no SLUICE_CORPORA";
  const auto results = LoadCorpus(fs::path(corpora) / "tracee");
  std::size_t detectors = 0;
  for (const auto& [file, result] : results) {
    detectors += result.is_detector ? 1 : 0;
    for (const Problem& problem : result.problems) {
      std::printf("%s\n", problem.ToString(file).c_str());
      EXPECT_THAT(problem.what,
                  testing::AnyOf(testing::HasSubstr("there is no such event here"),
                                 testing::HasSubstr("is not known here"), testing::HasSubstr("there is no list ")));
      EXPECT_GT(problem.place.line, 0);
    }
  }
  EXPECT_GT(detectors, 0U);
  EXPECT_GT(results.size(), detectors);
  const std::string made = MadeFromFiles(results), page = ReadFile(PagePath());
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) {
    std::ofstream(PagePath()) << page.substr(0, FilesBegin(page)) + made;
  }
  const std::string written = ReadFile(PagePath());
  EXPECT_EQ(written.substr(FilesBegin(written)), made) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

}  // namespace
}  // namespace sluice::policy::tracee
