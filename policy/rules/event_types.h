// The values of evt.type: the system calls by name, and events that are none (a signal, the end of a process, ...). The
// names are those that Falco's rules use. Pure; all functions are thread-safe.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sluice::policy::rules {

using EventType = std::uint16_t;  // position in EventTypeNames()

inline constexpr std::size_t kMaxEventTypes = 640;
using EventSet = std::bitset<kMaxEventTypes>;

std::span<const std::string_view> EventTypeNames();  // sorted, each once
std::optional<EventType> FindEventType(std::string_view name);
std::string_view NameOf(EventType type);  // empty: there is no such type
const EventSet& AllEventTypes();

}  // namespace sluice::policy::rules
