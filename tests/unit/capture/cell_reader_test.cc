// The reader of a ring, over memory that the test writes as the packet path does.
#include "kernel/capture/cell_reader.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace sluice::capture {
namespace {

class CellReaderTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kCells = 8;

  // Writes the cells of a record whose packet is `bytes`; the first `written` of them, if not all.
  void Write(const std::string& bytes, std::size_t written = SIZE_MAX) {
    const std::size_t more =
        bytes.size() > SL_CAPTURE_HEADERS ? (bytes.size() - SL_CAPTURE_HEADERS - 1) / SL_CAPTURE_CELL_BYTES + 1 : 0;
    const std::uint64_t first = next_;
    next_ += 1 + more;
    std::size_t done = 0;
    for (std::size_t i = 0; i <= more; ++i) {
      sl_capture_cell& cell = cells_[(first + i) % kCells];
      if (i >= written) {
        cell.position = SL_CAPTURE_BUSY;
        continue;
      }
      cell.index = static_cast<__u16>(i);
      cell.count = static_cast<__u16>(1 + more);
      __u8* to = cell.data;
      std::size_t room = sizeof(cell.data);
      if (i == 0) {
        const sl_capture_packet facts{.length = static_cast<__u32>(bytes.size()),
                                      .captured = static_cast<__u16>(bytes.size())};
        std::memcpy(to, &facts, sizeof(facts));
        to += sizeof(facts);
        room -= sizeof(facts);
      }
      const std::size_t part = std::min(room, bytes.size() - done);
      std::memcpy(to, bytes.data() + done, part);
      done += part;
      cell.position = first + i + 1;
    }
  }

  std::vector<std::string> Read() {
    std::vector<std::string> all;
    reader_.Read([&](const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) {
      EXPECT_EQ(facts.length, bytes.size());
      all.emplace_back(bytes.begin(), bytes.end());
    });
    return all;
  }
  using Records = std::vector<std::string>;

  sl_capture_cell cells_[kCells] = {};
  __u64 next_ = 0;
  CellReader reader_{cells_, &next_};
};

TEST_F(CellReaderTest, EachRecordOnceAndInOrder) {
  EXPECT_EQ(Read(), Records());
  Write("one");
  Write(std::string(500, 'b'));
  EXPECT_EQ(Read(), (Records{"one", std::string(500, 'b')}));
  EXPECT_EQ(Read(), Records());
  Write("");
  EXPECT_EQ(Read(), Records{""});
  EXPECT_EQ(reader_.overwritten(), 0u);
}

TEST_F(CellReaderTest, RecordsAcrossTheEndOfTheRing) {
  for (int i = 0; i < 20; ++i) {
    const std::string bytes(static_cast<std::size_t>(i) * 61, static_cast<char>('a' + i));
    Write(bytes);
    EXPECT_EQ(Read(), Records{bytes}) << i;
  }
}

TEST_F(CellReaderTest, AReaderThatComesLateBeginsWithTheOldestWholeRecord) {
  Write(std::string(900, 'a'));  // five cells
  for (const char* text : {"b", "c", "d", "e", "f"}) Write(text);
  EXPECT_EQ(Read(), (Records{"b", "c", "d", "e", "f"})) << "the rest of the first record is no record";
  for (int i = 0; i < 10; ++i) Write(std::to_string(i));
  EXPECT_EQ(Read(), (Records{"2", "3", "4", "5", "6", "7", "8", "9"}));
  EXPECT_EQ(reader_.overwritten(), 2u);
}

TEST_F(CellReaderTest, ARecordThatIsBeingWrittenIsWaitedForOnce) {
  Write("one");
  const __u64 begun = next_;
  Write(std::string(300, 'b'), 1);
  Write("three");
  EXPECT_EQ(Read(), Records{"one"});
  sl_capture_cell& last = cells_[(begun + 1) % kCells];
  std::memset(last.data, 'b', sizeof(last.data));
  last.index = 1;
  last.count = 2;
  last.position = begun + 2;
  EXPECT_EQ(Read(), (Records{std::string(300, 'b'), "three"}));
  Write(std::string(300, 'd'), 1);
  Write("five");
  EXPECT_EQ(Read(), Records());
  EXPECT_EQ(Read(), Records{"five"}) << "its writer gave it up";
  EXPECT_GE(reader_.incomplete(), 1u);
}

TEST_F(CellReaderTest, CellsThatNoWriterWouldWriteAreNoRecords) {
  Write("one");
  sl_capture_packet facts{.captured = 60000};
  std::memcpy(cells_[0].data, &facts, sizeof(facts));
  Write("two");
  cells_[1].count = 60000;
  facts.captured = 50000;
  std::memcpy(cells_[1].data, &facts, sizeof(facts));
  Write("three");
  EXPECT_EQ(Read(), Records{"three"});
}

TEST_F(CellReaderTest, SkipAll) {
  Write("one");
  reader_.SkipAll();
  Write("two");
  EXPECT_EQ(Read(), Records{"two"});
}

}  // namespace
}  // namespace sluice::capture
