// Events in KubeArmor's form, for programs that read its alerts and logs. Pure.
#pragma once

#include <optional>
#include <string>

#include "api/kubearmor.pb.h"
#include "api/sluice.pb.h"
#include "base/status.h"
#include "telemetry/event/event_export.h"

namespace sluice::telemetry {

// Of an alert, and of lost alerts; nothing: another event. The parent's fields are there if the event has its parent
// (ObserveRequest.with_parents).
std::optional<feeder::Alert> ToKubeArmorAlert(const v1::Event& event);

// Of an exec, and of a flow that a process began or accepted; nothing: another event.
std::optional<feeder::Log> ToKubeArmorLog(const v1::Event& event);

// An alert as one JSON object, as KubeArmor's clients print it: {"Timestamp":1790000000,"PolicyName":...}. Empty:
// ToKubeArmorAlert gives nothing. Internal: a text is not UTF-8.
StatusOr<std::string> ToKubeArmorJson(const v1::Event& event);

// Makes an export write this form, and only alerts.
void ExportAsKubeArmor(EventExport::Options* options);

}  // namespace sluice::telemetry
