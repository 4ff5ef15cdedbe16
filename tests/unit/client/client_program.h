// The real build/bin/sluice against an agent that answers what the test says.
#pragma once

#include <gmock/gmock.h>

#include <cstdlib>
#include <fstream>

#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"
#include "tests/unit/client/messages.h"

namespace sluice::test {

inline std::string Program() {
  const char* directory = std::getenv("SLUICE_BIN_DIR");
  return std::string(directory == nullptr ? "build/bin" : directory) + "/sluice";
}

class ClientProgram : public testing::Test {
 protected:
  CommandResult Run(const Arguments& arguments, const std::string& input = "") {
    return RunAt(agent_.address(), arguments, input);
  }
  static CommandResult RunAt(const std::string& server, const Arguments& arguments, const std::string& input = "") {
    Arguments all{Program(), "--server", server};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto result = RunCommand(all, input);
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? *result : CommandResult{};
  }
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(files_ / name, std::ios::binary) << text;
    return files_ / name;
  }

  TemporaryDirectory files_;
  FakeAgent agent_;
};

}  // namespace sluice::test
