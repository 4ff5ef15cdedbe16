// The API's listening socket: a unix socket with its file, or a TCP port.
#pragma once

#include <string>

#include "base/fd.h"
#include "ctrl/api/caller.h"

namespace sluice::api {

// The path of "unix:PATH" and "unix:///PATH"; empty: another kind of address.
std::string SocketPath(const std::string& address);

// For another service of the same agent: the unix socket `name` in the directory of that of `api`, or in /run/sluice if
// `api` is none.
std::string AddressBeside(const std::string& api, const std::string& name);

class Listener {
 public:
  // AlreadyExists: another process answers there. For TCP, errors are as Open's.
  static Status CheckFree(const std::string& address, const std::string& flag = "--api");
  // Removes the socket file that a killed agent left. A socket that a process listens on stays, as do other files.
  static Status RemoveStale(const std::string& address);

  // `address`: "unix:///PATH" (its directory is created if missing), or IP:PORT, [IP]:PORT, HOST:PORT.
  // If `access` names groups, all users may open the socket file, else only the agent's user; check credentials in any
  // case. InvalidArgument: no such address; AlreadyExists: as CheckFree; Unavailable: cannot listen there. Messages
  // name `flag`, which gave the address.
  static StatusOr<Listener> Open(const std::string& address, const UnixAccess& access,
                                 const std::string& flag = "--api");
  ~Listener();  // removes the socket file, if it is still this one's
  Listener(Listener&&) noexcept = default;
  Listener& operator=(Listener&&) = delete;

  int fd() const { return socket_.get(); }
  bool unix_socket() const { return !path_.empty(); }
  // Restores the socket file if it is gone. True: it was.
  StatusOr<bool> Restore();

 private:
  Listener(std::string path, UnixAccess access, std::string flag)
      : path_(std::move(path)), access_(access), flag_(std::move(flag)) {}
  Status OpenUnix();
  Status OpenTcp(const std::string& address);
  bool Stands() const;

  std::string path_;  // empty: TCP
  UnixAccess access_;
  std::string flag_;
  Fd socket_;
  std::uint64_t device_ = 0;  // of the socket file
  std::uint64_t inode_ = 0;   // of the socket file
};

}  // namespace sluice::api
