// Copies entries from a map of an older layout into one of ours, member by member as their names say (BTF): what only
// one of them has is left out, or 0. For maps whose members mean the same in both.
//   SL_ASSIGN_OR_RETURN(const int copied, CopyEntries(calls, old_fd, fd, "programs"));
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "kernel/bpf/admin_calls.h"

namespace sluice::bpf {

// Of hash maps; what `to_fd` has already stays. FailedPrecondition: a member is of another kind, or a map has no types.
StatusOr<int> CopyEntries(const AdminCalls& calls, int from_fd, int to_fd, const std::string& map);

// Visits each entry of a map of any layout: what its value's members `names`, numbers of 32 bits, hold; also those of a
// struct within. FailedPrecondition: there is no such member, or the map has no types.
Status ReadMembers(const AdminCalls& calls, int fd, const std::string& map, const std::vector<std::string>& names,
                   const std::function<void(const std::vector<std::uint32_t>&)>& visit);

}  // namespace sluice::bpf
