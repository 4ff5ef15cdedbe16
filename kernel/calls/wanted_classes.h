// What rules ask for -> the kernel's tables of filters. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "kernel/bpf/call_programs.h"
#include "policy/rules/prefilter.h"

namespace sluice::calls {

struct WantedClasses {
  std::uint64_t kinds = 0;  // a bit for each kind with a class that is wanted
  std::array<sl_call_filter, SL_CALL_KINDS> filters{};
  bpf::CallPrograms::NameSets name_sets{};
  std::vector<sl_call_name_key> names;  // without their half
};

// Sets of names that do not fit into the tables are left out: the events of their classes are all wanted then.
WantedClasses ComputeWantedClasses(const policy::rules::Prefilter& prefilter);

}  // namespace sluice::calls
