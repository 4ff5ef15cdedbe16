// A BPF array with BPF_F_MMAPABLE, of which a part is mapped only while in use, to keep RSS low.
//   ArrayWindow flows(fd, "flows", 0, bytes, 1 << 20);
//   SL_ASSIGN_OR_RETURN(char* const flow, flows.At(slot * sizeof(sl_flow), sizeof(sl_flow))); Does not own the
// descriptor. For one thread at a time.
#pragma once

#include <cstddef>

#include "base/status.h"

namespace sluice::datapath {

// Maps the first `bytes` of such an array; the caller unmaps them with munmap. The kernel rounds up to whole pages.
StatusOr<void*> MapArray(int fd, const char* name, std::size_t bytes);

class ArrayWindow {
 public:
  // Bytes from `begin` to `end` of the array, about `window` of them at a time. `name` must outlive this.
  ArrayWindow(int fd, const char* name, std::size_t begin, std::size_t end, std::size_t window)
      : fd_(fd), name_(name), begin_(begin), end_(end), window_(window) {}
  ~ArrayWindow() { Unmap(); }
  ArrayWindow(const ArrayWindow&) = delete;
  ArrayWindow& operator=(const ArrayWindow&) = delete;

  // `size` bytes from `offset` on, which is not below `begin`. Valid until the next call.
  StatusOr<char*> At(std::size_t offset, std::size_t size) {
    if (offset < first_ || offset + size > first_ + size_) SL_RETURN_IF_ERROR(MapFrom(offset, size));
    return memory_ + (offset - first_);
  }

 private:
  Status MapFrom(std::size_t offset, std::size_t size);
  void Unmap();

  const int fd_;
  const char* const name_;
  const std::size_t begin_, end_, window_;  // in bytes, as the members below
  std::size_t first_ = 0, size_ = 0;
  char* memory_ = nullptr;
};

}  // namespace sluice::datapath
