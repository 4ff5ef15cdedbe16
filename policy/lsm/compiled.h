// The KubeArmor policies of all workloads of a node as tables for the kernel (bpf/abi/lsm.h). Plain values, immutable
// once built. Places in the tables count from 0; whoever fills the maps (kernel/lsm) adds where they begin there.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bpf/abi/lsm.h"
#include "policy/lsm/model.h"

namespace sluice::policy::lsm {

// A rule of sl_lsm_event::rule.
struct CompiledRule {
  std::shared_ptr<const Policy> policy;
  const Rule* rule = nullptr;  // in `policy`
};

// What the kernel must be asked to call programs for.
struct Needs {
  bool process = false;
  bool file = false;
  bool network = false;
  bool capabilities = false;
  bool system_calls = false;
  bool code_mappings = false;
  bool operator==(const Needs&) const = default;
};

struct Tables {
  std::vector<sl_lsm_profile> profiles;
  std::vector<sl_lsm_rule> rules;
  std::vector<sl_lsm_target> targets;
  std::vector<sl_lsm_cell> cells;
  std::vector<sl_lsm_automaton> automata;
  std::vector<std::uint32_t> numbers;
  std::vector<std::uint64_t> words;
};

struct Compiled {
  std::map<std::string, std::uint32_t> profiles;  // workload -> Tables::profiles. Absent: no policy is for it
  std::vector<CompiledRule> rules;                // as Tables::rules
  Tables tables;
  Needs needs;
};

}  // namespace sluice::policy::lsm
