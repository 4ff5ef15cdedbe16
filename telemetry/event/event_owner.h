// The workload that an event belongs to: its share of queues and files is used up by the event.
#pragma once

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

// Flow: the initiator's workload, or else the responder's. Process event, hook: the process's workload. Loss: the
// workload whose events were lost. Empty: no workload. Pure.
policy::ObjectName OwnerOf(const v1::Event& event);

}  // namespace sluice::telemetry
