// `sluice rules`, offline: exit codes and output.
#include <algorithm>

#include "tests/unit/client/client_program.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;

constexpr const char* kRule =
    "- rule: Shell\n  desc: d\n  condition: evt.type = execve and proc.name = bash\n  output: shell=%proc.name\n"
    "  priority: NOTICE\n";

TEST_F(ClientProgram, RulesAreChecked) {
  const std::string right = Write("right.yaml", kRule);
  const std::string warned = Write("warned.yaml", "- {list: unused, items: []}\n");
  const std::string wrong = Write("wrong.yaml", "- {macro: m, condition: proc.name = }\n");
  auto result = RunAt("unix:///nowhere", {"rules", "check", right, warned});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr(right + ": Ok\n" + warned + ": Ok, with warnings\n"));
  EXPECT_THAT(result.output, HasSubstr("LOAD_UNUSED_LIST"));
  result = RunAt("unix:///nowhere", {"rules", "check", wrong});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr(wrong + ": Invalid\n"));
  EXPECT_THAT(result.output, HasSubstr("LOAD_ERR_COMPILE_CONDITION"));
  result = RunAt("unix:///nowhere", {"rules", "check", files_ / "absent.yaml"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("LOAD_ERR_FILE_READ"));
  result = RunAt("unix:///nowhere", {"rules", "check", "--json", right});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("\"falco_load_results\":[{"));
}

TEST_F(ClientProgram, RulesAreTestedOnRecordedEvents) {
  const std::string rules = Write("rules.yaml", kRule);
  const std::string events = Write("events",
                                   "{\"type\":\"execve\",\"process\":{\"name\":\"bash\"},\"host\":\"n\"}\n\n"
                                   "{\"type\":\"execve\",\"process\":{\"name\":\"cat\"}}\n");
  auto result = RunAt("unix:///nowhere", {"rules", "test", "--events", events, rules});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("\"rule\":\"Shell\""));
  EXPECT_EQ(std::count(result.output.begin(), result.output.end(), '\n'), 1) << result.output;
  const std::string bad = Write("bad", "\n{\"type\":\"execve\",\"x\":1}\n");
  result = RunAt("unix:///nowhere", {"rules", "test", "--events", bad, rules});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr(bad + ":2: x: unknown key"));
  result = RunAt("unix:///nowhere", {"rules", "test", rules});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.output, HasSubstr("--events"));
}

TEST_F(ClientProgram, RecordedEventsAreReplayed) {
  const std::string rules = Write("rules.yaml", kRule);
  const std::string events = Write("events", "{\"type\":\"execve\",\"process\":{\"name\":\"bash\"},\"host\":\"n\"}\n");
  auto result = RunAt("unix:///nowhere", {"replay", "--events", events, "--rules", rules});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, HasSubstr("\"rule\":\"Shell\""));
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"replay"},
                                                {"replay", "--events", events},
                                                {"replay", "--pcap", events},
                                                {"replay", "--events", events, "--pcap", events, "--rules", rules},
                                                {"replay", "--events", events, "--rules", rules, "--resources", "/"}}) {
    EXPECT_EQ(RunAt("unix:///nowhere", wrong).exit_code, 2) << wrong.size();
  }
}

TEST_F(ClientProgram, RecordRefusesWhatIsNoTimeAndNoWorkload) {
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"record", "--duration", "soon"},
                                                {"record", "--duration", "-3s"},
                                                {"record", "--workload", "web"}}) {
    EXPECT_EQ(RunAt("unix:///nowhere", wrong).exit_code, 2) << wrong[2];
  }
  EXPECT_EQ(RunAt("unix:///nowhere", {"record"}).exit_code, 1);
}

}  // namespace
}  // namespace sluice::test
