#include "perf/exec/spawner.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "perf/cpu.h"
#include "perf/own_directory.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// CPU time of the calling thread and of all children that were waited for. The kernel's sums are exact; only the split
// into user and system time is not.
double CpuSeconds() {
  double sum = 0;
  for (const int who : {RUSAGE_THREAD, RUSAGE_CHILDREN}) {
    rusage usage{};
    getrusage(who, &usage);
    for (const timeval& part : {usage.ru_utime, usage.ru_stime})
      sum += static_cast<double>(part.tv_sec) + static_cast<double>(part.tv_usec) * 1e-6;
  }
  return sum;
}

}  // namespace

StatusOr<Spawner> Spawner::OfShortest() { return Of("sluice-bench-exec"); }

StatusOr<Spawner> Spawner::OfOrdinary() { return Of("sluice-bench-true"); }

StatusOr<Spawner> Spawner::Of(const char* name) {
  std::string path = OwnDirectory() + "/" + name;
  if (access(path.c_str(), X_OK) != 0) return ErrnoError(errno, "{}: build the target sluice-bench", path);
  return Spawner(std::move(path));
}

namespace {

struct Outcome {
  Spawner::Spent spent;
  char error[256] = "";  // empty: none
};

}  // namespace

Status Spawner::Live() const {
  char* const arguments[] = {const_cast<char*>(path_.c_str()), nullptr};
  char* const environment[] = {nullptr};
  pid_t child = -1;
  // Uses vfork, so the parent's memory is not copied.
  if (const int error = posix_spawn(&child, path_.c_str(), nullptr, nullptr, arguments, environment); error != 0)
    return ErrnoError(error, "start {}", path_);
  int status = 0;
  if (waitpid(child, &status, 0) != child) return ErrnoError(errno, "wait for {}", path_);
  if (status != 0) return MakeError(absl::StatusCode::kInternal, "{} ended with wait status {}", path_, status);
  return OkStatus();
}

StatusOr<Spawner::Spent> Spawner::RunHere(int instances) const {
  const double cpu_before = CpuSeconds();
  const Clock::time_point start = Clock::now();
  for (int i = 0; i < instances; ++i) SL_RETURN_IF_ERROR(Live());
  const double seconds = SecondsSince(start);
  return Spent{.seconds = seconds, .cpu_seconds = CpuSeconds() - cpu_before};
}

StatusOr<Spawner::Spent> Spawner::Run(int instances) const {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoError(errno, "make a pipe");
  const Fd result(ends[0]);
  Fd told(ends[1]);
  const pid_t child = fork();
  if (child < 0) return ErrnoError(errno, "fork the process that starts {}", path_);
  if (child == 0) {
    Outcome outcome;
    const StatusOr<Spent> spent = RunHere(instances);
    if (spent.ok()) outcome.spent = *spent;
    if (!spent.ok()) Message(spent.status()).copy(outcome.error, sizeof(outcome.error) - 1);
    _exit(write(told.get(), &outcome, sizeof(outcome)) == sizeof(outcome) ? 0 : 1);
  }
  told = Fd();
  Outcome outcome;
  const ssize_t size = read(result.get(), &outcome, sizeof(outcome));
  int status = 0;
  if (waitpid(child, &status, 0) != child) return ErrnoError(errno, "wait for the process that starts {}", path_);
  if (size != sizeof(outcome))
    return MakeError(absl::StatusCode::kInternal, "the process that starts {} ended with wait status {}", path_,
                     status);
  if (outcome.error[0] != 0) return MakeError(absl::StatusCode::kInternal, "{}", outcome.error);
  return outcome.spent;
}

StatusOr<double> Spawner::RunOnThreads(int threads, int instances) const {
  std::vector<Status> results(threads);
  std::vector<std::thread> running;
  const Clock::time_point start = Clock::now();
  for (Status& result : results) {
    running.emplace_back([this, instances, &result] {
      result = RoamFreely();
      for (int i = 0; i < instances && result.ok(); ++i) result = Live();
    });
  }
  for (std::thread& thread : running) thread.join();
  const double seconds = SecondsSince(start);
  for (const Status& result : results) SL_RETURN_IF_ERROR(result);
  return seconds;
}

}  // namespace sluice::perf
