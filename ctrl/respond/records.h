// The records of what Responses did, as events for followers and the history. Thread-safe.
#pragma once

#include <string>

#include "ctrl/respond/cause.h"
#include "telemetry/event/event_hub.h"

namespace sluice::respond {

class Records {
 public:
  // `history` may be null. Both must outlive it.
  Records(std::string node, telemetry::EventHub* hub, telemetry::History* history, telemetry::Clock clock)
      : node_(std::move(node)), hub_(hub), history_(history), clock_(std::move(clock)) {}

  // A record for the answer of `response` to `event`, without action and outcome.
  v1::Event Begin(const std::string& response, const Noticed& noticed, const v1::Event& event) const;
  // Sets its time and the delay since the cause, and passes it on.
  void Publish(v1::Event record);
  void SetTimes(v1::Response* response);

 private:
  const std::string node_;
  telemetry::EventHub* const hub_;
  telemetry::History* const history_;
  telemetry::WallClock clock_;
};

}  // namespace sluice::respond
