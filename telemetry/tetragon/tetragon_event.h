// Events in Tetragon's form, for programs that read its log. Pure.
#pragma once

#include <optional>
#include <string>

#include "api/sluice.pb.h"
#include "api/tetragon.pb.h"
#include "base/status.h"
#include "telemetry/event/event_export.h"

namespace sluice::telemetry {

// Nothing: Tetragon has no such event (flow, fork, change, lost flows). The parent is complete if the event has it
// (ObserveRequest.with_parents).
std::optional<tetragon::GetEventsResponse> ToTetragon(const v1::Event& event);

// As Tetragon's log has it: one object, names in snake_case. Empty: Tetragon has no such event. Internal: a text is not
// UTF-8.
StatusOr<std::string> ToTetragonJson(const v1::Event& event);

// Makes an export write this form, and only events that it has.
void ExportAsTetragon(EventExport::Options* options);

}  // namespace sluice::telemetry
