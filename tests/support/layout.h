// The pinned layout of an older version, as left by that version's agent: BPF objects, map contents, attachments and
// its state (tests/data/layouts). scripts/make-layout records it from a real agent; the hand-over tests restore it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::test {

// Saves an agent's pins below `bpf_root` and its state in `state_dir` into `directory`. The agent must have ended.
// `names` replaces paths by placeholders in the saved data: path -> placeholder.
Status RecordLayout(const std::string& bpf_root, const std::string& state_dir,
                    const std::map<std::string, std::string>& names, const std::string& directory);

// Loads, pins, fills and attaches everything, in the calling thread's network namespace. Interfaces must have the same
// indices as when it was recorded.
Status RestoreLayout(const std::string& directory, const std::string& bpf_root, const std::string& state_dir,
                     const std::map<std::string, std::string>& names);

// The stored versions, oldest first, with their directories.
std::map<int, std::string> KeptLayouts();

}  // namespace sluice::test
