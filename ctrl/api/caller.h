// Callers of the API, and what they may do.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace sluice::api {

enum class Right { kNone, kRead, kChange };  // each includes those before it

struct Caller {
  Right right = Right::kNone;
  std::string name =
      "an unknown caller";  // for the log: "uid 1000, pid 4242", "certificate \"ops\" from 192.0.2.7:40112"
  std::string share;        // whose share of connections and calls this takes: a user, or a host
  bool root = false;        // may use everything
};

// What a unix socket's peer may do, by its credentials (SO_PEERCRED, SO_PEERGROUPS; unix(7)): root and the agent's own
// user may change, groups as configured.
struct UnixAccess {
  std::optional<gid_t> change;
  std::optional<gid_t> read;

  // Group names or numbers; empty: none. InvalidArgument: there is no such group.
  static StatusOr<UnixAccess> Resolve(const std::string& change_group, const std::string& read_group);
  Right RightOf(uid_t uid, const std::vector<gid_t>& groups) const;
  // The peer of a connected unix socket, as it was when it connected.
  StatusOr<Caller> Identify(int socket) const;
};

}  // namespace sluice::api
