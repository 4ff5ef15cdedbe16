// Copies entries from a map of an older layout into one of ours, member by member, by name (BTF): a member that only
// the old one has is dropped, one that only ours has is 0. For maps whose members mean the same in both.
//   SL_ASSIGN_OR_RETURN(const int copied, CopyEntries(calls, old_fd, fd, "programs"));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::bpf {

// For hash maps; existing entries in `to_fd` stay. FailedPrecondition: a member has another type, or a map has no
// types.
StatusOr<int> CopyEntries(const AdminCalls& calls, int from_fd, int to_fd, const std::string& map);

// Visits each entry of a map of any layout, with the 32-bit members `names` of its value, also those of a nested
// struct. FailedPrecondition: there is no such member, or the map has no types.
Status ReadMembers(const AdminCalls& calls, int fd, const std::string& map, const std::vector<std::string>& names,
                   const std::function<void(const std::vector<std::uint32_t>&)>& visit);

}  // namespace sluice::bpf
