// A file of lines that starts anew when it is full: PATH, then PATH.1 (the newest of the old), PATH.2, ...
// Others may rename, remove or truncate it at any time, as logrotate does: each line goes into the file that has the
// name then. Not thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::telemetry {

class RotatingFile {
 public:
  struct Options {
    std::string path;
    std::uint64_t max_bytes = 64U << 20;  // of one file; a longer line has a file of its own
    std::uint32_t max_files = 5;          // with PATH itself; at least 1
  };

  // Goes on at the end of what is there. Only its owner may read it: arguments hold secrets.
  static StatusOr<RotatingFile> Open(Options options);

  // `line` without its end. All of it or, with an error, nothing that looks like a line is in the file.
  Status Write(std::string_view line);

  // How often somebody else moved, removed or truncated the file.
  std::uint64_t moved() const { return moved_; }

 private:
  explicit RotatingFile(Options options) : options_(std::move(options)) {}
  Status Reopen();
  Status Rotate();
  Status Follow();
  Status Append(std::string_view text);
  std::string OldPath(std::uint32_t number) const;

  Options options_;
  Fd fd_;
  std::uint64_t device_ = 0;  // of the open file, as is:
  std::uint64_t inode_ = 0;
  std::uint64_t bytes_ = 0;  // when last seen
  bool broken_ = false;      // its last line has no end
  std::uint64_t moved_ = 0;
};

}  // namespace sluice::telemetry
