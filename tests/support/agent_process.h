// A real sluiced for a test, with its own directories and addresses, and the real sluice client to talk to it.
//   SL_ASSIGN_OR_RETURN(auto agent, AgentProcess::Start({.netns_fd = node.fd()}));
//   SL_RETURN_IF_ERROR(agent->Apply(yaml));
// The programs come from BinDirectory(). Not thread-safe, except Sluice. Start it from a thread that outlives it: the
// agent is killed when that thread ends, so that no test leaves one behind.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "policy/resource/model.h"

namespace sluice::test {

// The directory of sluiced and sluice: $SLUICE_BIN_DIR, else the directory of the running test.
std::string BinDirectory();

struct ClientResult {
  int exit_code = -1;  // 128 + signal when killed
  std::string out;
  std::string err;
};

// Owns the process, its directory under /tmp and its pins; the destructor removes them all.
class AgentProcess {
 public:
  struct Options {
    int netns_fd = -1;                                   // the namespace to run in; -1: the caller's
    std::vector<std::string> before;                     // a command that runs the agent: {"/usr/bin/setpriv", ...}
    std::vector<std::string> args;                       // besides directories and addresses, e.g. {"--uplink", "up0"}
    std::chrono::seconds ready_timeout{90};              // an emulated kernel takes half a minute
    std::function<Status(const AgentProcess&)> prepare;  // prepares its directories before the first start
  };

  // Starts an agent and waits until `sluice status` says that it enforces. An error contains the end of the agent's
  // log.
  static StatusOr<std::unique_ptr<AgentProcess>> Start(Options options);
  ~AgentProcess();
  AgentProcess(const AgentProcess&) = delete;
  AgentProcess& operator=(const AgentProcess&) = delete;

  Status Kill();  // SIGKILL; pins stay
  Status Stop();  // SIGTERM; an error unless it exits with 0
  // After Kill or Stop: starts again with the same directories and `more` arguments; waits until it enforces.
  Status Restart(const std::vector<std::string>& more = {});
  // The same, but waits until `sluice status` says that it is holding.
  Status RestartHolding(const std::vector<std::string>& more = {});
  Status Signal(int number);

  // Runs `sluice --server ... args`. DeadlineExceeded: it did not end in time and was killed.
  StatusOr<ClientResult> Sluice(const std::vector<std::string>& args, const std::string& input = "") const;
  Status Apply(const std::string& yaml) const;  // apply -f -; OK when `yaml` is empty
  Status Delete(const policy::ResourceId& id) const;

  pid_t pid() const { return pid_; }  // -1: not running
  const std::string& directory() const { return directory_; }
  const std::string& bpf_root() const { return bpf_root_; }
  std::string state_dir() const { return directory_ + "/state"; }
  const std::string& api_address() const { return api_; }          // reachable from every network namespace
  const std::string& metrics_address() const { return metrics_; }  // inside its network namespace
  std::string Log() const;                                         // its whole log, including earlier starts

 private:
  explicit AgentProcess(Options options) : options_(std::move(options)) {}

  Status Prepare();
  Status Launch(const std::vector<std::string>& more = {});
  Status AwaitReady(bool holding = false) const;
  StatusOr<int> AwaitExit(std::chrono::milliseconds timeout);  // exit code as in ClientResult
  bool ExitsWithin(std::chrono::milliseconds timeout) const;
  std::vector<std::string> PlaceArguments() const;

  Options options_;
  std::string bin_;
  std::string directory_;
  std::string bpf_root_;
  std::string api_;
  std::string metrics_;
  std::size_t log_begin_ = 0;  // where the log of this start begins
  pid_t pid_ = -1;
  Fd pidfd_;
};

}  // namespace sluice::test
