#include "base/output.h"

#include <cerrno>
#include <cstdio>

namespace sluice {

Status WriteOut(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return OkStatus();
  if (errno == EPIPE) return MakeError(absl::StatusCode::kCancelled, "the reader of standard output has gone");
  return ErrnoError(errno, "write standard output");
}

}  // namespace sluice
