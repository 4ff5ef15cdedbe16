// Filters of ours at clsact, the older place for tc programs. They stay when the process ends, and have no pin. An
// interface gets one without waiting for a grace period of the kernel's RCU, which a TCX link waits for
// (tcx_entry_sync in include/net/tcx.h).
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace sluice::bpf {

enum class TcDirection { kIngress, kEgress };

// A fixed handle and priority, so that a restart replaces our filters.
inline constexpr std::uint32_t kTcHandle = 0x51;
inline constexpr std::uint32_t kTcPriority = 1;

// Whether there may be a filter under our handle already: ours, or one of another agent, which uses the same handle.
enum class Handle { kIsOurs, kIsFree };

// Attaches the program, or gives it to our filter, without a gap. With kIsFree, AlreadyExists if there is a filter.
// Returns whether the qdisc had to be made.
StatusOr<bool> AttachClsact(int program_fd, std::uint32_t ifindex, TcDirection direction,
                            Handle handle = Handle::kIsOurs);
// OK if there is no filter of ours. The qdisc stays: others may use it.
Status DetachClsact(std::uint32_t ifindex, TcDirection direction);
// The program of our filter; empty: there is none.
StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction);

// Deletes the qdisc with all filters, also those of others. OK if there is none.
Status DeleteClsact(std::uint32_t ifindex);

}  // namespace sluice::bpf
