// Reads one BPF ring buffer without blocking. One thread at a time.
//
// Not by libbpf's reader, which tells the kernel of each record that it has read: for that word the writer's CPU then
// waits with each record that it makes (docs/architecture.md, "The reader of a ring").
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

  // `map_fd` outlives the reader; `name` is for errors.
  static StatusOr<std::unique_ptr<RingReader>> Open(int map_fd, Consume consume, std::string name = "flow_events");
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Hands over all that waits, and what comes meanwhile until it was a ring full: who fills it must not keep the
  // reader. Returns how many.
  int Drain();

 private:
  RingReader(Consume consume, std::size_t bytes) : consume_(std::move(consume)), bytes_(bytes) {}
  void Release(std::uint64_t position);

  const Consume consume_;
  const std::size_t bytes_;                  // of the ring; a power of two
  std::uint64_t* consumer_ = nullptr;        // mapped: up to where it is read
  const std::uint64_t* producer_ = nullptr;  // mapped, with the ring behind it: up to where it is reserved
  const char* data_ = nullptr;               // the ring, twice in a row
};

}  // namespace sluice::bpf
