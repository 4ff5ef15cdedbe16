#include "testbed/command.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>

namespace sluice::test {
namespace {

using Clock = std::chrono::steady_clock;

// A file in memory that holds `text`, to be read from its start.
StatusOr<Fd> MemoryFile(const std::string& text) {
  Fd fd(::memfd_create("input", MFD_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, "create a file in memory");
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t written = ::pwrite(fd.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (written < 0) return ErrnoError(errno, "write a file in memory");
    done += static_cast<std::size_t>(written);
  }
  return fd;
}

// Appends what can be read before the deadline. False: end of file.
StatusOr<bool> ReadSome(int fd, Clock::time_point deadline, std::string& text) {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now()).count();
  pollfd poll_fd{.fd = fd, .events = POLLIN, .revents = 0};
  const int ready = ::poll(&poll_fd, 1, left > 0 ? static_cast<int>(left) : 0);
  if (ready < 0) return ErrnoError(errno, "poll");
  if (ready == 0) return MakeError(absl::StatusCode::kDeadlineExceeded, "no more output in time");
  char buffer[16384];
  const ssize_t length = ::read(fd, buffer, sizeof(buffer));
  if (length < 0) return ErrnoError(errno, "read output");
  text.append(buffer, static_cast<std::size_t>(length));
  return length > 0;
}

}  // namespace

StatusOr<ChildProcess> ChildProcess::StartWithInput(const Arguments& arguments, int input_fd) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) < 0) return ErrnoError(errno, "create a pipe");
  Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input_fd, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), STDERR_FILENO);
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "start {}", arguments.front());
  return ChildProcess(pid, std::move(read_end), arguments.front());
}

StatusOr<ChildProcess> ChildProcess::Start(const Arguments& arguments) {
  const Fd input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (!input.valid()) return ErrnoError(errno, "open /dev/null");
  return StartWithInput(arguments, input.get());
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      output_(std::move(other.output_)),
      program_(std::move(other.program_)),
      read_(std::move(other.read_)) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    Kill();
    pid_ = std::exchange(other.pid_, -1);
    output_ = std::move(other.output_);
    program_ = std::move(other.program_);
    read_ = std::move(other.read_);
  }
  return *this;
}

ChildProcess::~ChildProcess() { Kill(); }

void ChildProcess::Kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

Status ChildProcess::Signal(int signal) const {
  if (pid_ <= 0) return MakeError(absl::StatusCode::kFailedPrecondition, "{} was waited for already", program_);
  if (::kill(pid_, signal) < 0) return ErrnoError(errno, "send signal {} to {}", signal, program_);
  return OkStatus();
}

StatusOr<std::string> ChildProcess::WaitForOutput(const std::string& text, int seconds) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  const auto waiting = [&] { return fmt::format("{}: wait for \"{}\" in \"{}\"", program_, text, read_); };
  while (read_.find(text) == std::string::npos) {
    const StatusOr<bool> more = ReadSome(output_.get(), deadline, read_);
    if (!more.ok()) return Annotate(more.status(), waiting());
    if (!*more) return MakeError(absl::StatusCode::kAborted, "{}: its output ended", waiting());
  }
  return read_;
}

StatusOr<CommandResult> ChildProcess::Wait(int seconds) {
  const auto deadline = Clock::now() + std::chrono::seconds(seconds);
  for (bool reading = true; reading;) {
    const StatusOr<bool> more = ReadSome(output_.get(), deadline, read_);
    if (!more.ok()) return Annotate(more.status(), fmt::format("{}: wait for its end after \"{}\"", program_, read_));
    reading = *more;
  }
  int status = 0;
  if (::waitpid(std::exchange(pid_, -1), &status, 0) < 0) return ErrnoError(errno, "wait for {}", program_);
  return CommandResult{.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), .output = read_};
}

StatusOr<CommandResult> RunCommand(const Arguments& arguments, const std::string& input, int seconds) {
  SL_ASSIGN_OR_RETURN(const Fd input_file, MemoryFile(input));
  SL_ASSIGN_OR_RETURN(ChildProcess child, ChildProcess::StartWithInput(arguments, input_file.get()));
  return child.Wait(seconds);
}

Status RunChecked(const Arguments& arguments, const std::string& input, int seconds) {
  SL_ASSIGN_OR_RETURN(const CommandResult result, RunCommand(arguments, input, seconds));
  if (result.exit_code == 0) return OkStatus();
  std::string line;
  for (const std::string& argument : arguments) line += argument + " ";
  return MakeError(absl::StatusCode::kInternal, "{}: exit code {}: {}", line, result.exit_code, result.output);
}

}  // namespace sluice::test
