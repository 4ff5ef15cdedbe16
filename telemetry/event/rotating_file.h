// A file of lines that rotates when it is full: PATH, PATH.1 (the newest old one), PATH.2, ...
// Other programs (logrotate) may rename, remove or truncate it at any time: each line goes into the file that has the
// name at that moment. Not thread-safe.
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
    std::uint64_t max_bytes = 64U << 20;  // of one file; a longer line gets its own file
    std::uint32_t max_files = 5;          // including PATH; at least 1
  };

  // Appends to an existing file. A new file is readable only by its owner, because arguments may hold secrets.
  static StatusOr<RotatingFile> Open(Options options);

  // Writes `line` and a line feed. On error, no part of the line is left that looks like a whole line.
  Status Write(std::string_view line);

  // How often another program moved, removed or truncated the file.
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
  std::uint64_t device_ = 0;  // of the open file
  std::uint64_t inode_ = 0;   // of the open file
  std::uint64_t bytes_ = 0;   // its size, when last seen
  bool broken_ = false;       // its last line has no line feed
  std::uint64_t moved_ = 0;
};

}  // namespace sluice::telemetry
