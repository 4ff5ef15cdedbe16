// scripts/man with the real programs: the pages have every verb and option of the help, and roff accepts them.
#include <gmock/gmock.h>

#include <fstream>
#include <regex>
#include <sstream>

#include "testbed/command.h"
#include "tests/unit/client/fake_agent.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

std::string Programs() {
  const char* directory = std::getenv("SLUICE_BIN_DIR");
  return directory == nullptr ? "build/bin" : directory;
}

std::string Output(const Arguments& arguments) {
  const auto result = RunCommand(arguments);
  EXPECT_TRUE(result.ok() && result->exit_code == 0) << arguments.front();
  return result.ok() ? result->output : "";
}

class ManPage : public testing::Test {
 protected:
  void SetUp() override {
    const char* root = std::getenv("SLUICE_SOURCE_DIR");
    const auto made = RunCommand({std::string(root == nullptr ? "." : root) + "/scripts/man", pages_ / "man"});
    ASSERT_TRUE(made.ok()) << made.status();
    ASSERT_EQ(made->exit_code, 0) << made->output;
  }
  // The page as shown: in roff \- is a dash. Where man is installed, it must give no warnings.
  std::string Read(const std::string& page) const {
    const std::string path = pages_ / ("man/" + page);
    const auto shown = RunCommand({"env", "LC_ALL=C.UTF-8", "man", "--warnings", "-P", "cat", "-l", path});
    if (shown.ok() && shown->exit_code != 127) {
      EXPECT_EQ(shown->exit_code, 0) << shown->output;
      EXPECT_THAT(shown->output, testing::Not(HasSubstr("warning")));
    }
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return std::regex_replace(text.str(), std::regex(R"(\\-)"), "-");
  }
  static void ExpectOptions(const std::string& help, const std::string& page) {
    const std::regex option("--[a-z][a-z-]*");
    for (std::sregex_iterator at(help.begin(), help.end(), option), end; at != end; ++at) {
      EXPECT_THAT(page, HasSubstr(at->str()));
    }
  }

  TemporaryDirectory pages_;
};

TEST_F(ManPage, OfTheClientHasEveryVerbAndOption) {
  const std::string page = Read("sluice.1");
  const std::string help = Output({Programs() + "/sluice", "--help"});
  ExpectOptions(help, page);
  std::istringstream lines(help.substr(help.find("Subcommands:")));
  std::string line;
  int verbs = 0;
  while (std::getline(lines, line)) {
    if (!line.starts_with("  ") || line.starts_with("   ")) continue;
    const std::string verb = line.substr(2, line.find_first_of(" ,", 2) - 2);
    SCOPED_TRACE(verb);
    EXPECT_THAT(page, HasSubstr("\n.SS " + verb + "\n"));
    ExpectOptions(Output({Programs() + "/sluice", verb, "--help"}), page);
    ++verbs;
  }
  EXPECT_GT(verbs, 10);
}

TEST_F(ManPage, OfTheAgentHasEveryOption) {
  const std::string page = Read("sluiced.8");
  ExpectOptions(Output({Programs() + "/sluiced", "--help"}), page);
}

}  // namespace
}  // namespace sluice::test
