// The index of a point (bpf/abi/hook_index.h): from the hooks there, in order, to its columns. Pure.
#pragma once

#include <vector>

#include "bpf/abi/hook_index.h"
#include "policy/tracing/compiled.h"

namespace sluice::hooks {

struct IndexedHook {
  const policy::tracing::CompiledHook* compiled = nullptr;
  const sl_hook* placed = nullptr;  // as in the kernel's table
};

struct IndexColumn {
  sl_hook_column column{};  // all but where its slots are
  std::vector<sl_hook_slot> slots;
};

// Columns in the order in which programs ask them. A hook is in a column if each of its selectors has a filter that the
// column can say: numbers that are equal to one of a list; texts that are equal to, begin with or end with one of a
// list. Not: negated filters, wide ranges, masks, parts of texts, filters on sockets and on the process. Empty: every
// hook may want every call.
std::vector<IndexColumn> MakeIndex(const std::vector<IndexedHook>& hooks);

}  // namespace sluice::hooks
