#include "telemetry/process/process_events.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::telemetry {
namespace {

class ProcessEventsTest : public ::testing::Test {
 protected:
  void Exec(sl_process_id id, const std::vector<std::string>& arguments) {
    auto record =
        DecodeProcessRecord(ExecBytes({.id = id, .pid = 10, .start_ns = id, .birth_ns = 1}, "/bin/x", "x", ""));
    ASSERT_TRUE(record.ok()) << record.status();
    record->arguments = arguments;
    tree_.Apply(*record);
  }
  v1::Process Peer(sl_process_id id) const {
    v1::Process process;
    EXPECT_TRUE(events_.ToPeer(id, &process));
    return process;
  }
  static bool IsCut(const v1::Process& process) {
    return std::ranges::find(process.flags(), v1::Process::ARGUMENTS_TRUNCATED) != process.flags().end();
  }

  ProcessTree tree_;
  ProcessEvents events_{"node-1", &tree_, {}, [] { return ClockReading{}; }};
};

// Each event at a flow's end repeats the arguments.
TEST_F(ProcessEventsTest, AFlowsEndHasFewOfManyArguments) {
  const std::vector<std::string> many(20000, "x");
  Exec(1, many);
  const v1::Process peer = Peer(1);
  EXPECT_LT(peer.SpaceUsedLong(), 40000U);
  EXPECT_GT(peer.arguments_size(), 100);
  EXPECT_TRUE(IsCut(peer));
  v1::Process whole;
  events_.ToProto(*tree_.Find(1), &whole);
  EXPECT_EQ(whole.arguments_size(), 20000);
  EXPECT_FALSE(IsCut(whole));
}

TEST_F(ProcessEventsTest, AFlowsEndHasAllOfFewArguments) {
  Exec(1, {"-c", std::string(10000, 'x')});
  EXPECT_EQ(Peer(1).arguments_size(), 2);
  EXPECT_FALSE(IsCut(Peer(1)));
}

TEST_F(ProcessEventsTest, WhoIsNotKnownIsNoPeer) {
  v1::Process process;
  EXPECT_FALSE(events_.ToPeer(7, &process));
}

}  // namespace
}  // namespace sluice::telemetry
