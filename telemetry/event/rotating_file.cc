#include "telemetry/event/rotating_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice::telemetry {

StatusOr<RotatingFile> RotatingFile::Open(Options options) {
  if (options.max_files == 0) return InvalidError("{}: at least one file must be kept", options.path);
  RotatingFile file(std::move(options));
  SL_RETURN_IF_ERROR(file.Reopen());
  return file;
}

Status RotatingFile::Reopen() {
  // O_NONBLOCK: if the path is a pipe, do not wait for a reader.
  fd_ = Fd(open(options_.path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd_.valid()) return ErrnoError(errno, "open {}", options_.path);
  struct stat facts {};
  if (fstat(fd_.get(), &facts) != 0) return ErrnoError(errno, "stat {}", options_.path);
  if (!S_ISREG(facts.st_mode)) {
    fd_ = Fd();
    return InvalidError("{}: not a regular file", options_.path);
  }
  device_ = facts.st_dev;
  inode_ = facts.st_ino;
  bytes_ = static_cast<std::uint64_t>(facts.st_size);
  // An agent may have stopped in the middle of a line.
  char last = '\n';
  broken_ = bytes_ != 0 && pread(fd_.get(), &last, 1, facts.st_size - 1) == 1 && last != '\n';
  return OkStatus();
}

// Switches to the file that has the name now, and reads its size.
Status RotatingFile::Follow() {
  if (!fd_.valid()) return Reopen();
  struct stat named {};
  if (stat(options_.path.c_str(), &named) != 0 || named.st_dev != device_ || named.st_ino != inode_) {
    moved_++;
    return Reopen();
  }
  const auto size = static_cast<std::uint64_t>(named.st_size);
  if (size < bytes_) {
    moved_++;
    return Reopen();
  }
  bytes_ = size;
  return OkStatus();
}

std::string RotatingFile::OldPath(std::uint32_t number) const {
  return number == 0 ? options_.path : options_.path + "." + std::to_string(number);
}

Status RotatingFile::Rotate() {
  fd_ = Fd();
  if (options_.max_files == 1 && unlink(options_.path.c_str()) != 0 && errno != ENOENT) {
    return ErrnoError(errno, "remove {}", options_.path);
  }
  for (std::uint32_t number = options_.max_files - 1; number > 0; --number) {
    const std::string from = OldPath(number - 1);
    if (std::rename(from.c_str(), OldPath(number).c_str()) != 0 && errno != ENOENT) {
      return ErrnoError(errno, "rename {}", from);
    }
  }
  return Reopen();
}

Status RotatingFile::Write(std::string_view line) {
  SL_RETURN_IF_ERROR(Follow());
  if (bytes_ != 0 && bytes_ + line.size() + 1 > options_.max_bytes) SL_RETURN_IF_ERROR(Rotate());
  return Append((broken_ ? "\n" : "") + std::string(line) + "\n");
}

Status RotatingFile::Append(std::string_view text) {
  std::size_t written = 0;
  while (written < text.size()) {
    const ssize_t size = write(fd_.get(), text.data() + written, text.size() - written);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      Status failed = ErrnoError(size == 0 ? ENOSPC : errno, "write {}", options_.path);
      // Remove the partial line, unless another program truncated the file meanwhile: then ftruncate would make it
      // longer. In that case the rest of the line gets a line feed before the next one.
      struct stat now {};
      const bool as_left = fstat(fd_.get(), &now) == 0 && static_cast<std::uint64_t>(now.st_size) == bytes_ + written;
      if (written != 0 && (!as_left || ftruncate(fd_.get(), static_cast<off_t>(bytes_)) != 0)) fd_ = Fd();
      return failed;
    }
    written += static_cast<std::size_t>(size);
  }
  bytes_ += text.size();
  broken_ = false;
  return OkStatus();
}

}  // namespace sluice::telemetry
