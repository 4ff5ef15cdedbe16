// The pins of attached probes, by which they go on when the agent does not: processes keep their class, and sockets
// their owner, so that rules by process hold, while no agent runs.
#pragma once

#include <string>
#include <vector>

#include "ctrl/base/status.h"
#include "ctrl/bpf/pin_layout.h"

struct bpf_link;

namespace sluice::bpf {

struct AttachedProbe {
  std::string name;
  bpf_link* link = nullptr;
};

// Pins each probe below its set's directory, in place of the one that an earlier agent left there, and ends those of
// that set that are not among them. The probes must be attached already: then none is missed between.
Status PinProbes(const PinLayout& layout, const std::string& set, const std::vector<AttachedProbe>& probes);

// Ends the probes of every set, and forgets what they knew of processes: it would go stale, and who a process was must
// not decide about who it has become. Rules by process then meet only processes that are not known.
Status ReleaseProbes(const PinLayout& layout);

}  // namespace sluice::bpf
