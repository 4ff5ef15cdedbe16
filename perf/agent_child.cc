#include "perf/agent_child.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>

#include "base/fd.h"
#include "perf/orderly_end.h"
#include "perf/own_directory.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::minutes(10);
constexpr auto kLook = std::chrono::milliseconds(200);  // how often to check for its death or for the end of the run

// The socket that the agent's sd_notify(3) sends to.
StatusOr<Fd> ListenForReady(const std::string& path) {
  unlink(path.c_str());
  Fd fd(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  if (path.size() >= sizeof(address.sun_path)) return InvalidError("{}: too long for a socket", path);
  path.copy(address.sun_path, path.size());
  if (!fd.valid() || bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0)
    return ErrnoError(errno, "listen on {}", path);
  return fd;
}

}  // namespace

StatusOr<std::unique_ptr<AgentChild>> AgentChild::Start(const Scratch& scratch,
                                                        const std::vector<std::string>& arguments) {
  const std::string socket = scratch.directory() + "/ready", log = scratch.directory() + "/log";
  SL_ASSIGN_OR_RETURN(const Fd ready, ListenForReady(socket));
  std::vector<std::string> words = {OwnDirectory() + "/sluiced",
                                    "--state-dir",
                                    scratch.state_dir(),
                                    "--bpf-root",
                                    scratch.bpf_root(),
                                    "--api",
                                    "unix://" + scratch.directory() + "/api"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  std::string notify = "NOTIFY_SOCKET=" + socket;
  char* const environment[] = {notify.data(), nullptr};
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);

  std::unique_ptr<AgentChild> agent(new AgentChild);
  const Clock::time_point start = Clock::now();
  const int error = posix_spawn(&agent->pid_, argv[0], &files, nullptr, argv.data(), environment);
  posix_spawn_file_actions_destroy(&files);
  if (error != 0) {
    agent->pid_ = -1;
    return ErrnoError(error, "start {}: build the target sluiced", words[0]);
  }
  if (Status status = agent->AwaitReady(ready.get()); !status.ok()) {
    std::ifstream text(log);
    return Annotate(status, fmt::format("sluiced: {}", std::string(std::istreambuf_iterator<char>(text), {})));
  }
  agent->start_ms_ = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
  return agent;
}

Status AgentChild::AwaitReady(int socket) const {
  for (const Clock::time_point give_up = Clock::now() + kPatience; Clock::now() < give_up;) {
    SL_RETURN_IF_ERROR(OrderlyEnd::Check());
    pollfd polled{.fd = socket, .events = POLLIN, .revents = 0};
    poll(&polled, 1, static_cast<int>(kLook.count()));
    char message[256];
    const ssize_t size = recv(socket, message, sizeof(message), MSG_DONTWAIT);
    if (size > 0 && std::string(message, static_cast<std::size_t>(size)).find("READY=1") != std::string::npos)
      return OkStatus();
    siginfo_t ended{};
    if (waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 && ended.si_pid == pid_)
      return MakeError(absl::StatusCode::kInternal, "it ended with {}", ended.si_status);
  }
  return MakeError(absl::StatusCode::kDeadlineExceeded, "not ready in {} minutes", kPatience.count());
}

AgentChild::~AgentChild() {
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Status AgentChild::Stop() {
  kill(pid_, SIGTERM);
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, 0);
  pid_ = -1;
  if (ended < 0 || status != 0)
    return MakeError(absl::StatusCode::kInternal, "sluiced ended with wait status {}", status);
  return OkStatus();
}

StatusOr<double> AgentChild::ResidentBytes() const {
  std::ifstream statm(fmt::format("/proc/{}/statm", pid_));
  double total = 0, resident = 0;
  if (!(statm >> total >> resident)) return ErrnoError(errno, "read the memory of process {}", pid_);
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

StatusOr<double> AgentChild::ResidentMapBytes() const {
  std::ifstream smaps(fmt::format("/proc/{}/smaps", pid_));
  double kilobytes = 0;
  bool is_map = false, any = false;
  for (std::string line; std::getline(smaps, line); any = true) {
    if (line.find('-') < line.find(' ')) is_map = line.ends_with("anon_inode:bpf-map");  // first line of a mapping
    if (is_map && line.starts_with("Rss:")) kilobytes += std::strtod(line.c_str() + 4, nullptr);
  }
  if (!any) return ErrnoError(errno, "read the mappings of process {}", pid_);
  return kilobytes * 1024;
}

StatusOr<double> AgentChild::CpuSeconds() const {
  clockid_t clock;
  timespec time{};
  if (const int error = clock_getcpuclockid(pid_, &clock); error != 0)
    return ErrnoError(error, "find the clock of process {}", pid_);
  if (clock_gettime(clock, &time) != 0) return ErrnoError(errno, "read the clock of process {}", pid_);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

}  // namespace sluice::perf
