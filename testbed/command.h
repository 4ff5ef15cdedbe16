// Running programs from tests: once to its end, or in the background for as long as the object lives.
// A child gets the network namespace of the calling thread; see TestNode::Run to be in one.
#pragma once

#include <sys/types.h>

#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::test {

using Arguments = std::vector<std::string>;  // program (searched in PATH) and its arguments

struct CommandResult {
  int exit_code = -1;  // 128 + signal when a signal ended it
  std::string output;  // standard output and error, as they came
};

// Runs to the end with `input` on standard input. DeadlineExceeded (and the child is killed) after `seconds`.
StatusOr<CommandResult> RunCommand(const Arguments& arguments, const std::string& input = {}, int seconds = 30);

// Like RunCommand, but a non-zero exit code is an error that holds the output.
Status RunChecked(const Arguments& arguments, const std::string& input = {}, int seconds = 30);

// A background program; killed and reaped in the destructor. Move-only; for one thread at a time.
class ChildProcess {
 public:
  static StatusOr<ChildProcess> Start(const Arguments& arguments);

  ChildProcess(ChildProcess&& other) noexcept;
  ChildProcess& operator=(ChildProcess&& other) noexcept;
  ~ChildProcess();

  pid_t pid() const { return pid_; }                 // -1 once it was waited for
  const std::string& read() const { return read_; }  // the output so far
  Status Signal(int signal) const;
  // Reads output until it contains `text`, such as a server's ready line. Returns all output so far.
  StatusOr<std::string> WaitForOutput(const std::string& text, int seconds = 10);
  // Waits until the program ends by itself; `output` is all that it ever wrote.
  StatusOr<CommandResult> Wait(int seconds = 30);

 private:
  friend StatusOr<CommandResult> RunCommand(const Arguments& arguments, const std::string& input, int seconds);
  ChildProcess(pid_t pid, Fd output, std::string program)
      : pid_(pid), output_(std::move(output)), program_(std::move(program)) {}
  static StatusOr<ChildProcess> StartWithInput(const Arguments& arguments, int input_fd);
  void Kill();

  pid_t pid_ = -1;
  Fd output_;
  std::string program_;
  std::string read_;
};

}  // namespace sluice::test
