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

// Nothing enforced depends on how the agent ends, and what was applied is on disk: when threads, memory or a peer keep
// it from ending by itself, it ends all the same, before the service manager loses its patience. After a failure with
// that failure's code, so that it is started again.
void EndWithin(unsigned int seconds, bool ok) {
  std::signal(
      SIGALRM, ok ? [](int) { _exit(0); } : [](int) { _exit(1); });
  alarm(seconds);
}
constexpr unsigned int kEndSeconds = 8;

// A failure leaves rights that nobody uses: no reason not to enforce.
void GiveUpRights() {
  sluice::Status status = sluice::rights::GiveUpOtherRights(sluice::rights::Whose::kAgent);
  status.Update(sluice::rights::RefuseSystemCalls());
  if (!status.ok()) sluice::LogWarn("not all rights that are not needed are given up: {}", sluice::Message(status));
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
  // Before any thread starts: only Agent::Run takes them.
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
