#include "kernel/bpf/iterator.h"

#include <unistd.h>

#include <cerrno>

namespace sluice::bpf {

Status ReadIterator(int fd, const std::function<void(std::string_view)>& consume) {
  char part[4096];
  while (true) {
    const ssize_t size = read(fd, part, sizeof(part));
    if (size == 0) return OkStatus();
    if (size > 0) {
      consume({part, static_cast<std::size_t>(size)});
    } else if (errno != EAGAIN && errno != EINTR) {
      return ErrnoError(errno, "read from an iterator");
    }
  }
}

}  // namespace sluice::bpf
