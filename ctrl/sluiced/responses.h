// The agent's Responses: what their answers need of the other parts.
#pragma once

#include <memory>
#include <string>

#include "ctrl/reconcile/controller.h"
#include "ctrl/respond/message_sender.h"
#include "ctrl/respond/responder.h"
#include "ctrl/rights/helper.h"
#include "telemetry/capture/recorder.h"
#include "telemetry/metrics/response_numbers.h"
#include "telemetry/telemetry.h"

namespace sluice {

class Responses {
 public:
  struct Options {
    std::string node;
    std::string state_dir;
    std::uint64_t forensics_bytes = std::uint64_t{1} << 30;
  };

  // All outlive it. Once the process sensors run, or it is known that there are none. `recorder` null: no packets are
  // kept.
  Responses(const Options& options, reconcile::Controller* controller, telemetry::Telemetry* telemetry,
            const rights::Helper* helper, telemetry::Recorder* recorder);
  ~Responses();
  Responses(const Responses&) = delete;
  Responses& operator=(const Responses&) = delete;

  const respond::Responder* responder() const { return &responder_; }
  telemetry::ResponseNumbers Numbers() const;

 private:
  reconcile::Controller* const controller_;
  respond::MessageSender sender_;  // before responder_, which uses it
  respond::Responder responder_;
};

}  // namespace sluice
