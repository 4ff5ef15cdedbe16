#include "telemetry/detect/detection_queue.h"

#include <gtest/gtest.h>

#include "tests/unit/detect/rules.h"

namespace sluice::telemetry {
namespace {

using test::Detection;

TEST(DetectionQueue, KeepsTheOrder) {
  DetectionQueue queue({.max_events = 10});
  for (const char* output : {"1", "2", "3"}) EXPECT_TRUE(queue.Push(Detection("r", "w", output)).empty());
  EXPECT_EQ(queue.size(), 3U);
  for (const char* output : {"1", "2", "3"}) EXPECT_EQ(queue.Pop()->detection().output(), output);
  EXPECT_EQ(queue.Pop(), nullptr);
  EXPECT_TRUE(queue.empty());
}

TEST(DetectionQueue, TheLoudestRuleGivesUpItsNewest) {
  DetectionQueue queue({.max_events = 4});
  for (const char* output : {"1", "2", "3"}) queue.Push(Detection("loud", "w", output));
  queue.Push(Detection("quiet", "w", "q1"));
  const auto gone = queue.Push(Detection("quiet", "w", "q2"));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0]->detection().output(), "3");
  EXPECT_EQ(queue.size(), 4U);
  const auto own = queue.Push(Detection("loud", "w", "4"));
  ASSERT_EQ(own.size(), 1U);
  EXPECT_EQ(own[0]->detection().output(), "4");
}

TEST(DetectionQueue, InARuleTheLoudestWorkloadGivesUp) {
  DetectionQueue queue({.max_events = 3});
  queue.Push(Detection("r", "loud", "1"));
  queue.Push(Detection("r", "loud", "2"));
  queue.Push(Detection("r", "quiet", "3"));
  const auto gone = queue.Push(Detection("r", "quiet", "4"));
  ASSERT_EQ(gone.size(), 1U);
  EXPECT_EQ(gone[0]->detection().workload(), "loud");
  EXPECT_EQ(gone[0]->detection().output(), "2");
}

TEST(DetectionQueue, BytesAreBoundedToo) {
  DetectionQueue queue({.max_events = 1000, .max_bytes = 20000});
  std::size_t gone = 0;
  for (int i = 0; i < 100; ++i) gone += queue.Push(Detection("r", "w", std::string(5000, 'x'))).size();
  EXPECT_EQ(queue.size() + gone, 100U);
  EXPECT_LE(queue.size(), 4U);
  EXPECT_GE(queue.size(), 1U);
}

}  // namespace
}  // namespace sluice::telemetry
