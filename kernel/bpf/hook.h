// The programs that are attached to an interface according to the kernel, of any owner. Pins are only names; this is
// the truth.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "kernel/bpf/admin_calls.h"
#include "kernel/bpf/clsact.h"

namespace sluice::bpf {

// enum bpf_attach_type of kernel 6.6; Debian 12's headers and libbpf 1.1 do not name them.
inline constexpr int kTcxIngress = 46;
inline constexpr int kTcxEgress = 47;

enum class Hook { kTcIngress, kTcEgress, kXdp };

// The hook of one of the packet path's programs. InvalidArgument: not our program.
StatusOr<Hook> HookOf(const std::string& program);

// Of a tc hook.
TcDirection DirectionOf(Hook hook);

// Ids of the programs there, in the order in which they run: TCX's, or if there are none, that of the clsact filter
// under our handle; or XDP's. Empty also if there is no such interface.
StatusOr<std::vector<std::uint32_t>> ProgramsAt(std::uint32_t ifindex, Hook hook);

StatusOr<std::uint32_t> ProgramId(int program_fd);
StatusOr<std::uint32_t> MapId(int map_fd);

// The keys of a hash map whose keys are 32-bit numbers.
StatusOr<std::vector<std::uint32_t>> NumberKeys(int map_fd);

// A link that attaches a program to an interface; in any network namespace, pinned or not.
struct InterfaceLink {
  Fd fd;
  std::uint32_t id = 0;
  std::uint32_t ifindex = 0;  // 0: defunct, as the interface is gone or the link was detached
  std::uint32_t program_id = 0;
  std::string program;  // its name
};

StatusOr<InterfaceLink> ReadLink(Fd fd);

// All links whose programs use one of these maps.
StatusOr<std::vector<InterfaceLink>> LinksThatUse(const AdminCalls& calls, const std::set<std::uint32_t>& map_ids);

// Whether the program uses one of these maps.
StatusOr<bool> ProgramUses(const AdminCalls& calls, std::uint32_t program_id, const std::set<std::uint32_t>& map_ids);

// The program of the clsact filter under our handle, if it uses one of these maps: agents with other roots use the same
// handle. 0: there is no such filter.
StatusOr<std::uint32_t> FilterThatUses(const AdminCalls& calls, std::uint32_t ifindex, Hook hook,
                                       const std::set<std::uint32_t>& map_ids);

}  // namespace sluice::bpf
