// Attaching programs to interfaces. What is attached stays attached when the process ends: links are pinned (TCX, XDP),
// clsact filters stay by themselves.
#pragma once

#include <cstdint>
#include <string>

#include "ctrl/base/status.h"

namespace sluice::bpf {

// enum bpf_attach_type of kernel 6.6; Debian 12's headers and libbpf 1.1 do not name them.
inline constexpr int kTcxIngress = 46;
inline constexpr int kTcxEgress = 47;

enum class TcDirection { kIngress, kEgress };

// Puts `program_fd` at the interface, or in place of what `pin` holds from an earlier run, without a gap between.
// Uses TCX (kernel 6.6), else clsact. Returns "tcx" or "clsact".
StatusOr<std::string> AttachTc(int program_fd, std::uint32_t ifindex, TcDirection direction, const std::string& pin);
Status DetachTc(std::uint32_t ifindex, TcDirection direction, const std::string& pin);

// Native XDP, else generic. Returns "xdp native" or "xdp generic". FailedPrecondition names a foreign program there.
StatusOr<std::string> AttachXdp(int program_fd, std::uint32_t ifindex, const std::string& pin);
// Any pinned link; fine when there is none.
Status DetachLink(const std::string& pin);

}  // namespace sluice::bpf
