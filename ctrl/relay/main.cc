#include <pthread.h>
#include <unistd.h>

#include <csignal>

#include "base/file_limit.h"
#include "base/log.h"
#include "ctrl/relay/relay.h"

namespace {

constexpr unsigned int kEndSeconds = 8;

int Fail(const sluice::Status& status) {
  sluice::LogError("{}", sluice::Message(status));
  return absl::IsInvalidArgument(status) ? 2 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  sluice::cluster::RelayOptions options;
  if (const int code = sluice::cluster::ParseOptions(argc, argv, &options); code >= 0) return code;
  sluice::InitLogging(options.debug);
  sluice::RaiseFileLimit();  // a connection for each node
  // Before any thread starts: only sigwait takes them.
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  auto relay = sluice::cluster::ClusterRelay::Start(options, SLUICE_VERSION);
  if (!relay.ok()) return Fail(relay.status());
  sluice::LogInfo("serving at {}", options.listen.address);
  int number = 0;
  sigwait(&signals, &number);
  // Nothing is lost with it, so a peer must not delay the end.
  std::signal(SIGALRM, [](int) { _exit(0); });
  alarm(kEndSeconds);
  relay->reset();
  return 0;
}
