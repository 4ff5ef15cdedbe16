// Capabilities of processes by name: the adapter of libcap. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice {

inline constexpr std::uint32_t kLastCapability = 40;  // CAP_CHECKPOINT_RESTORE

// "CAP_NET_ADMIN"; a number that has no name as "CAP_63".
std::string CapabilityName(unsigned capability);

// The number of "CAP_NET_RAW"; absent: there is no such capability.
std::optional<std::uint32_t> CapabilityNumber(std::string_view name);

}  // namespace sluice
