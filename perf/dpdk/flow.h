// Flow keys of received frames.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace sluice::perf {

// Addresses and ports, as in the frame.
using FlowKey = std::array<std::uint8_t, 36>;

// For UDP over IPv4 without options, or over IPv6 without extension headers; nothing for other frames.
std::optional<FlowKey> FlowOf(std::span<const std::uint8_t> frame);

}  // namespace sluice::perf
