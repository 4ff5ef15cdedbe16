// Network namespaces: opening one by its file, and reading its state. Nothing here enters one: a socket that was
// created inside is enough (netlink.h).
//   SL_ASSIGN_OR_RETURN(NetNs pod, NetNs::Open("/run/netns/web-0"));
//   SL_ASSIGN_OR_RETURN(Fd socket, socket_in(pod.fd()));
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <functional>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace sluice::net {

// Owner of an open namespace, which exists at least as long.
class NetNs {
 public:
  // Equal for two files of one namespace, different for two namespaces that exist at the same time.
  struct Identity {
    dev_t device = 0;
    ino_t inode = 0;
    auto operator<=>(const Identity&) const = default;
  };

  // NotFound: no such file. InvalidArgument: the file is not a network namespace.
  static StatusOr<NetNs> Open(const std::string& path);
  static StatusOr<NetNs> OfThisThread();
  // Of the namespace that the file is of, without opening it. NotFound: no such file. That the file is of a network
  // namespace is not checked.
  static StatusOr<Identity> IdentityOf(const std::string& path);

  int fd() const { return fd_.get(); }
  const Identity& identity() const { return identity_; }

 private:
  NetNs(Fd fd, Identity identity) : fd_(std::move(fd)), identity_(identity) {}

  Fd fd_;
  Identity identity_;
};

// Creates a socket for Netlink::Use in the namespace behind `netns_fd`. That needs CAP_SYS_ADMIN, which the agent does
// not have: its helper creates the socket (ctrl/rights/helper.h). Must be thread-safe.
using SocketIn = std::function<StatusOr<Fd>(int netns_fd)>;

// The number of the namespace that `socket` is in, as BPF programs see it: not used again before reboot. 0: the kernel
// does not say (before 5.14).
StatusOr<std::uint64_t> NetNsCookie(int socket);
// Whether the kernel says it. Found by asking it.
bool HasNetNsCookies();

}  // namespace sluice::net
