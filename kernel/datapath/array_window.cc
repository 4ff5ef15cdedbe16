#include "kernel/datapath/array_window.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>

#include "kernel/bpf/system.h"

namespace sluice::datapath {
namespace {

std::size_t UpToPage(std::size_t bytes) { return (bytes + bpf::PageSize() - 1) / bpf::PageSize() * bpf::PageSize(); }

}  // namespace

StatusOr<void*> MapArray(int fd, const char* name, std::size_t bytes) {
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (memory == MAP_FAILED) return ErrnoError(errno, "map {} bytes of {} into memory", bytes, name);
  return memory;
}

Status ArrayWindow::MapFrom(std::size_t offset, std::size_t size) {
  Unmap();
  const bool all = window_ >= end_ - begin_;
  const std::size_t first = (all ? begin_ : offset) / bpf::PageSize() * bpf::PageSize();
  const std::size_t wanted = std::max(all ? end_ - first : window_, offset - first + size);
  const std::size_t bytes = std::min(UpToPage(wanted), UpToPage(end_) - first);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, static_cast<off_t>(first));
  if (memory == MAP_FAILED) return ErrnoError(errno, "map {} bytes of {} into memory", bytes, name_);
  memory_ = static_cast<char*>(memory);
  first_ = first;
  size_ = bytes;
  return OkStatus();
}

void ArrayWindow::Unmap() {
  if (size_ != 0) munmap(memory_, size_);
  size_ = 0;
}

}  // namespace sluice::datapath
