#include "ctrl/api/caller.h"

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace sluice::api {
namespace {

StatusOr<std::optional<gid_t>> FindGroup(const std::string& name) {
  if (name.empty()) return std::nullopt;
  gid_t number = 0;
  const char* end = name.data() + name.size();
  if (const auto read = std::from_chars(name.data(), end, number); read.ec == std::errc() && read.ptr == end) {
    return number;
  }
  group entry{};
  group* found = nullptr;
  std::vector<char> memory(1U << 16U);
  const int error = getgrnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found);
  if (error != 0) return ErrnoError(error, "look for the group {}", name);
  if (found == nullptr) return InvalidError("there is no group {}", name);
  return found->gr_gid;
}

StatusOr<std::vector<gid_t>> PeerGroups(int socket) {
  std::vector<gid_t> groups(16);
  while (true) {
    auto size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
    if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) == 0) {
      groups.resize(size / sizeof(gid_t));
      return groups;
    }
    if (errno != ERANGE) return ErrnoError(errno, "ask for the groups of a unix socket's peer");
    groups.resize(std::max<std::size_t>(size / sizeof(gid_t), groups.size() * 2));
  }
}

}  // namespace

StatusOr<UnixAccess> UnixAccess::Resolve(const std::string& change_group, const std::string& read_group) {
  const auto change = FindGroup(change_group);
  if (!change.ok()) return Annotate(change.status(), "--api-change-group");
  const auto read = FindGroup(read_group);
  if (!read.ok()) return Annotate(read.status(), "--api-read-group");
  return UnixAccess{.change = *change, .read = *read};
}

Right UnixAccess::RightOf(uid_t uid, const std::vector<gid_t>& groups) const {
  const auto in = [&](const std::optional<gid_t>& group) {
    return group && std::find(groups.begin(), groups.end(), *group) != groups.end();
  };
  if (uid == 0 || uid == geteuid() || in(change)) return Right::kChange;
  return in(read) ? Right::kRead : Right::kNone;
}

StatusOr<Caller> UnixAccess::Identify(int socket) const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return ErrnoError(errno, "ask for the credentials of a unix socket's peer");
  }
  SL_ASSIGN_OR_RETURN(std::vector<gid_t> groups, PeerGroups(socket));
  groups.push_back(peer.gid);
  return Caller{.right = RightOf(peer.uid, groups),
                .name = fmt::format("uid {}, pid {}", peer.uid, peer.pid),
                .share = fmt::format("uid {}", peer.uid),
                .root = peer.uid == 0};
}

}  // namespace sluice::api
