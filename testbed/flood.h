// One connection with as much traffic as the machine carries. It reports when the last packet arrived by the kernel's
// clock, so a busy test process does not distort the time.
//   SL_ASSIGN_OR_RETURN(auto flood, Flood::Open({.tcp = true, .client_netns_fd = a, .server_netns_fd = b, ...}));
//   const auto cut = Flood::Now();  ...  printf("%ld ns", (flood->last_arrival() - cut).count());
// Stops in its destructor. May be read by any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>

#include "base/fd.h"
#include "policy/resource/model.h"

namespace sluice::test {

class Flood {
 public:
  struct Options {
    bool tcp = true;  // false: UDP
    int client_netns_fd = -1;
    int server_netns_fd = -1;
    policy::Address server;  // IPv4
    std::uint16_t port = 0;
  };
  using Time = std::chrono::nanoseconds;  // CLOCK_REALTIME
  static Time Now();

  static StatusOr<std::unique_ptr<Flood>> Open(const Options& options);
  ~Flood();
  Flood(const Flood&) = delete;
  Flood& operator=(const Flood&) = delete;

  // From now on one packet a millisecond, for phases that only check whether it passes; leaves the CPU to others.
  void SlowDown() { slow_ = true; }
  std::uint64_t sends() const { return sends_; }  // attempts; TCP's sends block while the flow is revoked
  std::uint64_t bytes() const { return bytes_; }  // received
  Time last_arrival() const { return Time(last_arrival_.load()); }
  bool ended() const { return ended_; }  // reset or closed

 private:
  Flood(Fd client, Fd server);
  void Send();
  void Receive();

  Fd client_;
  Fd server_;
  std::atomic<bool> stop_{false};
  std::atomic<bool> slow_{false};
  std::atomic<bool> ended_{false};
  std::atomic<std::uint64_t> sends_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::int64_t> last_arrival_{0};
  std::thread sender_;
  std::thread receiver_;
};

}  // namespace sluice::test
