// Where cases of a suite run: a root of their own over this machine's files, which they see and cannot change, and for
// those in a container a cgroup that is named as a container runtime names it.
//
//   SL_ASSIGN_OR_RETURN(auto place, SuitePlace::Create({.netns_fd = pod, .container = id}));
//   SL_ASSIGN_OR_RETURN(const CaseRun run, place->Run(plan));   // run.leaves: the processes that alerts are to be
//   about
//
// Not thread-safe.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "testbed/command.h"
#include "tests/suites/case_plan.h"

namespace sluice::test {

struct CaseRun {
  std::vector<pid_t> leaves;
  std::string problem;  // what a program could not do; empty: it did all
};

class SuitePlace {
 public:
  struct Options {
    int netns_fd = -1;
    std::string container;  // an id; empty: not in one
  };
  // Unavailable: no cgroup of version 2, or no overlay.
  static StatusOr<std::unique_ptr<SuitePlace>> Create(const Options& options);
  ~SuitePlace();

  // The path of suite_process in the place.
  static constexpr const char* kProgram = "/suite/suite_process";

  StatusOr<CaseRun> Run(const CasePlan& plan);

 private:
  SuitePlace() = default;
  std::string Inside(const std::string& path) const;  // as seen from outside
  Status MakeCgroup(const std::string& container);
  Status MakeRoot();
  Status MakeFiles(const CasePlan& plan, std::vector<std::string>* made) const;
  // Ends with the program and its children.
  StatusOr<std::string> Start(const std::vector<std::string>& arguments, const std::vector<std::string>& environment);

  int netns_fd_ = -1;
  std::vector<std::string> cgroups_;  // that were made, outer first
  Fd enter_;                          // cgroup.procs of the last
  std::string directory_;
  std::unique_ptr<ChildProcess> keeper_;
  Fd mounts_;  // its namespace
};

}  // namespace sluice::test
