// Copies entries from a map of an older layout into one of ours, member by member as their names say (BTF): what only
// one of them has is left out, or 0. For maps whose members mean the same in both.
//   SL_ASSIGN_OR_RETURN(const int copied, CopyEntries(old_fd, fd, "programs"));
#pragma once

#include <string>

#include "ctrl/base/status.h"

namespace sluice::bpf {

// Of hash maps; what `to_fd` has already stays. FailedPrecondition: a member is of another kind, or a map has no types.
StatusOr<int> CopyEntries(int from_fd, int to_fd, const std::string& map);

}  // namespace sluice::bpf
