// Attaching programs to interfaces. What is attached stays attached when the process ends: links are pinned (TCX, XDP),
// clsact filters stay by themselves.
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
  Fd fd;             // holds what is attached there, whatever becomes of the pin; of clsact, none
};

// Puts `program_fd` at the interface, or in place of what `pin` holds from an earlier run, without a gap between.
// Uses TCX (kernel 6.6), else clsact.
StatusOr<AttachedLink> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin);
Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin);

// Native XDP, else generic. FailedPrecondition names a foreign program there, as far as `calls` can tell.
StatusOr<AttachedLink> AttachXdp(const AdminCalls& calls, int program_fd, std::uint32_t ifindex,
                                 const std::string& pin);
// Any pinned link; fine when there is none.
Status DetachLink(const std::string& pin);

// The link goes on with another program, without a gap between. False: it is defunct.
StatusOr<bool> UpdateLink(int link_fd, int program_fd);
// Off its hook when this returns, as the last reference alone would not promise. Fine when it was off already.
Status DetachLink(int link_fd);
// Pins a link, or a map, there, in place of whatever is.
Status PinAt(int fd, const std::string& pin);

// Whatever is pinned there. NotFound.
StatusOr<Fd> OpenPinned(const std::string& path);

std::string XdpModeAt(std::uint32_t ifindex);  // "xdp native" or "xdp generic"
// Of the clsact filter under our handle; empty: there is none.
StatusOr<std::vector<std::uint32_t>> ClsactPrograms(std::uint32_t ifindex, TcDirection direction);

}  // namespace sluice::bpf
