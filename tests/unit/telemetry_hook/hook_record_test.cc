#include "telemetry/hook/hook_record.h"

#include <gtest/gtest.h>

#include <random>

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

TEST(HookRecord, ArgumentsOutsideTheRecordAreRefused) {
  const auto refuses = [](const auto& change) {
    HookBytes record({});
    record.Text(SL_HOOK_READ_STRING, "12345678");
    change(record.event());
    return !DecodeHookRecord(record.bytes()).ok();
  };
  EXPECT_FALSE(refuses([](sl_hook_event&) {}));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].length = 9; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].length = UINT16_MAX; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].offset = 1; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].offset = UINT32_MAX; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].offset = UINT32_MAX - 7; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].read = SL_HOOK_READ_COUNT; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].read = SL_HOOK_READ_SOCK; })) << "too small";
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.arguments[0].read = SL_HOOK_READ_CRED; })) << "too small";
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.argument_count = SL_HOOK_ARGUMENTS + 1; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.argument_count = UINT8_MAX; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.kind = 0; }));
  EXPECT_TRUE(refuses([](sl_hook_event& event) { event.kind = SL_HOOK_EVENT_WHOLE + 1; }));
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
