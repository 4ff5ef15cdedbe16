// Whose an event is: its workload, whose share of queues and files is used up by it, and its process.
#pragma once

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

// Flow: the initiator's workload, or else the responder's. Process event, hook, alert, detection: the process's
// workload. Loss: the workload whose events were lost. Empty: no workload. Pure.
policy::ObjectName OwnerOf(const v1::Event& event);

// The process whose event it is, in `event`. Null: an event of another type; a flow has two ends.
const v1::Process* ProcessOf(const v1::Event& event);

}  // namespace sluice::telemetry
