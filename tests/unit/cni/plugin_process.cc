#include "tests/unit/cni/plugin_process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "base/fd.h"
#include "tests/support/agent_process.h"

namespace sluice::test {
namespace {

namespace fs = std::filesystem;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

std::string PluginPath() { return BinDirectory() + "/sluice-cni"; }

PluginRun RunPluginProcess(const std::map<std::string, std::string>& environment, const std::string& input,
                           const std::vector<std::string>& arguments) {
  const ScratchDirectory files;
  files.Write("in", input);
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment) variables.push_back(name + "=" + value);
  std::vector<std::string> words{PluginPath()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const auto argv = Pointers(words), envp = Pointers(variables);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, files.path("in").c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, files.path("out").c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_addopen(&actions, 2, files.path("err").c_str(), O_WRONLY | O_CREAT, 0600);
  pid_t pid = -1;
  const int error = posix_spawn(&pid, words.front().c_str(), &actions, nullptr, argv.data(), envp.data());
  posix_spawn_file_actions_destroy(&actions);
  PluginRun run;
  if (error != 0) {
    run.err = "start " + words.front() + ": error " + std::to_string(error);
    return run;
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run.out = ReadText(files.path("out"));
  run.err = ReadText(files.path("err"));
  return run;
}

ScratchDirectory::ScratchDirectory() {
  // In memory where there is such a place: what is tested syncs a lot.
  const fs::path memory = "/dev/shm";
  const fs::path place = access(memory.c_str(), W_OK) == 0 ? memory : fs::temp_directory_path();
  std::string pattern = (place / "sluice-cni-XXXXXX").string();
  path_ = mkdtemp(pattern.data()) == nullptr ? "" : pattern;
}

ScratchDirectory::~ScratchDirectory() {
  std::error_code error;
  if (!path_.empty()) fs::remove_all(path_, error);
}

void ScratchDirectory::Write(const std::string& name, const std::string& text) const {
  fs::create_directories(fs::path(path(name)).parent_path());
  std::ofstream(path(name)) << text;
}

std::string ScratchDirectory::Read(const std::string& name) const { return ReadText(path(name)); }

std::vector<std::string> ScratchDirectory::List(const std::string& name) const {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(path(name), error)) names.push_back(file.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace sluice::test
