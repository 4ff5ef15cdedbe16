#include "kernel/capture/cell_reader.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace sluice::capture {

// The position is read before and after the copy, as a writer changes it first and last.
bool CellReader::CopyCell(std::uint64_t position, sl_capture_cell* cell, bool* not_yet) const {
  const sl_capture_cell& from = cells_[position & (cells_.size() - 1)];
  const std::uint64_t before = __atomic_load_n(&from.position, __ATOMIC_ACQUIRE);
  if (before != position + 1) {
    *not_yet = before == SL_CAPTURE_BUSY || before < position + 1;
    return false;
  }
  std::memcpy(cell, &from, sizeof(*cell));
  std::atomic_thread_fence(std::memory_order_acquire);
  *not_yet = false;
  return __atomic_load_n(&from.position, __ATOMIC_RELAXED) == before;
}

// `cells`: how far to go on.
CellReader::Found CellReader::ReadRecord(std::uint64_t end, std::uint64_t* cells) {
  *cells = 1;
  bytes_.clear();
  std::size_t wanted = 0;
  std::uint64_t count = 1;
  for (std::uint64_t i = 0; i < count; ++i) {
    sl_capture_cell cell;
    bool not_yet = at_ + i >= end;  // the writer has taken the cell, but `next` was read before
    if (not_yet || !CopyCell(at_ + i, &cell, &not_yet)) return not_yet ? Found::kNotYet : Found::kSkip;
    if (cell.index != i) return Found::kSkip;  // the rest of a record that is overwritten already
    const std::uint8_t* data = cell.data;
    std::size_t room = sizeof(cell.data);
    if (i == 0) {
      std::memcpy(&facts_, data, sizeof(facts_));
      data += sizeof(facts_);
      room -= sizeof(facts_);
      wanted = facts_.captured;
      count = std::max<std::uint64_t>(cell.count, 1);
      const std::size_t most = SL_CAPTURE_HEADERS + (count - 1) * SL_CAPTURE_CELL_BYTES;
      if (wanted > most || count > cells_.size()) return Found::kSkip;
    }
    bytes_.insert(bytes_.end(), data, data + std::min(room, wanted - bytes_.size()));
  }
  *cells = count;
  return Found::kRecord;
}

void CellReader::Read(const Visit& visit) {
  const std::uint64_t end = __atomic_load_n(next_, __ATOMIC_ACQUIRE);
  const std::uint64_t oldest = end > cells_.size() ? end - cells_.size() : 0;
  if (at_ < oldest) {
    if (at_ != 0) overwritten_ += oldest - at_;
    at_ = oldest;
  }
  while (at_ < end) {
    std::uint64_t cells = 1;
    const Found found = ReadRecord(end, &cells);
    if (found == Found::kNotYet && at_ >= end_before_) break;
    if (found == Found::kNotYet) ++incomplete_;
    at_ += cells;
    if (found == Found::kRecord) visit(facts_, bytes_);
  }
  end_before_ = end;
}

void CellReader::SkipAll() { at_ = __atomic_load_n(next_, __ATOMIC_ACQUIRE); }

}  // namespace sluice::capture
