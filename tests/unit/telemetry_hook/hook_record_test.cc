#include "telemetry/hook/hook_record.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <random>
#include <tuple>

#include "tests/unit/telemetry_hook/hook_records.h"

namespace sluice::telemetry {
namespace {

sl_hook_socket ASocket() {
  sl_hook_socket socket{};
  socket.family = 2;
  socket.destination_port = 443;
  return socket;
}

std::string FullRecord() {
  return HookBytes({.call = 7, .pid = 42})
      .Text(SL_HOOK_READ_FILE, "/etc/passwd", 0100644)
      .Number(4)
      .Struct(SL_HOOK_READ_SOCK, ASocket())
      .Struct(SL_HOOK_READ_CRED, sl_hook_cred{.uid = 1000})
      .Unread(SL_HOOK_READ_STRING)
      .bytes();
}

TEST(HookRecord, EachArgument) {
  const auto record = DecodeHookRecord(FullRecord());
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_EQ(record->event.pid, 42U);
  ASSERT_EQ(record->arguments.size(), 5U);
  EXPECT_EQ(record->arguments[0].text, "/etc/passwd");
  EXPECT_EQ(record->arguments[0].number, 0100644U);
  EXPECT_EQ(record->arguments[1].number, 4U);
  ASSERT_TRUE(record->arguments[2].socket);
  EXPECT_EQ(record->arguments[2].socket->destination_port, 443);
  ASSERT_TRUE(record->arguments[3].cred);
  EXPECT_EQ(record->arguments[3].cred->uid, 1000U);
  EXPECT_FALSE(record->arguments[4].Is(SL_HOOK_VALUE_READ));
}

TEST(HookRecord, TheRingsPaddingIsNoData) {
  EXPECT_TRUE(DecodeHookRecord(FullRecord() + std::string(7, 'x')).ok());
  EXPECT_FALSE(DecodeHookRecord(FullRecord() + std::string(8, 'x')).ok());
}

TEST(HookRecord, ATruncatedRecordIsRefused) {
  const std::string whole = FullRecord();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(DecodeHookRecord(std::string_view(whole).substr(0, size)).ok()) << size;
  }
}

// A record with one text of 8 bytes, changed.
template <typename Change>
StatusOr<HookRecord> Changed(const Change& change) {
  HookBytes record({});
  record.Text(SL_HOOK_READ_STRING, "12345678");
  change(record.event());
  return DecodeHookRecord(record.bytes());
}

TEST(HookRecord, AWrongHeaderIsRefused) {
  EXPECT_TRUE(Changed([](sl_hook_event&) {}).ok());
  EXPECT_FALSE(Changed([](sl_hook_event& event) { event.argument_count = SL_HOOK_ARGUMENTS + 1; }).ok());
  EXPECT_FALSE(Changed([](sl_hook_event& event) { event.argument_count = UINT8_MAX; }).ok());
  EXPECT_FALSE(Changed([](sl_hook_event& event) { event.kind = 0; }).ok());
  EXPECT_FALSE(Changed([](sl_hook_event& event) { event.kind = SL_HOOK_EVENT_WHOLE + 1; }).ok());
}

// The kernel keeps only a part of the data of an event that waits for its return.
TEST(HookRecord, ATextBeyondTheRecordIsTruncated) {
  for (const auto& [offset, length, text] :
       std::initializer_list<std::tuple<std::uint32_t, std::uint16_t, const char*>>{
           {0, 9, "12345678"}, {0, UINT16_MAX, "12345678"}, {1, 8, "2345678"}, {7, 2, "8"}}) {
    const auto record = Changed([&, offset = offset, length = length](sl_hook_event& event) {
      event.arguments[0].offset = offset;
      event.arguments[0].length = length;
    });
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_EQ(record->arguments[0].text, text);
    EXPECT_TRUE(record->arguments[0].Is(SL_HOOK_VALUE_READ) && record->arguments[0].Is(SL_HOOK_VALUE_TRUNCATED));
    EXPECT_EQ(record->cut_arguments, 1U);
  }
}

TEST(HookRecord, WhatIsNotInTheRecordHasNotBeenRead) {
  for (const std::uint32_t offset : {8U, 9U, UINT32_MAX, UINT32_MAX - 7}) {
    const auto record = Changed([&](sl_hook_event& event) { event.arguments[0].offset = offset; });
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_FALSE(record->arguments[0].Is(SL_HOOK_VALUE_READ)) << offset;
    EXPECT_EQ(record->arguments[0].text, "");
    EXPECT_EQ(record->cut_arguments, 1U);
  }
  for (const std::uint8_t read : {std::uint8_t{SL_HOOK_READ_SOCK}, std::uint8_t{SL_HOOK_READ_CRED},
                                  std::uint8_t{SL_HOOK_READ_COUNT}, std::uint8_t{UINT8_MAX}}) {
    const auto record = Changed([&](sl_hook_event& event) { event.arguments[0].read = read; });
    ASSERT_TRUE(record.ok()) << record.status();
    EXPECT_FALSE(record->arguments[0].Is(SL_HOOK_VALUE_READ)) << int{read} << ": too small, or unknown";
    EXPECT_FALSE(record->arguments[0].socket || record->arguments[0].cred);
    EXPECT_EQ(record->cut_arguments, 1U);
  }
}

// With sanitizers, this finds reads outside the record.
TEST(HookRecord, DamagedRecordsNeverReadOutside) {
  std::mt19937 random(1);
  const std::string whole = FullRecord();
  std::size_t accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::string bytes = whole;
    for (unsigned n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = static_cast<char>(random());
    bytes.resize(bytes.size() - (random() % 4 == 0 ? random() % bytes.size() : 0));
    const std::string exact(bytes);  // without capacity behind it
    const auto record = DecodeHookRecord(exact);
    if (!record.ok()) continue;
    accepted++;
    EXPECT_LE(record->arguments.size(), std::size_t{SL_HOOK_ARGUMENTS});
    for (const HookValue& value : record->arguments) EXPECT_LE(value.text.size(), exact.size());
  }
  EXPECT_GT(accepted, 1000U) << "most damage is in numbers";
}

}  // namespace
}  // namespace sluice::telemetry
