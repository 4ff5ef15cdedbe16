#include "kernel/net/netns.h"

#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

namespace sluice::net {
namespace {

constexpr int kSoNetNsCookie = 71;  // SO_NETNS_COOKIE, which older headers lack

}  // namespace

StatusOr<NetNs> NetNs::Open(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) {
    return MakeError(absl::StatusCode::kNotFound, "network namespace {} does not exist", path);
  }
  if (!fd.valid()) return ErrnoError(errno, "open network namespace {}", path);
  if (::ioctl(fd.get(), NS_GET_NSTYPE) != CLONE_NEWNET) return InvalidError("{} is not a network namespace", path);
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return ErrnoError(errno, "stat network namespace {}", path);
  return NetNs(std::move(fd), {.device = status.st_dev, .inode = status.st_ino});
}

StatusOr<NetNs::Identity> NetNs::IdentityOf(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) < 0) return ErrnoError(errno, "stat network namespace {}", path);
  return Identity{.device = status.st_dev, .inode = status.st_ino};
}

StatusOr<NetNs> NetNs::OfThisThread() { return Open("/proc/thread-self/ns/net"); }

StatusOr<std::uint64_t> NetNsCookie(int socket) {
  std::uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (::getsockopt(socket, SOL_SOCKET, kSoNetNsCookie, &cookie, &size) == 0) return cookie;
  if (errno == ENOPROTOOPT) return 0U;
  return ErrnoError(errno, "read the number of a network namespace");
}

bool HasNetNsCookies() {
  const Fd any(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return any.valid() && NetNsCookie(any.get()).value_or(0) != 0;
}

}  // namespace sluice::net
