// Reads one BPF ring buffer without blocking. One thread at a time.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "ctrl/base/status.h"

struct ring_buffer;

namespace sluice::bpf {

class RingReader {
 public:
  using Consume = std::function<void(const void* record, std::size_t size)>;

  // `map_fd` outlives the reader; `name` is for errors.
  static StatusOr<std::unique_ptr<RingReader>> Open(int map_fd, Consume consume, std::string name = "flow_events");
  ~RingReader();
  RingReader(const RingReader&) = delete;
  RingReader& operator=(const RingReader&) = delete;

  // Hands over all that waits; returns how many.
  StatusOr<int> Drain();

 private:
  RingReader(Consume consume, std::string name) : consume_(std::move(consume)), name_(std::move(name)) {}
  Consume consume_;
  const std::string name_;
  ring_buffer* ring_ = nullptr;
};

}  // namespace sluice::bpf
