// One call of the agent, with its retries.
#pragma once

#include <chrono>
#include <string>

#include "api/cni.h"

namespace sluice::cni {

struct CallOptions {
  std::string socket;
  std::chrono::milliseconds patience{};
  bool retry = false;  // until patience ends: an agent that is away or busy may be back by then
};

// Unavailable: the agent did not answer, and why. An answer may be an error too, kTryAgain when it was busy to the end.
StatusOr<Answer> AskAgent(const CallOptions& options, Request request);

}  // namespace sluice::cni
