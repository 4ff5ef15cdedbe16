// The calls that there are sensors for: their kinds, event types, and numbers for each sort of caller. Pure but for the
// numbers, which are the running machine's.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bpf/abi/call.h"
#include "kernel/bpf/call_programs.h"
#include "policy/rules/prefilter.h"

namespace sluice::calls {

std::string_view NameOf(sl_call_kind kind);  // "openat"; empty: no kind
// The type of its events.
policy::rules::EventType TypeOf(sl_call_kind kind);
std::optional<sl_call_kind> KindOf(policy::rules::EventType type);

// The tables of the kernel in which these kinds, and no others, are looked at.
struct CallNumberTables {
  bpf::CallPrograms::Kinds kinds{};
  bpf::CallPrograms::RingKinds rings{};
};
CallNumberTables TablesOf(std::uint64_t kinds);

// What is known of all events of a class (SL_CALL_CLASS) of a kind.
policy::rules::EventClass KnownOf(sl_call_kind kind, std::uint32_t call_class);
// Whether an event can be of the class: bits of sl_call_open are those of calls that open, and a call that failed has
// made no descriptor.
bool IsPossible(sl_call_kind kind, std::uint32_t call_class);

}  // namespace sluice::calls
