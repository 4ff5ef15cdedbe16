// Replayed flows for people and as sluice.v1.Flow messages.
#pragma once

#include "api/sluice.pb.h"
#include "ctrl/replay/replay.h"

namespace sluice::replay {

// event END, verdict, both ends' names, the policies that decided; no node, hook or interface: there was none.
v1::Flow ToMessage(const policy::Snapshot& snapshot, const ReplayedFlow& flow);

// `sluice replay`: everything, printed to stdout. `output`: "table" or "json". Errors as ReadResourceDirectory,
// ReadCapture and WriteOut.
Status RunReplay(const std::string& capture, const std::string& resources_dir, const std::string& output);

}  // namespace sluice::replay
