#include "kernel/bpf/ring_reader.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <cerrno>

#include "kernel/bpf/system.h"

namespace sluice::bpf {
// The layout is that of the kernel's documentation, Documentation/bpf/ringbuf.rst: the consumer's page, the producer's,
// and the ring.
StatusOr<std::unique_ptr<RingReader>> RingReader::Open(int map_fd, Consume consume, std::string name) {
  bpf_map_info info{};
  __u32 length = sizeof(info);
  if (bpf_obj_get_info_by_fd(map_fd, &info, &length) != 0)
    return ErrnoError(errno, "ring buffer {}: read its info", name);
  std::unique_ptr<RingReader> reader(new RingReader(std::move(consume), info.max_entries));
  const std::size_t page = PageSize();
  void* const consumer = mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
  if (consumer == MAP_FAILED) return ErrnoError(errno, "map the ring buffer {} into memory", name);
  reader->consumer_ = static_cast<std::uint64_t*>(consumer);
  void* const producer =
      mmap(nullptr, page + 2 * reader->bytes_, PROT_READ, MAP_SHARED, map_fd, static_cast<off_t>(page));
  if (producer == MAP_FAILED) return ErrnoError(errno, "map the ring buffer {} into memory", name);
  reader->producer_ = static_cast<const std::uint64_t*>(producer);
  reader->data_ = static_cast<const char*>(producer) + page;
  return reader;
}

RingReader::~RingReader() {
  if (producer_ != nullptr) munmap(const_cast<std::uint64_t*>(producer_), PageSize() + 2 * bytes_);
  if (consumer_ != nullptr) munmap(consumer_, PageSize());
}

void RingReader::Release(std::uint64_t position) { __atomic_store_n(consumer_, position, __ATOMIC_RELEASE); }

int RingReader::Drain() {
  const std::uint64_t at_once = bytes_ / 64;
  const std::uint64_t begin = __atomic_load_n(consumer_, __ATOMIC_ACQUIRE);
  std::uint64_t position = begin, released = begin;
  int count = 0;
  while (position - begin < bytes_ && position < __atomic_load_n(producer_, __ATOMIC_ACQUIRE)) {
    const char* const record = data_ + (position & (bytes_ - 1));
    const std::uint32_t header = __atomic_load_n(reinterpret_cast<const std::uint32_t*>(record), __ATOMIC_ACQUIRE);
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;  // it is still being written
    const std::uint32_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((header & BPF_RINGBUF_DISCARD_BIT) == 0) {
      consume_(record + BPF_RINGBUF_HDR_SZ, size);
      ++count;
    }
    position += (size + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
    if (position - released < at_once) continue;
    Release(position);
    released = position;
  }
  if (position != released) Release(position);
  return count;
}

}  // namespace sluice::bpf
