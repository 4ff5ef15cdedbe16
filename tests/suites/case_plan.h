// What one case of a suite does, as lines that suite_process runs, and what it expects. A key, a call or a value that
// this runner does not know is an error with its name: no case passes because a part of it was left out.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/suites/suite.h"

namespace sluice::test {

// A program that is started: a file below its own directory, which a symbolic link with the process's name points to.
struct PlannedProcess {
  std::string link;     // what is executed
  std::string program;  // what `link` points to
  bool copied = false;  // `program` is a copy in the upper layer; else the file of the lower one
};

struct CasePlan {
  bool in_container = false;
  std::string before;                           // shell, run in the place first; empty: nothing
  std::vector<std::string> files, directories;  // they must be there
  std::vector<PlannedProcess> processes;
  std::string lines;  // for suite_process
};

struct Expectation {
  std::string rule;
  std::optional<std::string> source, hostname, priority;
  std::map<std::string, std::string> fields;
};

// One line for suite_process: parts with tabs between. InvalidArgument: a part has a tab or a line feed.
StatusOr<std::string> PlanLine(const std::vector<std::string>& parts);

// Arguments in a text: blanks separate them, quotes hold them together.
std::vector<std::string> SplitArguments(const std::string& text);

// `uid_of`: the number of a user. `directory`: in the place, for this case's programs; `program`: the path of
// suite_process there.
struct PlanOptions {
  std::string directory;
  std::string program;
  std::map<std::string, std::pair<unsigned, unsigned>> users;  // uid, gid by name
};
StatusOr<CasePlan> PlanOf(const SuiteCase& one, const PlanOptions& options);
StatusOr<Expectation> ExpectationOf(const SuiteCase& one);
// False: the case says that it is not for this machine's architecture.
StatusOr<bool> IsForThisMachine(const SuiteCase& one);

}  // namespace sluice::test
