#include "kernel/datapath/held_pins.h"

#include <sys/resource.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>

#include "kernel/bpf/link.h"

namespace sluice::datapath {
namespace {

namespace fs = std::filesystem;

constexpr int kReserve = 256;  // descriptors left for the rest of the process

std::uint64_t Inode(const std::string& path) {
  struct stat info {};
  return lstat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

bool IsScarce(int fd) {
  rlimit limit{};
  return getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
         static_cast<rlim_t>(fd) + kReserve > limit.rlim_cur;
}

}  // namespace

void HeldPins::Hold(const std::string& path, Fd fd) {
  if (IsScarce(fd.get())) fd = Fd();
  held_[path] = {std::move(fd), Inode(path)};
}

void HeldPins::ReleaseAll(const std::string& directory) {
  std::erase_if(held_, [&](const auto& one) { return one.first.starts_with(directory + "/"); });
}

Status HeldPins::HoldAll(const std::string& directory) {
  ReleaseAll(directory);
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(directory, error)) {
    if (entry.is_directory()) continue;
    SL_ASSIGN_OR_RETURN(Fd fd, bpf::OpenPinned(entry.path()));
    Hold(entry.path(), std::move(fd));
  }
  if (error && error != std::errc::no_such_file_or_directory) return ErrnoError(error.value(), "list {}", directory);
  return OkStatus();
}

int HeldPins::fd(const std::string& path) const {
  const auto found = held_.find(path);
  return found == held_.end() ? -1 : found->second.fd.get();
}

StatusOr<int> HeldPins::PutBack() {
  int put_back = 0;
  for (auto& [path, held] : held_) {
    if (Inode(path) == held.inode && held.inode != 0) continue;
    if (!held.fd.valid()) continue;  // its owner attaches it again
    std::error_code error;
    fs::create_directories(fs::path(path).parent_path(), error);
    if (error) return ErrnoError(error.value(), "create {}", fs::path(path).parent_path().string());
    SL_RETURN_IF_ERROR(bpf::PinAt(held.fd.get(), path));
    held.inode = Inode(path);
    ++put_back;
  }
  return put_back;
}

}  // namespace sluice::datapath
