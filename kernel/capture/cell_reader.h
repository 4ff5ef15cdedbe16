// Reads the records of one ring of packets (bpf/abi/capture.h), while the packet path writes it: in the ring's order,
// each once. A record that is overwritten meanwhile is counted, never half read.
//
//   CellReader reader(cells, &capture->next[SL_CAPTURE_PASSED]);
//   reader.Read([](const sl_capture_packet& facts, std::span<const std::uint8_t> bytes) { ... });
//
// Not thread-safe. Does not own the memory.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "bpf/abi/capture.h"

namespace sluice::capture {

class CellReader {
 public:
  // `bytes`: of the packet, from its Ethernet header on; valid during the call.
  using Visit = std::function<void(const sl_capture_packet& facts, std::span<const std::uint8_t> bytes)>;

  // The number of cells is a power of two. The first Read begins with the oldest cell that the ring still has.
  CellReader(std::span<const sl_capture_cell> cells, const __u64* next) : cells_(cells), next_(next) {}

  // Visits what was written since the last call. A record that is being written is left for the next call. One that was
  // begun before the last call is given up: no writer takes as long as there is between two calls.
  void Read(const Visit& visit);
  // Leaves out what the ring has now.
  void SkipAll();

  std::uint64_t overwritten() const { return overwritten_; }  // cells that were written over before they were read
  std::uint64_t incomplete() const { return incomplete_; }    // records without all of their cells

 private:
  enum class Found { kRecord, kNotYet, kSkip };
  bool CopyCell(std::uint64_t position, sl_capture_cell* cell, bool* not_yet) const;
  Found ReadRecord(std::uint64_t end, std::uint64_t* cells);

  const std::span<const sl_capture_cell> cells_;
  const __u64* const next_;
  std::uint64_t at_ = 0;          // position of the next cell to read
  std::uint64_t end_before_ = 0;  // of the ring, at the last call
  std::uint64_t overwritten_ = 0;
  std::uint64_t incomplete_ = 0;
  sl_capture_packet facts_{};
  std::vector<std::uint8_t> bytes_;
};

}  // namespace sluice::capture
