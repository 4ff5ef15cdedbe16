// Whose an event is: which workload's share it takes of what all events share.
#pragma once

#include "api/sluice.pb.h"
#include "policy/resource/model.h"

namespace sluice::telemetry {

// Of a flow who opened it, and where that is no workload, who is called; of what a process did, its workload; of a
// loss, whose events were lost. Empty: nobody's. Pure.
policy::ObjectName OwnerOf(const v1::Event& event);

}  // namespace sluice::telemetry
