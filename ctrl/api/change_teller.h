// Reports each change, accepted or refused: a line in the log and a `change` event. Thread-safe.
//   teller.Tell("apply", call->caller().name, revision, changes);
#pragma once

#include <string>
#include <vector>

#include "api/sluice.pb.h"
#include "base/status.h"
#include "telemetry/telemetry.h"

namespace sluice::api {

class ChangeTeller {
 public:
  ChangeTeller(telemetry::Telemetry* telemetry, std::string node) : telemetry_(telemetry), node_(std::move(node)) {}

  // `caller`: empty for the agent itself. `revision`: an error says why the change was refused. A change without effect
  // is only logged.
  void Tell(const char* action, const std::string& caller, const StatusOr<std::uint64_t>& revision,
            const std::vector<v1::ResourceChange>& changes) const;

 private:
  telemetry::Telemetry* const telemetry_;
  const std::string node_;
};

}  // namespace sluice::api
