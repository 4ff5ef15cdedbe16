#include "telemetry/process/process_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "telemetry/event/text.h"
#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::telemetry {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(ProcessRecord, Exec) {
  const auto record = DecodeProcessRecord(ExecBytes({.id = 7, .pid = 42}, "/bin/ls", "ls\0-l\0\0x\0", "./run"));
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->header().id, 7U);
  EXPECT_EQ(record->binary, "/bin/ls");
  EXPECT_EQ(record->script, "/srv/run");
  EXPECT_EQ(record->working_directory, "/srv");
  EXPECT_EQ(record->argument0, "ls");
  EXPECT_THAT(record->arguments, ElementsAre("-l", "", "x"));
}

TEST(ProcessRecord, ACutOffArgumentIsKept) {
  const auto record = DecodeProcessRecord(ExecBytes({.id = 7}, "/bin/ls", "ls\0abc", ""));
  ASSERT_TRUE(record.ok());
  EXPECT_THAT(record->arguments, ElementsAre("abc"));
}

TEST(ProcessRecord, ATitleThatWasWrittenOverTheArguments) {
  const auto record =
      DecodeProcessRecord(ExecBytes({.id = 7, .event = SL_PROCESS_EVENT_SEED}, "/bin/n", "n: worker\0\0\0\0", ""));
  ASSERT_TRUE(record.ok());
  EXPECT_EQ(record->argument0, "n: worker");
  EXPECT_THAT(record->arguments, IsEmpty());
}

TEST(ProcessRecord, EveryTruncationIsRefused) {
  for (const std::string& whole : {ExecBytes({.id = 7}, "/bin/ls", "ls\0-l\0", "/s"), ExitBytes({.id = 7}, 0)}) {
    for (std::size_t size = 0; size < whole.size(); ++size) {
      EXPECT_FALSE(DecodeProcessRecord(std::string_view(whole).substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(DecodeProcessRecord(whole + "x").ok());
    EXPECT_TRUE(DecodeProcessRecord(whole).ok());
  }
}

TEST(ProcessRecord, GarbageIsRefusedOrDecoded) {
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    std::string bytes(random() % 600, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    if (bytes.size() > offsetof(sl_process_header, event)) bytes[offsetof(sl_process_header, event)] = random() % 5;
    const auto record = DecodeProcessRecord(bytes);
    if (record.ok()) {
      EXPECT_LT(record->event(), SL_PROCESS_EVENT_COUNT);
    }
  }
}

TEST(ProcessText, OnlyBytesThatAreNoCharacterAreSpelledOut) {
  EXPECT_EQ(ToUtf8("a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"), "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(ToUtf8("\xff"), "\\xff");
  EXPECT_EQ(ToUtf8("\xc0\x80"), "\\xc0\\x80");                    // overlong
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "\\xed\\xa0\\x80");           // a surrogate
  EXPECT_EQ(ToUtf8("x\xe2\x82"), "x\\xe2\\x82");                  // cut off
  EXPECT_EQ(ToUtf8("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80");  // above U+10FFFF
}

TEST(ProcessText, Names) {
  EXPECT_EQ(SignalName(9), "SIGKILL");
  EXPECT_EQ(SignalName(40), "SIG40");
}

}  // namespace
}  // namespace sluice::telemetry
