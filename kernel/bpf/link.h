// Attaches programs to interfaces. They stay attached when the process ends: links are pinned (TCX, XDP), and clsact
// filters stay anyway.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::bpf {

enum class TcDirection { kIngress, kEgress };

// clsact filters of ours: a fixed handle and priority, so that a restart replaces them.
inline constexpr std::uint32_t kTcHandle = 0x51;
inline constexpr std::uint32_t kTcPriority = 1;

struct AttachedLink {
  std::string mode;  // "tcx", "clsact", "xdp native", "xdp generic"
  Fd fd;             // keeps the program attached, even without the pin; clsact: none
};

// Attaches `program_fd` to the interface, or replaces the program of the link that `pin` holds from an earlier run,
// without a gap. Uses TCX (kernel 6.6), else clsact.
StatusOr<AttachedLink> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin);
Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin);

// Native XDP, else generic. FailedPrecondition names the foreign program there, if `calls` can read it.
StatusOr<AttachedLink> AttachXdp(const AdminCalls& calls, int program_fd, std::uint32_t ifindex,
                                 const std::string& pin);
// Any pinned link; OK if there is none.
Status DetachLink(const std::string& pin);

// Replaces the link's program without a gap. False: the link is defunct.
StatusOr<bool> UpdateLink(int link_fd, int program_fd);
// Detaches before it returns, which closing the last reference does not guarantee. OK if it was detached already.
Status DetachLink(int link_fd);
// Pins a link or a map there, and replaces an existing pin.
Status PinAt(int fd, const std::string& pin);

// The object that is pinned there. NotFound.
StatusOr<Fd> OpenPinned(const std::string& path);

std::string XdpModeAt(std::uint32_t ifindex);  // "xdp native" or "xdp generic"
// The program of the clsact filter under our handle; empty: there is none.
StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction);

}  // namespace sluice::bpf
