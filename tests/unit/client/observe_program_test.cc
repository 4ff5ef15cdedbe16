// `sluice observe`: requests, forms of output, agents that go away.
#include <csignal>

#include "tests/unit/client/client_program.h"

namespace sluice::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class ObserveProgram : public ClientProgram {
 protected:
  ObserveProgram() {
    agent_.events = {FromJson<v1::Event>(R"({"flow": {"time": "2026-03-04T05:06:07.000000008Z", "type": "flow",
                                             "event": "NEW", "verdict": "FORWARDED"}})"),
                     FromJson<v1::Event>(R"({"lost": {"time": "2026-03-04T05:06:08Z", "type": "lost",
                                             "cause": "RING_FULL", "count": "3"}})")};
  }
};

TEST_F(ObserveProgram, PastEventsAsTextAndAsJson) {
  agent_.Start();
  const auto text = Run({"observe", "--last", "2", "--verdict", "FORWARDED"});
  EXPECT_EQ(text.exit_code, 0);
  EXPECT_THAT(text.output, HasSubstr("2026-03-04T05:06:07.000Z NEW    FORWARDED"));
  EXPECT_THAT(text.output, HasSubstr("2026-03-04T05:06:08.000Z LOST   3 events: RING_FULL\n"));
  EXPECT_EQ(agent_.Asked<v1::ObserveRequest>().last(), 2U);
  EXPECT_FALSE(agent_.Asked<v1::ObserveRequest>().follow());
  EXPECT_EQ(Run({"observe", "--last", "2", "--verdict", "FORWARDED", "-o", "table"}).output, text.output);
  EXPECT_EQ(Run({"observe", "-o", "json"}).output,
            R"({"time":"2026-03-04T05:06:07.000000008Z","type":"flow","event":"NEW","verdict":"FORWARDED"})"
            "\n"
            R"({"time":"2026-03-04T05:06:08Z","type":"lost","cause":"RING_FULL","count":3})"
            "\n");
}

TEST_F(ObserveProgram, FiltersAndWhatTheyLeaveOutInTheirOrder) {
  agent_.Start();
  const auto result =
      Run({"observe",          "-n",       "shop",    "--not", "--port", "53,123", "--port=5432/TCP", "--from",
           "app in (web,api)", "--port",   "5433",    "--not", "--type", "exec",   "--since",         "5m",
           "--host",           "--fields", "verdict", "-o",    "json"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  EXPECT_THAT(result.output, StartsWith("{\"verdict\":\"FORWARDED\"}\n"));
  const auto asked = agent_.Asked<v1::ObserveRequest>();
  EXPECT_THAT(asked.filter().namespaces(), testing::ElementsAre("shop"));
  EXPECT_THAT(asked.filter().from(), testing::ElementsAre("app in (web,api)"));
  ASSERT_EQ(asked.filter().ports_size(), 2);
  EXPECT_EQ(asked.filter().ports(0).port(), 5432U);
  EXPECT_EQ(asked.filter().ports(1).port(), 5433U);
  EXPECT_FALSE(asked.filter().without_host());
  ASSERT_EQ(asked.except_size(), 2);
  EXPECT_EQ(asked.except(0).ports_size(), 2);
  EXPECT_THAT(asked.except(1).types(), testing::ElementsAre("exec"));
  EXPECT_TRUE(asked.has_since());
}

TEST_F(ObserveProgram, SaysWhatTheAgentDoesNotKnow) {
  agent_.notices = {"workload shop/wep: the agent knows none of this name now; did you mean shop/web?"};
  agent_.Start();
  const auto result = Run({"observe", "--workload", "shop/wep"});
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_THAT(result.output, StartsWith("sluice: workload shop/wep: the agent knows none of this name now; did you"));
}

TEST_F(ObserveProgram, FollowsAnAgentThatStartsAgain) {
  agent_.follows_end = {{grpc::StatusCode::UNAVAILABLE, "the agent stops"}, grpc::Status::OK};
  agent_.Start();
  const auto result = Run({"observe", "-f", "--last", "5", "--since", "1h"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
  const std::size_t gone = result.output.find("the agent stops");
  const std::size_t again = result.output.find("the agent of node-1 is back");
  ASSERT_NE(gone, std::string::npos) << result.output;
  ASSERT_NE(again, std::string::npos) << result.output;
  EXPECT_LT(gone, again);
  EXPECT_LT(result.output.find("RING_FULL"), gone);
  EXPECT_NE(result.output.find("RING_FULL", again), std::string::npos);
  const auto asked = agent_.Asked<v1::ObserveRequest>();
  EXPECT_EQ(asked.last(), 0U) << "nothing twice";
  EXPECT_FALSE(asked.has_since());
}

TEST_F(ObserveProgram, FollowsUntilInterrupted) {
  agent_.Start();
  auto observer = ChildProcess::Start({Program(), "--server", agent_.address(), "observe", "-f"});
  ASSERT_TRUE(observer.ok()) << observer.status();
  ASSERT_TRUE(observer->WaitForOutput("RING_FULL\n").ok());
  ASSERT_TRUE(observer->Signal(SIGINT).ok());
  const auto result = observer->Wait();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 0);
}

TEST_F(ObserveProgram, EndsQuietlyWhenItsReaderHasGone) {
  agent_.Start();
  const auto result =
      RunCommand({"bash", "-c", "\"$0\" --server \"$1\" observe -f | head -n 1; echo exit ${PIPESTATUS[0]}", Program(),
                  agent_.address()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->output, testing::EndsWith("\nexit 0\n"));
  EXPECT_THAT(result->output, Not(HasSubstr("sluice:")));
}

TEST_F(ObserveProgram, OutputThatCannotBeWrittenIsAFailure) {
  agent_.Start();
  const auto result =
      RunCommand({"bash", "-c", "\"$0\" --server \"$1\" observe > /dev/full", Program(), agent_.address()});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->exit_code, 1);
  EXPECT_THAT(result->output, HasSubstr("write standard output: No space left"));
}

TEST_F(ClientProgram, FollowingAnAgentThatStopsIsAFailure) {
  agent_.Refuse(grpc::StatusCode::UNAVAILABLE, "the agent stops");
  agent_.Start();
  const auto result = Run({"observe", "-f"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("the agent stops"));
}

}  // namespace
}  // namespace sluice::test
