// What tells flows apart in frames that came.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace sluice::perf {

// Addresses and ports, as they stand in the frame.
using FlowKey = std::array<std::uint8_t, 36>;

// Of UDP over IPv4 without options or IPv6 without extension headers; nothing of anything else.
std::optional<FlowKey> FlowOf(std::span<const std::uint8_t> frame);

}  // namespace sluice::perf
