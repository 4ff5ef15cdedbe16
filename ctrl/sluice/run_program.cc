#include "ctrl/sluice/run_program.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/fd.h"
#include "base/printable.h"

namespace sluice::client {
namespace {

// With what a user's PATH may lack.
std::string FindProgram(const std::string& program) {
  const char* path = std::getenv("PATH");
  std::string directories = std::string(path == nullptr ? "/usr/bin:/bin" : path) + ":/usr/sbin:/sbin";
  for (std::size_t begin = 0; begin <= directories.size();) {
    const std::size_t end = std::min(directories.find(':', begin), directories.size());
    std::string candidate = directories.substr(begin, end - begin) + "/" + program;
    if (candidate.front() == '/' && access(candidate.c_str(), X_OK) == 0) return candidate;
    begin = end + 1;
  }
  return "";
}

StatusOr<pid_t> Start(const std::string& program, std::vector<std::string>& arguments, const std::string& file) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, file.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return ErrnoError(error, "start {}", program);
  return pid;
}

std::string FirstLineOf(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return Printable(line);
}

}  // namespace

Status RunIntoFile(std::vector<std::string> arguments, const std::string& file, std::chrono::seconds patience) {
  const std::string name = arguments.front();
  const std::string program = FindProgram(name);
  if (program.empty()) return MakeError(absl::StatusCode::kNotFound, "{} is not installed", name);
  SL_ASSIGN_OR_RETURN(const pid_t pid, Start(program, arguments, file));
  const Fd handle(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
  pollfd ended{.fd = handle.get(), .events = POLLIN, .revents = 0};
  const auto milliseconds = std::chrono::milliseconds(patience).count();
  const bool is_late = handle.valid() && poll(&ended, 1, static_cast<int>(milliseconds)) == 0;
  if (is_late) kill(pid, SIGKILL);
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return ErrnoError(errno, "wait for {}", name);
  if (is_late) {
    return MakeError(absl::StatusCode::kDeadlineExceeded, "{} did not end within {} s", name, patience.count());
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return OkStatus();
  return MakeError(absl::StatusCode::kUnknown, "{} failed: {}", name, FirstLineOf(file));
}

StatusOr<int> RunInTerminal(const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  sigset_t usual;
  sigemptyset(&usual);
  sigaddset(&usual, SIGINT);
  sigaddset(&usual, SIGPIPE);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  posix_spawnattr_setsigdefault(&attributes, &usual);
  const auto before = std::signal(SIGINT, SIG_IGN);  // Ctrl-C is for the program, as an editor
  pid_t child = 0;
  const int error = posix_spawnp(&child, argv[0], nullptr, &attributes, argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  int state = 0;
  if (error == 0) {
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) {
    }
  }
  std::signal(SIGINT, before);
  if (error != 0) return ErrnoError(error, "run {}", words.front());
  if (WIFEXITED(state)) return WEXITSTATUS(state);
  return MakeError(absl::StatusCode::kAborted, "{}: ended by signal {}", words.front(), WTERMSIG(state));
}

}  // namespace sluice::client
