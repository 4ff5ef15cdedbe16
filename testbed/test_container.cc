#include "testbed/test_container.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <sstream>

#include "base/fd.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kPatience{30};

void Mount(const char* source, const std::string& where, const char* type, const char* options) {
  Check(mount(source, where.c_str(), type, 0, options) == 0, where.c_str());
}

void MakeDirectory(const std::string& path) { Check(mkdir(path.c_str(), 0755) == 0 || errno == EEXIST, path.c_str()); }

void MakeDevices(const std::string& root) {
  Mount("tmpfs", root + "/dev", "tmpfs", "mode=755");
  for (const auto& [name, number] : {std::pair{"null", 3U}, {"zero", 5U}, {"urandom", 9U}})
    Check(mknod((root + "/dev/" + name).c_str(), S_IFCHR | 0666, makedev(1, number)) == 0, name);
  MakeDirectory(root + "/dev/shm");
  Mount("shm", root + "/dev/shm", "tmpfs", "mode=1777");
  MakeDirectory(root + "/dev/pts");
  Mount("devpts", root + "/dev/pts", "devpts", "newinstance,ptmxmode=0666");
  Check(symlink("pts/ptmx", (root + "/dev/ptmx").c_str()) == 0, "/dev/ptmx");
}

// The layers are in memory: a directory of the machine's own root cannot be a layer beside it.
void MakeRoot(const TestContainer& container) {
  Check(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "own mounts");
  const std::string& at = container.directory;
  const std::string root = at + "/root";
  Mount("tmpfs", at, "tmpfs", "mode=755");
  for (const char* const one : {"/image", "/upper", "/work", "/root"}) MakeDirectory(at + one);
  fs::create_directories(at + "/image/usr/local/bin");
  for (const auto& [name, from] : container.programs) fs::copy_file(from, at + "/image/usr/local/bin/" + name);
  Mount("overlay", root, "overlay",
        fmt::format("lowerdir={0}/image:/,upperdir={0}/upper,workdir={0}/work", at).c_str());
  Mount("proc", root + "/proc", "proc", "");
  for (const char* const one : {"/run", "/tmp"}) Mount("tmpfs", root + one, "tmpfs", "mode=1777");
  MakeDevices(root);
  Check(chdir(root.c_str()) == 0, "its root");
  Check(syscall(SYS_pivot_root, ".", ".") == 0, "pivot_root");
  Check(umount2(".", MNT_DETACH) == 0, "the machine's root");
  Check(chdir("/") == 0, "/");
}

int WaitFor(pid_t pid) {
  int status = -1;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

void EnterCgroup(const std::string& directory) {
  const Fd procs(open((directory + "/cgroup.procs").c_str(), O_WRONLY | O_CLOEXEC));
  Check(procs.valid() && write(procs.get(), "0", 1) == 1, "its cgroup");
}

[[noreturn]] void RunInside(const TestContainer& container, const std::function<void(const ContainerNotes&)>& body,
                            const ContainerNotes& notes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  Check(setns(container.netns_fd, CLONE_NEWNET) == 0, "the pod's network namespace");
  if (container.cgroup.empty()) {
    body(notes);
    _exit(0);
  }
  EnterCgroup(container.cgroup);
  Check(unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) == 0, "namespaces");
  const pid_t first = fork();
  if (first == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    MakeRoot(container);
    body(notes);
    _exit(0);
  }
  const int status = WaitFor(first);
  _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

// All that is written until the last writer ends.
std::string ReadAll(int fd, std::chrono::steady_clock::time_point deadline) {
  std::string text;
  for (;;) {
    pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || poll(&ready, 1, static_cast<int>(left.count())) <= 0) return text;
    char bytes[4096];
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    if (size <= 0) return text;
    text.append(bytes, static_cast<std::size_t>(size));
  }
}

std::map<std::string, std::string> ParseNotes(const std::string& text) {
  std::map<std::string, std::string> notes;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (const std::size_t equals = line.find('='); equals != std::string::npos)
      notes[line.substr(0, equals)] = line.substr(equals + 1);
  }
  return notes;
}

}  // namespace

void ContainerNotes::Note(const std::string& key, const std::string& value) const {
  const std::string line = key + "=" + value + "\n";
  Check(write(fd_, line.data(), line.size()) == static_cast<ssize_t>(line.size()), "a note");
}

void Check(bool ok, const char* what) {
  if (ok) return;
  dprintf(STDERR_FILENO, "in the container: %s: %s\n", what, std::strerror(errno));
  _exit(9);
}

StatusOr<std::map<std::string, std::string>> RunInContainer(const TestContainer& container,
                                                            const std::function<void(const ContainerNotes&)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  const Fd reader(ends[0]);
  Fd writer(ends[1]);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  const pid_t child = fork();
  if (child < 0) return ErrnoError(errno, "fork");
  if (child == 0) RunInside(container, body, ContainerNotes(writer.get()));
  writer = Fd();
  const std::string text = ReadAll(reader.get(), deadline);
  if (std::chrono::steady_clock::now() >= deadline) kill(child, SIGKILL);
  const int status = WaitFor(child);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    return MakeError(absl::StatusCode::kInternal, "it ended with {} {}", WIFEXITED(status) ? "code" : "signal",
                     WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
  return ParseNotes(text);
}

}  // namespace sluice::test
