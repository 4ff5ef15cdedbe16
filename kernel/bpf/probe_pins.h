// The pins of attached probes, by which they go on when the agent does not: processes keep their class, and sockets
// their owner, so that rules by process hold, while no agent runs.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/pin_layout.h"

struct bpf_link;
struct bpf_object;

namespace sluice::bpf {

// Of a map that somebody has pinned already. Whoever decides its size loads with kAsAskedFor, and cannot load when it
// is another one; whoever only shares it takes it as it is.
enum class PinnedSize { kAsAskedFor, kAsItIs };

// Before an object is loaded: its maps `names` are to be the pinned ones, and are pinned where there are none yet.
Status PlanPins(bpf_object* object, std::span<const char* const> names, const PinLayout& layout, PinnedSize size);

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
