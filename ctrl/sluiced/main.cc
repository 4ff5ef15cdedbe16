#include <sys/resource.h>

#include <csignal>

#include "ctrl/base/log.h"
#include "ctrl/sluiced/agent.h"
#include "ctrl/sluiced/notify.h"

namespace {

int Fail(const sluice::Status& status) {
  sluice::LogError("{}", sluice::Message(status));
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

// Each link that is attached is held by a descriptor: as many as are allowed.
void RaiseFileLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

int main(int argc, char** argv) {
  sluice::AgentOptions options;
  if (const int code = sluice::ParseOptions(argc, argv, &options); code >= 0) return code;
  sluice::InitLogging(options.debug);
  if (options.uninstall) {
    const sluice::Status status = sluice::UninstallAgent(options);
    return status.ok() ? 0 : Fail(status);
  }
  RaiseFileLimit();
  // Before any thread starts: only Agent::Run takes them.
  const sigset_t signals = sluice::AgentSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto agent = sluice::Agent::Start(options);
  if (!agent.ok()) return Fail(agent.status());
  sluice::LogInfo("enforcing; API at {}, metrics at {}", options.api.address, options.metrics);
  sluice::NotifyReady("enforcing");
  const sluice::Status status = (*agent)->Run();
  sluice::NotifyStopping();
  return status.ok() ? 0 : Fail(status);
}
