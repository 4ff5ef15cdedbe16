// The pins of attached probes, which keep them running without an agent: processes keep their class, and sockets their
// owner, so that rules by process hold.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/pin_layout.h"

struct bpf_link;
struct bpf_object;

namespace sluice::bpf {

// For a map that is pinned already. kAsAskedFor: fail if its size differs from the requested one. kAsItIs: accept any
// size.
enum class PinnedSize { kAsAskedFor, kAsItIs };

// To call before an object is loaded: its maps `names` will be the pinned ones, or will be pinned if there are none
// yet.
Status PlanPins(bpf_object* object, std::span<const char* const> names, const PinLayout& layout, PinnedSize size);

struct AttachedProbe {
  std::string name;
  bpf_link* link = nullptr;
};

// Pins each probe below its set's directory, in place of an earlier agent's, and ends the set's other probes. The
// probes must be attached already, so that no event is missed in between.
Status PinProbes(const PinLayout& layout, const std::string& set, const std::vector<AttachedProbe>& probes);

// Ends the probes of every set, and deletes their process data: stale data must not be used for policy. Rules by
// process then see only unknown processes.
Status ReleaseProbes(const PinLayout& layout);

}  // namespace sluice::bpf
