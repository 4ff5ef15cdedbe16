// One agent as the relay knows it: the connection, whether it answers, and what came from it. Thread-safe.
#pragma once

#include <grpcpp/channel.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "api/relay.pb.h"
#include "api/sluice.grpc.pb.h"
#include "api/tls.h"
#include "api/web.grpc.pb.h"
#include "base/status.h"

namespace sluice::cluster {

// How the relay reaches agents by TCP, and what they must present.
struct AgentTls {
  api::TlsFiles files;
  std::string name;  // in every agent's certificate; empty: each address's host
};

struct NodeAddress {
  std::string name;     // of the node; empty: as the agent says
  std::string address;  // of its API: unix:///PATH, or HOST:PORT with TLS
  auto operator<=>(const NodeAddress&) const = default;
};

// "ADDRESS" or "NAME=ADDRESS". InvalidArgument: neither, or a name with other characters than letters, digits, '.', '-'
// and '_'.
StatusOr<NodeAddress> ParseNodeAddress(const std::string& text);

// A text that an agent, or a library about it, made: printable and short.
std::string Harmless(const std::string& text);

class Node {
 public:
  // InvalidArgument: an address by TCP without TLS files. Connects later.
  static StatusOr<std::shared_ptr<Node>> Make(const NodeAddress& address, const AgentTls& tls);

  struct Counts {
    std::atomic<std::uint64_t> events = 0;  // passed on
    std::atomic<std::uint64_t> late = 0;
    std::atomic<std::uint64_t> refused = 0;
    std::atomic<std::uint64_t> renamed = 0;
    std::atomic<std::uint64_t> paused = 0;  // times that reading stopped for a slow client
  };

  const NodeAddress& given() const { return given_; }
  const std::string& address() const { return given_.address; }
  // The given name, else the one that the agent gave last, else its address.
  std::string name() const;
  bool is_connected() const;
  NodeStatus status() const;
  grpc::Channel& channel() const { return *channel_; }
  v1::Sluice::Stub& stub() const { return *stub_; }
  web::Web::Stub& web_stub() const { return *web_stub_; }
  Counts& counts() const { return counts_; }

  // For Nodes. True: the state has changed. `said`: the name that the agent gives.
  bool SetConnected(const std::string& said, const std::string& version);
  bool SetMissing(const std::string& problem);

 private:
  Node(NodeAddress given, std::shared_ptr<grpc::Channel> channel);

  const NodeAddress given_;
  const std::shared_ptr<grpc::Channel> channel_;
  const std::unique_ptr<v1::Sluice::Stub> stub_;
  const std::unique_ptr<web::Web::Stub> web_stub_;
  mutable Counts counts_;
  mutable std::mutex mutex_;  // of what follows
  bool connected_ = false;
  std::chrono::system_clock::time_point since_ = std::chrono::system_clock::now();
  std::string problem_ = "it has not answered yet";
  std::string said_;
  std::string version_;
};

using NodePtr = std::shared_ptr<Node>;

}  // namespace sluice::cluster
