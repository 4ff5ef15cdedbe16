#include "perf/exec/spawner.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "perf/cpu.h"
#include "perf/own_directory.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

}  // namespace

StatusOr<Spawner> Spawner::Create() {
  std::string path = OwnDirectory() + "/sluice-bench-exec";
  if (access(path.c_str(), X_OK) != 0) return ErrnoError(errno, "{}: build the target sluice-bench", path);
  return Spawner(std::move(path));
}

StatusOr<double> Spawner::Run(int lives) const {
  char* const arguments[] = {const_cast<char*>(path_.c_str()), nullptr};
  char* const environment[] = {nullptr};
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < lives; ++i) {
    pid_t child = -1;
    // vfork inside: the parent's memory is not copied.
    if (const int error = posix_spawn(&child, path_.c_str(), nullptr, nullptr, arguments, environment); error != 0)
      return ErrnoError(error, "start {}", path_);
    int status = 0;
    if (waitpid(child, &status, 0) != child) return ErrnoError(errno, "wait for {}", path_);
    if (status != 0) return MakeError(absl::StatusCode::kInternal, "{} ended with wait status {}", path_, status);
  }
  return SecondsSince(start);
}

StatusOr<double> Spawner::RunOnThreads(int threads, int lives) const {
  std::vector<Status> results(threads);
  std::vector<std::thread> running;
  const Clock::time_point start = Clock::now();
  for (Status& result : results) {
    running.emplace_back([this, lives, &result] {
      result = RoamFreely();
      if (result.ok()) result = Run(lives).status();
    });
  }
  for (std::thread& thread : running) thread.join();
  const double seconds = SecondsSince(start);
  for (const Status& result : results) SL_RETURN_IF_ERROR(result);
  return seconds;
}

}  // namespace sluice::perf
