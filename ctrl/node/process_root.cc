#include "ctrl/node/process_root.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <deque>
#include <fstream>
#include <sstream>

namespace sluice::node {
namespace {

constexpr int kMaxLinks = 40;  // as the kernel's
constexpr int kMaxSteps = 256;
constexpr std::size_t kMaxMounts = 4096;

// Prefixes of the types of file systems that another program or host serves.
constexpr std::array kServed{"fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "autofs", "glusterfs", "lustre"};

// "/a//b/" -> a, b
void PushFront(const std::string& path, std::deque<std::string>& parts) {
  std::istringstream in(path);
  std::vector<std::string> own;
  for (std::string part; std::getline(in, part, '/');) {
    if (!part.empty() && part != ".") own.push_back(part);
  }
  parts.insert(parts.begin(), own.begin(), own.end());
}

// Mount points that are not entered. A line: "36 35 98:0 /from /to rw,noatime master:1 - ext3 /dev/root rw".
std::optional<std::vector<std::string>> ServedMounts(const std::string& proc) {
  std::ifstream in(proc + "/mountinfo");
  std::vector<std::string> mounts;
  std::size_t count = 0;
  for (std::string line; std::getline(in, line);) {
    if (++count > kMaxMounts) return std::nullopt;
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) return std::nullopt;
    std::istringstream fields(line);
    std::string skipped, point;
    fields >> skipped >> skipped >> skipped >> skipped >> point;
    const std::string type = line.substr(dash + 3);
    if (std::any_of(kServed.begin(), kServed.end(), [&](const char* one) { return type.starts_with(one); }))
      mounts.push_back(point);
  }
  if (count == 0) return std::nullopt;
  return mounts;
}

}  // namespace

StatusOr<ProcessRoot> ProcessRoot::Open(pid_t pid, std::uint64_t mount_namespace) {
  const std::string proc = "/proc/" + std::to_string(pid);
  Fd root(open((proc + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return ErrnoError(errno, "{}/root", proc);
  auto avoided = ServedMounts(proc);
  struct stat found {};
  // Read last: if the namespace is right now, the files above were that process's too.
  if (stat((proc + "/ns/mnt").c_str(), &found) != 0) return ErrnoError(errno, "{}/ns/mnt", proc);
  if (found.st_ino != mount_namespace || !avoided) {
    return MakeError(absl::StatusCode::kNotFound, "{}: it has another mount namespace by now", proc);
  }
  return ProcessRoot(std::move(root), *std::move(avoided));
}

bool ProcessRoot::IsAvoided(const std::string& path) const {
  return std::any_of(avoided_.begin(), avoided_.end(), [&](const std::string& mount) {
    return mount == "/" || path == mount || path.starts_with(mount + "/");
  });
}

// Opens a link itself, not its target.
Fd ProcessRoot::OpenName(const std::string& path) const {
  open_how how{};
  how.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  return Fd(static_cast<int>(syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof(how))));
}

std::optional<ProcessRoot::File> ProcessRoot::Find(const std::string& path) const {
  std::deque<std::string> rest;
  PushFront(path, rest);
  File file;
  Fd name;
  struct stat found {};
  int links = 0;
  for (int steps = 0; !rest.empty(); ++steps) {
    if (steps == kMaxSteps) return std::nullopt;
    const std::string part = std::move(rest.front());
    rest.pop_front();
    if (part == "..") {
      file.path.resize(file.path.empty() ? 0 : file.path.rfind('/'));
      continue;
    }
    const std::string next = file.path + "/" + part;
    if (next.size() >= PATH_MAX || IsAvoided(next)) return std::nullopt;
    name = OpenName(next);
    if (!name.valid() || fstat(name.get(), &found) != 0) return std::nullopt;
    if (!S_ISLNK(found.st_mode)) {
      file.path = next;
      continue;
    }
    std::array<char, PATH_MAX> target{};
    const ssize_t size = readlinkat(name.get(), "", target.data(), target.size());
    if (size <= 0 || ++links > kMaxLinks) return std::nullopt;
    if (target[0] == '/') file.path.clear();
    PushFront({target.data(), static_cast<std::size_t>(size)}, rest);
  }
  if (name.valid() && S_ISREG(found.st_mode)) {
    const Fd content(open(("/proc/self/fd/" + std::to_string(name.get())).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    std::array<char, 2> begin{};
    file.is_script =
        content.valid() && pread(content.get(), begin.data(), 2, 0) == 2 && begin[0] == '#' && begin[1] == '!';
  }
  return file;
}

}  // namespace sluice::node
