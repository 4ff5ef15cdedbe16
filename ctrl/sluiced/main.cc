#include <unistd.h>

#include <csignal>

#include "base/file_limit.h"
#include "base/log.h"
#include "ctrl/rights/rights.h"
#include "ctrl/rights/system_calls.h"
#include "ctrl/sluiced/agent.h"
#include "ctrl/sluiced/notify.h"

namespace {

int Fail(const sluice::Status& status) {
  sluice::LogError("{}", sluice::Message(status));
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

// Enforcement does not depend on how the agent ends, and the applied resources are on disk. So if threads, memory or a
// peer delay the end, this ends the process before the service manager's time-out; after a failure with exit code 1, so
// that it is started again.
void EndWithin(unsigned int seconds, bool ok) {
  std::signal(
      SIGALRM, ok ? [](int) { _exit(0); } : [](int) { _exit(1); });
  alarm(seconds);
}
constexpr unsigned int kEndSeconds = 8;

// On failure the agent keeps rights that it does not use: no reason not to enforce.
void GiveUpRights() {
  sluice::Status status = sluice::rights::GiveUpOtherRights(sluice::rights::Whose::kAgent);
  status.Update(sluice::rights::RefuseSystemCalls());
  if (!status.ok()) sluice::LogWarn("cannot give up all rights that are not needed: {}", sluice::Message(status));
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
  sluice::RaiseFileLimit();  // each link that is attached is held by a descriptor
  // Before any thread starts: only Agent::Run reads them.
  const sigset_t signals = sluice::AgentSignals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto helper = sluice::rights::Helper::Start();
  if (!helper.ok()) return Fail(sluice::Annotate(helper.status(), "start the helper"));
  GiveUpRights();
  auto agent = sluice::Agent::Start(options, helper->get());
  if (!agent.ok()) return Fail(agent.status());
  const std::string holding = (*agent)->holding();
  sluice::LogInfo("{}; API at {}, metrics at {}", holding.empty() ? "enforcing" : "holding", options.api.address,
                  options.metrics);
  sluice::NotifyReady(holding);
  const sluice::Status status = (*agent)->Run();
  sluice::NotifyStopping();
  EndWithin(kEndSeconds, status.ok());
  agent->reset();
  return status.ok() ? 0 : Fail(status);
}
