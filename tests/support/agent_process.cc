#include "tests/support/agent_process.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace sluice::test {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* kBpfFs = "/sys/fs/bpf";
constexpr std::chrono::milliseconds kReadyInterval{10};
// Under heavy load, a killed agent once took more than 20 s to end.
constexpr std::chrono::seconds kStopTimeout{60};
constexpr std::chrono::seconds kRunTimeout{30};
constexpr int kNotInPlace = 4;  // exit code of `sluice status`
constexpr std::size_t kLogTail = 4000;
constexpr int kExecFailed = 127;

struct Streams {
  int in = -1;
  int out = -1;
  int err = -1;
};

// Forks and executes argv in the namespace. The child dies with the calling thread.
StatusOr<pid_t> Spawn(const std::vector<std::string>& argv, int netns_fd, const Streams& streams) {
  std::vector<char*> raw;
  for (const std::string& argument : argv) raw.push_back(const_cast<char*>(argument.c_str()));
  raw.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return ErrnoError(errno, "fork for {}", argv.front());
  if (pid > 0) return pid;
  // Only async-signal-safe calls from here on.
  std::signal(SIGPIPE, SIG_DFL);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kExecFailed);
  if (netns_fd >= 0 && setns(netns_fd, CLONE_NEWNET) != 0) _exit(kExecFailed);
  if (dup2(streams.in, 0) < 0 || dup2(streams.out, 1) < 0 || dup2(streams.err, 2) < 0) _exit(kExecFailed);
  execv(raw.front(), raw.data());
  _exit(kExecFailed);
}

StatusOr<Fd> PidFd(pid_t pid) {
  Fd fd(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  if (!fd.valid()) return ErrnoError(errno, "pidfd_open of process {}", pid);
  return fd;
}

int ExitCode(int wait_status) {
  return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

struct Pipe {
  Fd read;
  Fd write;
};

StatusOr<Pipe> MakePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe2");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

// Writes `input` and collects both outputs until the child closes them. False: the deadline passed first.
bool Converse(Pipe& in, Pipe& out, Pipe& err, const std::string& input, ClientResult& result,
              Clock::time_point deadline) {
  fcntl(in.write.get(), F_SETFL, O_NONBLOCK);
  std::size_t written = 0;
  std::array<char, 65536> buffer;
  while (out.read.valid() || err.read.valid()) {
    if (written == input.size()) in.write = Fd();
    std::array<pollfd, 3> polled{{{in.write.valid() ? in.write.get() : -1, POLLOUT, 0},
                                  {out.read.valid() ? out.read.get() : -1, POLLIN, 0},
                                  {err.read.valid() ? err.read.get() : -1, POLLIN, 0}}};
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) return false;
    if (poll(polled.data(), polled.size(), static_cast<int>(left)) < 0 && errno != EINTR) return false;
    if (polled[0].revents != 0) {
      const ssize_t sent = write(in.write.get(), input.data() + written, input.size() - written);
      written =
          sent < 0 && errno != EAGAIN ? input.size() : written + static_cast<std::size_t>(std::max<ssize_t>(sent, 0));
    }
    const auto collect = [&](Fd& from, std::string& to) {
      const ssize_t got = read(from.get(), buffer.data(), buffer.size());
      if (got > 0) to.append(buffer.data(), static_cast<std::size_t>(got));
      if (got == 0) from = Fd();
    };
    if (polled[1].revents != 0) collect(out.read, result.out);
    if (polled[2].revents != 0) collect(err.read, result.err);
  }
  return true;
}

Status EnsureBpfFs() {
  struct statfs info {};
  if (statfs(kBpfFs, &info) == 0 && info.f_type == BPF_FS_MAGIC) return OkStatus();
  if (mount("bpf", kBpfFs, "bpf", 0, nullptr) != 0) return ErrnoError(errno, "mount bpf at {}", kBpfFs);
  return OkStatus();
}

StatusOr<int> FreePort() {
  const Fd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(any);
  if (!fd.valid() || bind(fd.get(), reinterpret_cast<sockaddr*>(&any), size) != 0 ||
      getsockname(fd.get(), reinterpret_cast<sockaddr*>(&any), &size) != 0) {
    return ErrnoError(errno, "find a free port");
  }
  return ntohs(any.sin_port);
}

// Without this, SIGPIPE from a command that does not read its input would end the test.
void IgnoreSigPipe() { std::signal(SIGPIPE, SIG_IGN); }

// Runs argv[0] to its end, collecting both outputs.
StatusOr<ClientResult> RunToEnd(const std::vector<std::string>& argv, int netns_fd, const std::string& input) {
  IgnoreSigPipe();
  SL_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  SL_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  SL_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  const Clock::time_point deadline = Clock::now() + kRunTimeout;
  SL_ASSIGN_OR_RETURN(const pid_t pid, Spawn(argv, netns_fd, {in.read.get(), out.write.get(), err.write.get()}));
  in.read = Fd();
  out.write = Fd();
  err.write = Fd();
  ClientResult result;
  const bool ended = Converse(in, out, err, input, result, deadline);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!ended) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "{} did not end within {} s; stderr: {}", argv.front(),
                     kRunTimeout.count(), result.err);
  }
  result.exit_code = ExitCode(status);
  return result;
}

}  // namespace

std::string BinDirectory() {
  const char* bin = std::getenv("SLUICE_BIN_DIR");
  return bin != nullptr ? bin : std::filesystem::canonical("/proc/self/exe").parent_path().string();
}

StatusOr<std::unique_ptr<AgentProcess>> AgentProcess::Start(Options options) {
  std::unique_ptr<AgentProcess> agent(new AgentProcess(std::move(options)));
  SL_RETURN_IF_ERROR(agent->Prepare());
  if (agent->options_.prepare) SL_RETURN_IF_ERROR(agent->options_.prepare(*agent));
  SL_RETURN_IF_ERROR(agent->Restart());
  return agent;
}

Status AgentProcess::Prepare() {
  bin_ = BinDirectory();
  SL_RETURN_IF_ERROR(EnsureBpfFs());
  std::string path = "/tmp/sluice-agent-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "mkdtemp {}", path);
  directory_ = path;
  bpf_root_ = fmt::format("{}/{}", kBpfFs, std::filesystem::path(directory_).filename().string());
  api_ = fmt::format("unix://{}/api.sock", directory_);
  int port = 9464;  // always free in a private namespace
  if (options_.netns_fd < 0) {
    SL_ASSIGN_OR_RETURN(port, FreePort());
  }
  metrics_ = fmt::format("127.0.0.1:{}", port);
  return OkStatus();
}

std::vector<std::string> AgentProcess::PlaceArguments() const {
  return {"--state-dir", directory_ + "/state", "--bpf-root", bpf_root_, "--api", api_, "--metrics", metrics_};
}

Status AgentProcess::Launch(const std::vector<std::string>& more) {
  std::vector<std::string> argv = options_.before;
  argv.push_back(bin_ + "/sluiced");
  std::ranges::copy(PlaceArguments(), std::back_inserter(argv));
  std::ranges::copy(more, std::back_inserter(argv));
  std::ranges::copy(options_.args, std::back_inserter(argv));
  const std::string log = directory_ + "/sluiced.log";
  log_begin_ = Log().size();
  const Fd in(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Fd out(open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!in.valid() || !out.valid()) return ErrnoError(errno, "open {}", log);
  SL_ASSIGN_OR_RETURN(pid_, Spawn(argv, options_.netns_fd, {in.get(), out.get(), out.get()}));
  SL_ASSIGN_OR_RETURN(pidfd_, PidFd(pid_));
  return OkStatus();
}

Status AgentProcess::AwaitReady(bool holding) const {
  const Clock::time_point deadline = Clock::now() + options_.ready_timeout;
  std::string last = "not asked";
  bool exited = false;
  while (!exited && Clock::now() < deadline) {
    exited = ExitsWithin(kReadyInterval);
    // A status call costs up to a tenth of the start, so wait until the agent's log says that it is ready.
    if (Log().find(holding ? "holding;" : "enforcing;", log_begin_) == std::string::npos) continue;
    SL_ASSIGN_OR_RETURN(const ClientResult status, Sluice({"status"}));
    // 4: it enforces and a workload whose interface is missing is closed; or it does not enforce.
    const bool enforces =
        status.exit_code == 0 || (status.exit_code == kNotInPlace && status.out.starts_with("enforcing: "));
    if (holding ? status.err.find("holding") != std::string::npos : enforces) return OkStatus();
    last = status.err + status.out;
  }
  const std::string log = Log();
  return MakeError(absl::StatusCode::kUnavailable, "{}/sluiced {}; sluice status: {}\nend of its log:\n{}", bin_,
                   exited ? "has exited" : "is not ready in time", last,
                   log.substr(log.size() - std::min(log.size(), kLogTail)));
}

Status AgentProcess::Restart(const std::vector<std::string>& more) {
  if (pid_ >= 0) return InvalidError("sluiced (process {}) still runs", pid_);
  SL_RETURN_IF_ERROR(Launch(more));
  return AwaitReady();
}

Status AgentProcess::RestartHolding(const std::vector<std::string>& more) {
  if (pid_ >= 0) return InvalidError("sluiced (process {}) still runs", pid_);
  SL_RETURN_IF_ERROR(Launch(more));
  return AwaitReady(true);
}

bool AgentProcess::ExitsWithin(std::chrono::milliseconds timeout) const {
  pollfd polled{pidfd_.get(), POLLIN, 0};
  return poll(&polled, 1, static_cast<int>(timeout.count())) > 0;
}

StatusOr<int> AgentProcess::AwaitExit(std::chrono::milliseconds timeout) {
  if (!ExitsWithin(timeout)) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "sluiced (process {}) did not exit within {} ms", pid_,
                     timeout.count());
  }
  int status = 0;
  if (waitpid(pid_, &status, 0) != pid_) return ErrnoError(errno, "waitpid {}", pid_);
  pid_ = -1;
  pidfd_ = Fd();
  return ExitCode(status);
}

Status AgentProcess::Signal(int number) {
  if (pid_ < 0) return InvalidError("sluiced does not run: no signal {}", number);
  if (kill(pid_, number) != 0) return ErrnoError(errno, "signal {} to sluiced (process {})", number, pid_);
  return OkStatus();
}

Status AgentProcess::Kill() {
  SL_RETURN_IF_ERROR(Signal(SIGKILL));
  return AwaitExit(kStopTimeout).status();
}

Status AgentProcess::Stop() {
  SL_RETURN_IF_ERROR(Signal(SIGTERM));
  SL_ASSIGN_OR_RETURN(const int code, AwaitExit(kStopTimeout));
  if (code != 0) return MakeError(absl::StatusCode::kInternal, "sluiced exited with {} after SIGTERM", code);
  return OkStatus();
}

AgentProcess::~AgentProcess() {
  if (directory_.empty()) return;
  if (pid_ >= 0) Kill().IgnoreError();  // pins are removed below; a clean stop would only take longer
  std::vector<std::string> uninstall{bin_ + "/sluiced", "--uninstall"};
  std::ranges::copy(PlaceArguments(), std::back_inserter(uninstall));
  RunToEnd(uninstall, options_.netns_fd, "").IgnoreError();
  std::error_code ignored;  // best effort: another test checks uninstall
  std::filesystem::remove_all(bpf_root_, ignored);
  std::filesystem::remove_all(directory_, ignored);
}

StatusOr<ClientResult> AgentProcess::Sluice(const std::vector<std::string>& args, const std::string& input) const {
  std::vector<std::string> argv{bin_ + "/sluice", "--server", api_};
  std::ranges::copy(args, std::back_inserter(argv));
  return RunToEnd(argv, options_.netns_fd, input);
}

Status AgentProcess::Apply(const std::string& yaml) const {
  if (yaml.empty()) return OkStatus();
  SL_ASSIGN_OR_RETURN(const ClientResult result, Sluice({"apply", "-f", "-"}, yaml));
  if (result.exit_code == 0) return OkStatus();
  return MakeError(absl::StatusCode::kInternal, "sluice apply exited with {}: {}{}", result.exit_code, result.err,
                   result.out);
}

Status AgentProcess::Delete(const policy::ResourceId& id) const {
  std::vector<std::string> args{"delete", policy::KindName(id.kind), id.name.name};
  if (!id.name.ns.empty()) args.insert(args.end(), {"-n", id.name.ns});
  SL_ASSIGN_OR_RETURN(const ClientResult result, Sluice(args));
  if (result.exit_code == 0) return OkStatus();
  return MakeError(absl::StatusCode::kInternal, "sluice delete {} exited with {}: {}{}", id.ToString(),
                   result.exit_code, result.err, result.out);
}

std::string AgentProcess::Log() const {
  std::ifstream file(directory_ + "/sluiced.log");
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

}  // namespace sluice::test
