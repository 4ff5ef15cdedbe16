#include "perf/rate/napi_thread.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/fd.h"
#include "kernel/net/netns.h"
#include "perf/cpu.h"
#include "testbed/netns.h"

namespace sluice::perf {
namespace {

// Tasks whose name begins with `name`, ascending.
std::vector<pid_t> Tasks(const std::string& name) {
  std::vector<pid_t> tasks;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string number = entry.path().filename();
    if (number.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string comm;
    if (std::ifstream(entry.path() / "comm") >> comm && comm.starts_with(name)) tasks.push_back(std::stoi(number));
  }
  std::sort(tasks.begin(), tasks.end());
  return tasks;
}

StatusOr<std::uint64_t> TaskRunTime(pid_t task) {
  std::uint64_t nanoseconds = 0;
  if (std::ifstream(fmt::format("/proc/{}/schedstat", task)) >> nanoseconds) return nanoseconds;
  return MakeError(absl::StatusCode::kUnavailable, "cannot read how long the kernel thread {} ran", task);
}

StatusOr<pid_t> SoftirqThread(int cpu) {
  const std::string name = fmt::format("ksoftirqd/{}", cpu);
  for (const pid_t task : Tasks(name)) {
    std::string comm;
    if (std::ifstream(fmt::format("/proc/{}/comm", task)) >> comm && comm == name) return task;
  }
  return MakeError(absl::StatusCode::kNotFound, "there is no {}", name);
}

// A mounted sysfs shows the namespace in which it was mounted. The mount ends with the calling thread.
Status SetThreaded(const std::string& interface) {
  if (unshare(CLONE_NEWNS) != 0 || mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("sysfs", "/sys", "sysfs", 0, nullptr) != 0)
    return ErrnoError(errno, "mount the namespace's sysfs");
  const std::string path = fmt::format("/sys/class/net/{}/threaded", interface);
  const Fd file(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!file.valid() || write(file.get(), "1", 1) != 1) return ErrnoError(errno, "write {}", path);
  return OkStatus();
}

}  // namespace

StatusOr<NapiThread> NapiThread::Start(const std::string& interface, int cpu) {
  // Interfaces in other namespaces have the same name; our thread is the new one.
  const std::string name = fmt::format("napi/{}-", interface);
  const std::vector<pid_t> before = Tasks(name);
  SL_ASSIGN_OR_RETURN(const net::NetNs netns, net::NetNs::OfThisThread());
  SL_RETURN_IF_ERROR(test::RunIn(netns.fd(), [&] { return SetThreaded(interface); }));
  std::vector<pid_t> fresh;
  const std::vector<pid_t> after = Tasks(name);
  std::set_difference(after.begin(), after.end(), before.begin(), before.end(), std::back_inserter(fresh));
  if (fresh.size() != 1)
    return MakeError(absl::StatusCode::kInternal, "{} has {} threads of NAPI, expected 1", interface, fresh.size());
  SL_RETURN_IF_ERROR(Annotate(StayOn(cpu, fresh.front()), name));
  GoFirst(fresh.front());
  SL_ASSIGN_OR_RETURN(const pid_t softirqs, SoftirqThread(cpu));
  return NapiThread(fresh.front(), softirqs);
}

StatusOr<std::uint64_t> NapiThread::RunTime() const {
  SL_ASSIGN_OR_RETURN(const std::uint64_t thread, TaskRunTime(thread_));
  SL_ASSIGN_OR_RETURN(const std::uint64_t softirqs, TaskRunTime(softirqs_));
  return thread + softirqs;
}

StatusOr<std::uint64_t> SoftirqThreadTime(int cpu) {
  static const StatusOr<pid_t> thread = SoftirqThread(cpu);  // one CPU for each process
  SL_RETURN_IF_ERROR(thread.status());
  return TaskRunTime(*thread);
}

}  // namespace sluice::perf
