// The address that the API is served on, as a listening socket: a unix socket's file, or a TCP port.
#pragma once

#include <string>

#include "base/fd.h"
#include "ctrl/api/caller.h"

namespace sluice::api {

// The path of "unix:PATH" and "unix:///PATH"; empty: another kind of address.
std::string SocketPath(const std::string& address);

class Listener {
 public:
  // AlreadyExists: somebody answers there; of TCP as Open.
  static Status CheckFree(const std::string& address);
  // Removes the socket's file that an agent left which was killed. What somebody listens on stays, as do other files.
  static Status RemoveStale(const std::string& address);

  // `address`: "unix:///PATH" (its directory is made where it is missing), or IP:PORT, [IP]:PORT, HOST:PORT.
  // Where `access` names groups everybody may open the socket's file, else only the agent's user; credentials are to be
  // asked in any case. InvalidArgument: no such address; AlreadyExists: as CheckFree; Unavailable: it cannot be
  // listened on.
  static StatusOr<Listener> Open(const std::string& address, const UnixAccess& access);
  ~Listener();  // removes the socket's file, where it is still this one's
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;

  int fd() const { return socket_.get(); }
  bool unix_socket() const { return !path_.empty(); }
  // Puts the socket's file back when it is gone. True: it was.
  StatusOr<bool> Restore();

 private:
  Listener(std::string path, UnixAccess access) : path_(std::move(path)), access_(access) {}
  Status OpenUnix();
  Status OpenTcp(const std::string& address);
  bool Stands() const;

  std::string path_;  // empty: TCP
  UnixAccess access_;
  Fd socket_;
  std::uint64_t device_ = 0;  // of the socket's file, as is:
  std::uint64_t inode_ = 0;
};

}  // namespace sluice::api
