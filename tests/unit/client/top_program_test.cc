// `sluice top`: what it asks for, its forms, and how it ends.
#include <csignal>
#include <sstream>

#include "tests/unit/client/client_program.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Three answers; with the first only the sums are known.
std::vector<v1::TopReply> GrowingTraffic() {
  std::vector<v1::TopReply> replies;
  for (const int times : {1, 2, 3}) {
    replies.push_back(FromJson<v1::TopReply>(fmt::format(
        R"({{"rows": [{{"namespace": "shop", "workload": "web-0", "sent": {{"packets": "{0}", "bytes": "{0}"}},
                        "droppedPackets": "{0}", "flows": "1"}},
                      {{"namespace": "shop", "workload": "web-0", "binary": "/usr/bin/curl", "flows": "1",
                        "sent": {{"packets": "{0}", "bytes": "{0}"}}}},
                      {{"namespace": "ops", "workload": "a-job-with-a-name-that-is-long", "flows": "3"}}]}})",
        times * 1000000)));
  }
  return replies;
}

TEST_F(ClientProgram, TopEndsByItself) {
  agent_.tops.push_back(FromJson<v1::TopReply>(R"({"rows": [{"namespace": "shop", "workload": "web-0",
      "sent": {"packets": "5", "bytes": "50"}, "flows": "1"}]})"));
  agent_.Start();
  const auto rows = Run({"top", "--iterations", "2", "--interval", "0.1", "-o", "json"});
  EXPECT_EQ(rows.exit_code, 0) << rows.output;
  const std::string row =
      R"({"workload":"shop/web-0","packetsPerSecond":0.0,"bytesPerSecond":0.0,"dropsPerSecond":0.0,"flows":1})"
      "\n";
  EXPECT_EQ(rows.output, row + row);
  const auto twice = Run({"top", "--iterations", "2", "--interval", "0.1"});
  EXPECT_THAT(twice.output, StartsWith("WORKLOAD    PACKETS/S"));
  EXPECT_THAT(twice.output, Not(HasSubstr("\x1b"))) << "no terminal reads it";
}

TEST_F(ClientProgram, TopAsksForWhatItShows) {
  agent_.Start();
  EXPECT_EQ(Run({"top", "--once", "--interval", "0.1", "--by", "peer", "-n", "shop"}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::TopRequest>().by(), v1::TopRequest::PEER);
  EXPECT_EQ(agent_.Asked<v1::TopRequest>().namespace_(), "shop");
  EXPECT_EQ(Run({"top", "--once", "--interval", "0.1"}).exit_code, 0);
  EXPECT_EQ(agent_.Asked<v1::TopRequest>().by(), v1::TopRequest::PROGRAM);
  EXPECT_EQ(Run({"top", "--by", "color"}).exit_code, 2);
  EXPECT_EQ(Run({"top", "--sort", "name"}).exit_code, 2);
}

TEST_F(ClientProgram, TopSortsAndLimits) {
  agent_.tops = GrowingTraffic();
  agent_.Start();
  const auto workloads = [](const CommandResult& result) {
    std::vector<std::string> names;
    std::istringstream lines(result.output);
    for (std::string line; std::getline(lines, line);) names.push_back(line.substr(13, line.find('"', 13) - 13));
    return names;
  };
  EXPECT_THAT(workloads(Run({"top", "--once", "--interval", "0.1", "-o", "json", "--sort", "drops"})),
              testing::ElementsAre("shop/web-0", "shop/web-0", "ops/a-job-with-a-name-that-is-long"));
  EXPECT_THAT(workloads(Run({"top", "--once", "--interval", "0.1", "-o", "json", "--sort", "flows", "--limit", "2"})),
              testing::ElementsAre("ops/a-job-with-a-name-that-is-long", "shop/web-0"));
}

// `script` gives the program a terminal.
TEST_F(ClientProgram, TopFitsTheWindowAndHasColorsThere) {
  agent_.tops = GrowingTraffic();
  agent_.Start();
  const auto show = [&](const std::string& environment) {
    const auto result = RunCommand(
        {"bash", "-c",
         fmt::format("script -qec 'stty rows 3 cols 60; {} {} --server {} top --iterations 1 --interval 0.1' "
                     "/dev/null < /dev/null",
                     environment, Program(), agent_.address())});
    EXPECT_TRUE(result.ok()) << result.status();
    return result.ok() ? result->output : "";
  };
  const std::string colored = show("TERM=xterm");
  EXPECT_THAT(colored, HasSubstr("\x1b[1mWORKLOAD"));
  EXPECT_THAT(colored, HasSubstr("\x1b[31mshop/web-0"));
  const std::string plain = show("TERM=xterm NO_COLOR=1");
  EXPECT_THAT(plain, Not(HasSubstr("\x1b[")));
  EXPECT_THAT(plain, HasSubstr(".."));
  std::istringstream lines(plain);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with('\r')) line.pop_back();
    EXPECT_LE(line.size(), 60U) << line;
  }
}

TEST_F(ClientProgram, TopEndsAtOnceWhenInterrupted) {
  agent_.tops = GrowingTraffic();
  agent_.Start();
  auto top = ChildProcess::Start({Program(), "--server", agent_.address(), "top", "--interval", "0.1"});
  ASSERT_TRUE(top.ok()) << top.status();
  ASSERT_TRUE(top->WaitForOutput("shop/web-0").ok());
  ASSERT_TRUE(top->Signal(SIGINT).ok());
  const auto result = top->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
  EXPECT_THAT(result->output, Not(HasSubstr("sluice:")));
}

}  // namespace
}  // namespace sluice::test
