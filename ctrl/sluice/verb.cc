#include "ctrl/sluice/verb.h"

#include <unistd.h>

#include <csignal>
#include <cstdio>

#include "base/printable.h"

namespace sluice::client {

int Finish(const StatusOr<ExitCode>& result) {
  if (result.ok()) return static_cast<int>(*result);
  const Status& status = result.status();
  if (status.code() == absl::StatusCode::kCancelled) return static_cast<int>(ExitCode::kDone);
  std::fputs(fmt::format("sluice: {}\n", PrintableLines(Message(status))).c_str(), stderr);
  return static_cast<int>(status.code() == absl::StatusCode::kInvalidArgument ? ExitCode::kUsage : ExitCode::kFailed);
}

void EndOnInterrupt() {
  std::signal(SIGINT, [](int) { _exit(static_cast<int>(ExitCode::kDone)); });
}

void Tell(const std::string& line) { std::fputs((Printable(line) + "\n").c_str(), stderr); }

Status InFiles(const Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return status;
  return Status(absl::StatusCode::kFailedPrecondition, status.message());
}

}  // namespace sluice::client
