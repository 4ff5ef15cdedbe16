// The API's open connections: the caller of each, their limits, and which one is closed when there are too many.
//
// gRPC does not identify the caller of a call, but it names a connection that it was given as a descriptor by that
// descriptor's number ("fd:1234"). So each connection by unix socket gets a number of its own, which is not reused
// before all calls of that connection must be over. Thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

#include "base/fd.h"
#include "ctrl/api/caller.h"

namespace sluice::api {

struct ConnectionLimits {
  std::size_t total = 256;
  std::size_t of_one = 64;  // of one user, or one host; root may have all
};

class Connections {
 public:
  using Clock = std::chrono::steady_clock;
  // How long a number is not reused after its connection ended.
  static constexpr std::chrono::seconds kNumberRest{10};

  static StatusOr<std::unique_ptr<Connections>> Make(ConnectionLimits limits);

  // Adds an accepted connection, and returns the descriptor for gRPC, which then owns it. If there is no room, the
  // oldest connection without a call is closed: one of the same caller if its share is used up, else preferably one of
  // the caller with the most connections. ResourceExhausted: all have calls.
  StatusOr<int> TakeInUnix(Fd socket, Caller caller) { return TakeIn(std::move(socket), std::move(caller), ""); }
  // `peer`: as gRPC will name it, "ipv4:192.0.2.7:40112".
  StatusOr<int> TakeInTcp(Fd socket, Caller caller, const std::string& peer) {
    return TakeIn(std::move(socket), std::move(caller), peer);
  }

  // Notes that a call begins on the connection with this name in gRPC; returns the connection and its caller. Absent:
  // the name is not known.
  struct Begun {
    std::uint64_t connection;
    Caller caller;
  };
  std::optional<Begun> BeginCall(const std::string& peer);
  void EndCall(std::uint64_t connection);

  // Readable when a connection has ended. Call Tend then, and regularly.
  int poll_fd() const { return ended_.get(); }
  void Tend(Clock::time_point now);

  std::size_t open() const;  // how many connections are open

 private:
  struct Connection {
    Fd watch;  // the same socket; invalid: ended
    std::string peer;
    Caller caller;
    std::size_t calls = 0;
  };
  using Table = std::map<std::uint64_t, Connection>;  // by order of arrival

  Connections(ConnectionLimits limits, Fd ended, int numbers_end)
      : limits_(limits), ended_(std::move(ended)), numbers_end_(numbers_end) {}
  StatusOr<int> TakeIn(Fd socket, Caller caller, std::string peer);
  bool MakeRoom(const Caller& caller);
  bool EndOldest(const std::string& share);
  void End(std::uint64_t id, Connection& connection);
  void Forget(Clock::time_point now);
  int NumberFor(const Fd& socket);

  const ConnectionLimits limits_;
  const Fd ended_;  // epoll
  const int numbers_end_;
  mutable std::mutex mutex_;
  Table table_;
  std::map<std::string, std::uint64_t> by_peer_;
  std::deque<std::pair<Clock::time_point, std::uint64_t>> ended_ones_;  // their numbers are not reused yet
  std::map<std::string, std::size_t> open_;                             // by share
  std::size_t open_total_ = 0;
  std::uint64_t arrived_ = 0;
  int next_number_ = 0;
};

}  // namespace sluice::api
