// Detections in Falco's form, for programs that read its alerts (falcosidekick, collectors of logs). Pure.
#pragma once

#include <optional>
#include <string>

#include "api/sluice.pb.h"
#include "base/status.h"
#include "policy/rules/alert.h"
#include "telemetry/event/event_export.h"

namespace sluice::telemetry {

// Sets all of a detection that is in the alert. Bytes of texts that are no UTF-8 become \xNN.
void FillDetection(const policy::rules::Alert& alert, v1::Detection* out);
v1::Detection::Priority ToProto(policy::rules::Priority priority);

// The alert of a detection; of lost detections, one of the rule "Sluice internal: detections lost" and the source
// "internal", with priority Debug, as Falco does for lost system calls. Nothing: another event.
std::optional<policy::rules::Alert> ToFalcoAlert(const v1::Event& event);

// An alert as one JSON object, as Falco writes it: {"hostname":...,"output":...,"output_fields":{...}}. Empty:
// ToFalcoAlert gives nothing.
StatusOr<std::string> ToFalcoJson(const v1::Event& event);

// Makes an export write this form, and only detections.
void ExportAsFalco(EventExport::Options* options);

}  // namespace sluice::telemetry
