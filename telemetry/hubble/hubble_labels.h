// Label selectors of Hubble's filters: kubectl's syntax, with keys that may have the labels' source. Pure.
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include <string>

#include "base/status.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

// "app=web", "k8s:app in (web, db)", "reserved:world", "!canary". For Matches with HubbleLabelsOf.
// InvalidArgument names the part that is wrong.
StatusOr<policy::Selector> ParseHubbleSelector(const std::string& text);

// An endpoint's labels ("k8s:app=web"), each under its own source and under `any`. A colon cannot be in the key of a
// selector, so a dot stands for the first one: "k8s.app", "any.app".
policy::Labels HubbleLabelsOf(const google::protobuf::RepeatedPtrField<std::string>& labels);

}  // namespace sluice::telemetry
