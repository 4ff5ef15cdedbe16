// Programs in the network namespace of a pod, and only in that: files and other processes are those of the test.
//   EXPECT_EQ(ExitCodeIn(*fixture, "web", {"/bin/cat", file}), 0);
#pragma once

#include <gtest/gtest.h>

#include "testbed/command.h"
#include "tests/support/node_fixture.h"

namespace sluice::test {

// `pod` empty: in the test's own namespace. -1: it could not be run, which fails the test.
inline int ExitCodeIn(NodeFixture& fixture, const std::string& pod, const Arguments& arguments) {
  int code = -1;
  const auto run = [&]() -> Status {
    SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(arguments));
    code = result.exit_code;
    return OkStatus();
  };
  const Status ran = pod.empty() ? run() : fixture.node().netns(fixture.node().pod(pod)).Run(run);
  EXPECT_TRUE(ran.ok()) << arguments.front() << ": " << ran;
  return code;
}

}  // namespace sluice::test
