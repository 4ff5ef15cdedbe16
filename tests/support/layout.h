// The pinned layout of an older version, as that version's agent left it: BPF objects, the contents of its maps, what
// it attached and its state (tests/data/layouts). Recorded from a real agent by scripts/make-layout, and put back for
// the tests of the hand-over.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::test {

// What an agent has pinned below `bpf_root` and saved in `state_dir`, into `directory`. The agent must have ended.
// `names` are told by names of their own in what is saved: path -> placeholder.
Status RecordLayout(const std::string& bpf_root, const std::string& state_dir,
                    const std::map<std::string, std::string>& names, const std::string& directory);

// Loads, pins, fills and attaches all of it, in the network namespace of the calling thread. Interfaces must have the
// numbers that they had when it was recorded.
Status RestoreLayout(const std::string& directory, const std::string& bpf_root, const std::string& state_dir,
                     const std::map<std::string, std::string>& names);

// The versions that are kept, oldest first, with their directories.
std::map<int, std::string> KeptLayouts();

}  // namespace sluice::test
