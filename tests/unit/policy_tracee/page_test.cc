// docs/tracee.md is made from the tables: SLUICE_UPDATE_DOCS=1 writes it again. And people's own policies: each loads
// or is refused by name.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "policy/tracee/events.h"
#include "policy/tracee/policy.h"

namespace sluice::policy::tracee {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead = R"(# Tracee policies
Tracee's policy files, in both shapes (`tracee.aquasec.com/v1beta1` `Policy`, and `type: policy`), are read as detection
rules: each event of a policy is a rule, with the policy's scope and the event's filters as its condition. One evaluator
decides them and [Falco's rules](rules.md). `sluiced --rules FILE|DIR` puts them in force beside Falco's files, and
`sluice check -f FILE` says what is wrong in a file.
Whatever cannot be said with this agent's sensors is refused by its name, with file, line and field. This page is made by
`unit_tracee: TraceePage.*`.

- **Scope**: `global` alone, or several entries that must all hold; commas are "or". Operators: `=` and `!=`, of numbers also
  `<`, `<=`, `>`, `>=`. `container`, `not-container`, `container=ID`.
- **Filters**: `data.NAME` (`args.NAME`) with `=`, `!=` and `*` at the beginning or the end; `retval`; and what a scope may
  say. Of `=` with one name, one is enough; everything else must hold.
- **Actions**: `log` and `print`: a rule's match is an event. What should follow is said by a [Response](responses.md).
- **Rules** are called `POLICY: EVENT`, and have the tag `tracee`; signatures have the priority Warning, events Informational.
- **Refused**: sets of events and `-EVENT`; `container=new`, `container=started`, `pid=new`, `follow`, `tree`, `mntns`, `pidns`,
  `uts`, `tid`, `cgroupId`; detectors and lists, whose conditions are programs in CEL.

## Events
A path of a call is what the process wrote; a path of a `security_` event and of a signature is the kernel's, without
symbolic links. Calls are events whether they succeed or not; `security_` events are only those that succeeded, but for
sockets.

| event | data for filters | condition |
| --- | --- | --- |
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
  return page;
}

TEST(TraceePage, IsMadeFromTheTables) {
  const char* const source = std::getenv("SLUICE_SOURCE_DIR");
  const std::string path = std::string(source == nullptr ? "." : source) + "/docs/tracee.md";
  if (std::getenv("SLUICE_UPDATE_DOCS") != nullptr) std::ofstream(path) << Page();
  std::ostringstream written;
  written << std::ifstream(path).rdbuf();
  EXPECT_EQ(written.str(), Page()) << "SLUICE_UPDATE_DOCS=1 writes it anew";
}

// SLUICE_CORPORA is a directory with tracee/, a copy of the policies of Tracee's repository.
TEST(TraceePage, PeoplesPoliciesLoadOrAreRefusedByName) {
  const char* const corpora = std::getenv("SLUICE_CORPORA");
  if (corpora == nullptr || !fs::exists(std::string(corpora) + "/tracee")) GTEST_SKIP() << "no SLUICE_CORPORA";
  int loaded = 0, refused = 0;
  for (const auto& entry : fs::recursive_directory_iterator(std::string(corpora) + "/tracee")) {
    if (entry.path().extension() != ".yaml") continue;
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    if (!IsPolicyText(text.str())) continue;
    const LoadedPolicies policies = LoadPolicies(entry.path().filename(), text.str());
    for (const Problem& problem : policies.problems) {
      std::printf("%s\n", problem.ToString(entry.path().filename().string()).c_str());
      EXPECT_THAT(problem.what, testing::AnyOf(testing::HasSubstr("there is no such event here"),
                                               testing::HasSubstr("is not known here"),
                                               testing::HasSubstr("detectors and lists are not read here")));
      EXPECT_GT(problem.place.line, 0);
    }
    EXPECT_TRUE(policies.problems.empty() || policies.rules.empty()) << "half of it";
    (policies.problems.empty() ? loaded : refused)++;
  }
  std::printf("%d files load, %d are refused\n", loaded, refused);
  EXPECT_GT(loaded, 0);
  EXPECT_GT(refused, 0);
}

}  // namespace
}  // namespace sluice::policy::tracee
