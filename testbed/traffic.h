// Background traffic on its own threads while a test changes things: echo servers that count, single datagrams that are
// answered or lost, and a TCP stream that checks every byte in both directions.
//   SL_ASSIGN_OR_RETURN(auto echo, EchoServer::Start(server_netns, {1000}));
//   SL_ASSIGN_OR_RETURN(auto pinger, Pinger::Start({.netns_fd = client, .destination = ip, .port = 1000}));
//   ... pinger->Stop(); EXPECT_EQ(pinger->counts().lost, 0U);
// Sockets are opened by threads that enter the namespaces; the caller's namespace never changes.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "policy/resource/model.h"

namespace sluice::test {

// UDP echo server, IPv4 and IPv6, that counts received datagrams. Stops in its destructor.
class EchoServer {
 public:
  static StatusOr<std::unique_ptr<EchoServer>> Start(int netns_fd, const std::vector<std::uint16_t>& ports);
  ~EchoServer();
  EchoServer(const EchoServer&) = delete;
  EchoServer& operator=(const EchoServer&) = delete;

  std::uint64_t Received(std::uint16_t port) const;
  std::uint64_t ReceivedFrom(const policy::Address& source) const;  // on all ports

 private:
  EchoServer() = default;
  void Serve();

  std::vector<Fd> sockets_;
  std::vector<std::uint16_t> ports_;
  Fd stop_;
  mutable std::mutex mutex_;
  std::map<std::uint16_t, std::uint64_t> by_port_;
  std::map<policy::Address, std::uint64_t> by_source_;
  std::thread thread_;
};

// Sends one datagram after another.
class Pinger {
 public:
  struct Options {
    int netns_fd = -1;
    policy::Address destination;
    std::uint16_t port = 0;
    std::chrono::microseconds interval{1000};  // between an answer and the next datagram
    bool new_flows = false;                    // a new source port for each datagram
    std::chrono::milliseconds patience{3000};  // an unanswered datagram is lost after this; 0: do not wait for answers
  };
  struct Counts {
    std::uint64_t sent = 0;
    std::uint64_t answered = 0;
    std::uint64_t lost = 0;
  };
  static StatusOr<std::unique_ptr<Pinger>> Start(const Options& options);
  ~Pinger() { Stop(); }
  Pinger(const Pinger&) = delete;
  Pinger& operator=(const Pinger&) = delete;

  void Stop();  // after the last datagram is answered or lost
  Counts counts() const { return {sent_, answered_, lost_}; }

 private:
  explicit Pinger(const Options& options) : options_(options) {}
  Fd OpenSocket() const;
  bool Ping(int fd, std::uint64_t number) const;
  void Run();

  const Options options_;
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> answered_{0};
  std::atomic<std::uint64_t> lost_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

// One TCP connection with a steady stream of known bytes each way.
class Stream {
 public:
  struct Options {
    int client_netns_fd = -1;
    int server_netns_fd = -1;
    policy::Address server;
    std::uint16_t port = 0;
  };
  struct Report {
    std::uint64_t sent[2] = {};      // 0: by the client, 1: by the server
    std::uint64_t received[2] = {};  // 0: what the client sent
    std::uint32_t retransmits = 0;   // by both ends
    std::string problem;             // a reset, an end too early, a wrong byte; empty: none
  };
  // Connects; an error when that takes longer than 5 s.
  static StatusOr<std::unique_ptr<Stream>> Open(const Options& options);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Report report() const;
  // Stops sending and waits up to `patience` for data in flight.
  Report Finish(std::chrono::milliseconds patience = std::chrono::seconds(10));

 private:
  Stream(Fd client, Fd server);
  void Run();
  bool Send(int end);
  bool Receive(int end);
  void Fail(const std::string& problem);

  Fd ends_[2];
  mutable std::mutex mutex_;
  Report report_;
  std::atomic<bool> sending_{true};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace sluice::test
