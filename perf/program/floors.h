// The floors: programs that do less, measured in the same run as the production programs.
#pragma once

#include "perf/program/rounds.h"
#include "perf/program/runner.h"

namespace sluice::perf {

std::string BareFloor(bool xdp);                       // floor/xdp/bare: only returns
std::string GeneratorRow(bool xdp);                    // floor/xdp/rotate: the wrapper, then the bare program
std::string HashFloor(bool xdp, std::uint32_t flows);  // floor/xdp/hash/flows:1000: parse and one look-up

// `flows`: the numbers of flows to measure look-up floors for.
std::vector<std::string> FloorNames(const std::vector<std::uint32_t>& flows);
std::vector<Measurement> Floors(const Runner& runner, const std::vector<std::uint32_t>& flows);
// One more number of flows; the runner's hash must have room for it.
std::vector<Measurement> HashFloors(const Runner& runner, std::uint32_t flows);

// What a packet of a known flow (floor/xdp/slot:280/flows:100000), or a flow's first packet (.../slot:280/new/...),
// reads and writes in the flow table, and nothing else; also if a slot had other sizes. The runner must have room for
// slots.
inline constexpr char kSlotFloors[] = "floor/xdp/slot:";
std::vector<std::string> SlotFloorNames();
std::vector<Measurement> SlotFloors(const Runner& runner);

}  // namespace sluice::perf
