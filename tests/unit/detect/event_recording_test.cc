#include "telemetry/detect/event_recording.h"

#include <gmock/gmock.h>

#include "policy/rules/event_record.h"
#include "tests/unit/detect/rules.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

policy::rules::EventSet Types(const char* name) {
  policy::rules::EventSet types;
  types.set(*policy::rules::FindEventType(name));
  return types;
}

TEST(EventRecordings, EachGetsWhatItAskedFor) {
  const policy::rules::Scene scene;
  EventRecordings recordings;
  const auto all = recordings.Begin({.types = Types("openat"), .workload = {}});
  const auto of_one = recordings.Begin({.types = Types("openat"), .workload = {"shop", "db-0"}});
  const auto of_another_type = recordings.Begin({.types = Types("mkdir"), .workload = {}});
  recordings.OnEvent(scene.event, {"shop", "web-0"});
  const auto batch = (*all)->Next(0ms);
  ASSERT_EQ(batch.records.size(), 1U);
  EXPECT_EQ(batch.lost, 0U);
  const auto read = policy::rules::ParseEventRecord(batch.records[0]);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ((*read)->event.process->name, "bash");
  EXPECT_TRUE((*of_one)->Next(0ms).records.empty());
  EXPECT_TRUE((*of_another_type)->Next(0ms).records.empty());
}

TEST(EventRecordings, WhatIsNotReadInTimeIsCounted) {
  const policy::rules::Scene scene;
  EventRecordings recordings({.max_recordings = 1, .queue_bytes = 4000});
  const auto recording = recordings.Begin({.types = Types("openat"), .workload = {}});
  ASSERT_TRUE(recording.ok());
  EXPECT_EQ(recordings.Begin({.types = Types("openat"), .workload = {}}).status().code(),
            absl::StatusCode::kResourceExhausted);
  for (int i = 0; i < 100; ++i) recordings.OnEvent(scene.event, {});
  std::uint64_t got = 0, lost = 0;
  while (true) {
    const auto batch = (*recording)->Next(0ms);
    if (batch.records.empty() && batch.lost == 0) break;
    got += batch.records.size();
    lost += batch.lost;
  }
  EXPECT_EQ(got + lost, 100U);
  EXPECT_LT(got, 10U);
}

TEST(EventRecordings, CloseEndsTheWait) {
  EventRecordings recordings;
  const auto recording = recordings.Begin({.types = Types("openat"), .workload = {}});
  recordings.Close();
  EXPECT_TRUE((*recording)->Next(60s).records.empty());
  EXPECT_FALSE(recordings.Begin({.types = Types("openat"), .workload = {}}).ok());
}

}  // namespace
}  // namespace sluice::telemetry
