// Reads one BPF ring buffer without blocking. One thread at a time.
//
// libbpf's reader updates the consumer position after each record, so the writer's CPU waits for that cache line with
// each record (docs/architecture.md, "The reader of a ring"). This reader updates it rarely.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/status.h"

namespace sluice::bpf {

class RingReader {
 public:
  using Consume = std::function<void(const void* record, std::size_t size)>;

  // `map_fd` must outlive the reader; `name` is for errors.
  static StatusOr<std::unique_ptr<RingReader>> Open(int map_fd, Consume consume, std::string name = "flow_events");
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Passes on all pending records and new ones, up to one ring's worth of bytes: a fast writer must not keep the reader
  // here. Returns how many.
  int Drain();

 private:
  RingReader(Consume consume, std::size_t bytes) : consume_(std::move(consume)), bytes_(bytes) {}
  void Release(std::uint64_t position);

  const Consume consume_;
  const std::size_t bytes_;                  // of the ring; a power of two
  std::uint64_t* consumer_ = nullptr;        // mapped: the position up to which it is read
  const std::uint64_t* producer_ = nullptr;  // mapped, with the ring after it: the position up to which it is reserved
  const char* data_ = nullptr;               // the ring, twice in a row
};

}  // namespace sluice::bpf
