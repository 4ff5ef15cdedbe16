#include "ctrl/cni/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "base/fd.h"

namespace sluice::cni {
namespace {

std::pair<std::string, std::string> SplitPath(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return {".", path};
  return {slash == 0 ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

Status WriteAll(int fd, std::string_view content, const std::string& path) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return ErrnoError(errno, "write {}", path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return OkStatus();
}

Status WriteTemporary(const std::string& path, std::string_view content, mode_t mode, std::optional<FileOwner> owner) {
  unlink(path.c_str());
  const Fd fd(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return ErrnoError(errno, "create {}", path);
  SL_RETURN_IF_ERROR(WriteAll(fd.get(), content, path));
  if (owner && fchown(fd.get(), owner->user, owner->group) != 0) return ErrnoError(errno, "change owner of {}", path);
  if (fchmod(fd.get(), mode) != 0) return ErrnoError(errno, "change mode of {}", path);
  if (fsync(fd.get()) != 0) return ErrnoError(errno, "sync {}", path);
  return OkStatus();
}

}  // namespace

StatusOr<std::string> ReadWholeFile(const std::string& path, std::size_t limit) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "open {}", path);
  std::string content;
  char part[16384];
  while (true) {
    const ssize_t size = read(fd.get(), part, sizeof(part));
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return ErrnoError(errno, "read {}", path);
    if (size == 0) return content;
    content.append(part, static_cast<std::size_t>(size));
    if (content.size() > limit) {
      return MakeError(absl::StatusCode::kResourceExhausted, "{}: more than {} bytes", path, limit);
    }
  }
}

Status ReplaceFile(const std::string& path, std::string_view content, mode_t mode, std::optional<FileOwner> owner) {
  const auto [directory, name] = SplitPath(path);
  const std::string temporary = directory + "/.sluice-cni." + name + ".tmp";
  Status status = WriteTemporary(temporary, content, mode, owner);
  if (status.ok() && rename(temporary.c_str(), path.c_str()) != 0) {
    status = ErrnoError(errno, "rename {} to {}", temporary, path);
  }
  if (!status.ok()) {
    unlink(temporary.c_str());
    return status;
  }
  return SyncDirectory(directory);
}

Status SyncDirectory(const std::string& directory) {
  const Fd fd(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return ErrnoError(errno, "sync {}", directory);
  return OkStatus();
}

}  // namespace sluice::cni
