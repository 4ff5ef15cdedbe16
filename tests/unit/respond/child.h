// A child process of the test, and its record as the sensors would send it.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <utility>

#include "telemetry/process/process_tree.h"
#include "tests/unit/telemetry_process/process_records.h"

namespace sluice::respond {

inline Status KillByDescriptor(int pidfd) {
  if (syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, nullptr, 0) == 0) return OkStatus();
  return ErrnoError(errno, "pidfd_send_signal");
}

// Start of the process in nanoseconds since boot, as exactly as /proc says.
inline std::uint64_t BirthOf(pid_t pid) {
  std::ifstream file(fmt::format("/proc/{}/stat", pid));
  std::string line, field;
  std::getline(file, line);
  std::istringstream fields(line.substr(line.rfind(')') + 1));
  for (int i = 3; i <= 22; ++i) fields >> field;
  return std::stoull(field) * (1'000'000'000ULL / static_cast<std::uint64_t>(sysconf(_SC_CLK_TCK)));
}

class Child {
 public:
  // Runs `run` with no files open, and then waits to be killed. The parent goes on when `run` is over.
  explicit Child(const std::function<void()>& run = [] {}) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      // Files of whoever started the test are no evidence of the child's.
      dup2(ends[1], STDIN_FILENO);
      const int none = open("/dev/null", O_RDWR);
      dup2(none, STDOUT_FILENO);
      dup2(none, STDERR_FILENO);
      close_range(STDERR_FILENO + 1, ~0U, 0);
      run();
      close(STDIN_FILENO);
      while (true) pause();
    }
    close(ends[1]);
    char none = 0;
    EXPECT_EQ(read(ends[0], &none, 1), 0);
    close(ends[0]);
  }
  ~Child() {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  pid_t pid() const { return pid_; }
  // The signal that ended it, once it has ended; waits a second at most.
  int Signal() {
    int status = 0;
    for (int i = 0; i < 100; ++i) {
      if (waitpid(pid_, &status, WNOHANG) == pid_) {
        pid_ = -1;
        return WIFSIGNALED(status) ? WTERMSIG(status) : -1;
      }
      usleep(10'000);
    }
    return 0;
  }
  bool IsAlive() const { return kill(pid_, 0) == 0 && waitpid(pid_, nullptr, WNOHANG) == 0; }

 private:
  pid_t pid_ = -1;
};

// Adds the process to `tree` as instance `id`, forked by the instance `parent`.
inline telemetry::ProcessInstance AddTo(telemetry::ProcessTree& tree, pid_t pid, sl_process_id id,
                                        sl_process_id parent = 0) {
  const std::uint64_t birth = BirthOf(pid);
  const auto record = telemetry::DecodeProcessRecord(telemetry::ForkBytes({.id = id,
                                                                           .parent = parent,
                                                                           .pid = static_cast<std::uint32_t>(pid),
                                                                           .start_ns = birth,
                                                                           .birth_ns = birth,
                                                                           .time_ns = birth}));
  EXPECT_TRUE(record.ok()) << record.status();
  auto instance = tree.Apply(*record);
  EXPECT_TRUE(instance.has_value());
  return instance.value_or(telemetry::ProcessInstance());
}

}  // namespace sluice::respond
