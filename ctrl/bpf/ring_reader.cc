#include "ctrl/bpf/ring_reader.h"

#include <bpf/libbpf.h>

#include <cerrno>

namespace sluice::bpf {

StatusOr<std::unique_ptr<RingReader>> RingReader::Open(int map_fd, Consume consume, std::string name) {
  std::unique_ptr<RingReader> reader(new RingReader(std::move(consume), std::move(name)));
  const auto hand_over = [](void* context, void* data, std::size_t size) {
    static_cast<RingReader*>(context)->consume_(data, size);
    return 0;
  };
  reader->ring_ = ring_buffer__new(map_fd, hand_over, reader.get(), nullptr);
  if (reader->ring_ == nullptr) return ErrnoError(errno, "open the ring buffer {}", reader->name_);
  return reader;
}

RingReader::~RingReader() { ring_buffer__free(ring_); }

StatusOr<int> RingReader::Drain() {
  const int count = ring_buffer__consume(ring_);
  if (count < 0) return ErrnoError(count, "read the ring buffer {}", name_);
  return count;
}

}  // namespace sluice::bpf
