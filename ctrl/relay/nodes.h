// The nodes of the cluster, and whether their agents answer. A thread asks each agent for its status: at once, then
// every few seconds, and with growing pauses while it does not answer. When the TLS files change, agents by TCP get new
// connections. Thread-safe.
//
//   Nodes nodes(tls);
//   nodes.Set(addresses);   // by whoever finds them
//   for (const NodePtr& node : nodes.all()) ...
#pragma once

#include <condition_variable>
#include <map>
#include <thread>
#include <vector>

#include "ctrl/relay/node.h"

namespace sluice::cluster {

class Nodes {
 public:
  struct Options {
    AgentTls tls;
    std::size_t most = 1024;
    std::chrono::milliseconds interval{10000};   // between questions to an agent that answers
    std::chrono::milliseconds first_pause{250};  // and to one that does not; doubled up to `interval`
    std::chrono::milliseconds patience{3000};    // for one answer
  };

  explicit Nodes(Options options);
  ~Nodes();  // ends all questions
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  // What there is from now on; `source` says where it comes from. A node that stays keeps its connection. Beyond the
  // limit, the last ones by name are left out.
  void Set(std::vector<NodeAddress> addresses, const std::string& source);
  void SetProblem(const std::string& problem);  // of the source; empty: it works. What it said before stays

  std::vector<NodePtr> all() const;  // by name and address
  std::vector<NodePtr> connected() const;
  // "2 of 3 nodes answer; missing: node-3 (why)". Empty: all answer.
  std::string MissingText() const;
  // All but the agents' own status.
  void Describe(ClusterStatus* status) const;
  // Grows with each change of the nodes or of their states. Waits until it is not `seen`, or `timeout` is over.
  std::uint64_t WaitForChange(std::uint64_t seen, std::chrono::milliseconds timeout) const;

 private:
  using Clock = std::chrono::steady_clock;
  struct Question {
    NodePtr node;
    grpc::ClientContext context;
    v1::StatusRequest request;
    v1::AgentStatus answer;
  };
  struct Watch {
    NodePtr node;
    Question* asked = nullptr;  // null: no question is under way
    Clock::time_point due;
    std::chrono::milliseconds pause{0};
    bool was_ready = false;  // the connection was
  };

  void Run();
  void FollowTls();
  void Look(Watch& watch, Clock::time_point now);
  void Ask(Watch& watch);
  void Answered(Question* question, const grpc::Status& status);
  bool Accept(Question& question, const grpc::Status& status);
  void Changed();

  const Options options_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<NodeAddress, Watch> watches_;  // by mutex_
  std::string source_;                    // by mutex_
  std::string problem_;                   // by mutex_
  std::size_t left_out_ = 0;              // by mutex_
  std::uint64_t version_ = 1;             // by mutex_
  std::string tls_seen_;                  // of thread_: what the TLS files were like
  // Questions, also to nodes that have gone. Callbacks free none: see Inbox. By mutex_.
  std::map<Question*, std::unique_ptr<Question>> under_way_;
  std::vector<std::unique_ptr<Question>> answered_;  // by mutex_: for thread_ to free
  bool stopping_ = false;                            // by mutex_
  std::thread thread_;
};

}  // namespace sluice::cluster
