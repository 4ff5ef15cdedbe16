// A compiled policy as the entries of the kernel's tables, at the places where it goes. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf/abi/hook.h"
#include "kernel/hooks/places.h"
#include "policy/tracing/compiled.h"

namespace sluice::hooks {

// How many places of each table a policy takes.
struct TableSizes {
  std::uint32_t hooks = 0;
  std::uint32_t selectors = 0;
  std::uint32_t tests = 0;
  std::uint32_t words = 0;
  std::uint32_t sets = 0;
  std::uint32_t set_entries = 0;
  std::uint32_t marks = 0;
};
TableSizes SizesOf(const policy::tracing::CompiledPolicy& policy);

// Memory of the kernel for it, in bytes.
std::uint64_t BytesOf(const TableSizes& sizes);

struct TablePlaces {
  std::uint32_t policy = 0;  // in hook_policies
  std::uint32_t life = 0;
  Range hooks, selectors, tests, words;
  std::uint32_t first_set = 0;
  std::uint32_t first_mark = 0;
  std::vector<std::uint32_t> scopes;  // as CompiledPolicy::scopes
};

// Each but `sets` in the order of its places.
struct TableImage {
  std::vector<sl_hook> hooks;
  std::vector<sl_hook_selector> selectors;
  std::vector<sl_hook_test> tests;
  std::vector<std::uint64_t> words;
  std::vector<sl_hook_set_key> sets;
};
TableImage MakeImage(const policy::tracing::CompiledPolicy& policy, const TablePlaces& places);

}  // namespace sluice::hooks
