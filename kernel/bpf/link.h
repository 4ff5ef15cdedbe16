// Attaches programs to interfaces by links, which are pinned, so that they stay attached when the process ends; where
// the kernel has no TCX, by a clsact filter (clsact.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/clsact.h"

namespace sluice::bpf {

struct AttachedLink {
  std::string mode;  // "tcx", "clsact", "xdp native", "xdp generic"
  Fd fd;             // keeps the program attached, even without the pin; clsact: none
};

// Attaches `program_fd` to the interface, or replaces the program of the link that `pin` holds from an earlier run,
// without a gap. Uses TCX (kernel 6.6), else clsact. A new link takes 8 to 20 ms where the kernel's tick is 4 ms
// (clsact.h).
// `has_filter`: a filter of ours is there, whose place the link takes. Until then the filter judges the packets, and
// then both do for less than a millisecond, in which a packet is counted twice.
StatusOr<AttachedLink> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin,
                                bool has_filter = false);
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

std::uint32_t IdOfLink(int link_fd);  // its number; 0: the descriptor is no link

std::string XdpModeAt(std::uint32_t ifindex);  // "xdp native" or "xdp generic"

}  // namespace sluice::bpf
