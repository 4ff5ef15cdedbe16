#include "telemetry/event/event_type.h"

namespace sluice::telemetry {

std::string TypeOf(const v1::Event& event) {
  const auto* const field = v1::Event::descriptor()->FindFieldByNumber(event.event_case());
  return field == nullptr ? "" : std::string(field->name());
}

}  // namespace sluice::telemetry
