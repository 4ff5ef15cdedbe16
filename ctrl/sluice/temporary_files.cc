#include "ctrl/sluice/temporary_files.h"

#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

extern char** environ;

namespace sluice::client {

StatusOr<TemporaryFiles> TemporaryFiles::Make() {
  const char* const where = std::getenv("TMPDIR");
  std::string path = std::string(where == nullptr || *where == '\0' ? "/tmp" : where) + "/sluice-XXXXXX";
  if (mkdtemp(path.data()) == nullptr) return ErrnoError(errno, "make the directory {}", path);
  return TemporaryFiles(path);
}

TemporaryFiles::TemporaryFiles(TemporaryFiles&& other) noexcept : path_(std::exchange(other.path_, "")) {}

TemporaryFiles::~TemporaryFiles() {
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
}

StatusOr<std::string> TemporaryFiles::Write(const std::string& name, std::string_view text) const {
  std::string path = path_ + "/" + name;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file.flush()) return ErrnoError(errno, "write {}", path);
  return path;
}

StatusOr<std::string> TemporaryFiles::Read(const std::string& name) const {
  const std::string path = path_ + "/" + name;
  std::ifstream file(path, std::ios::binary);
  if (!file) return ErrnoError(errno, "read {}", path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

StatusOr<int> RunProgram(const std::vector<std::string>& arguments) {
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
