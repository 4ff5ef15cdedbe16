// One question to several agents at the same time. The answers come in the order of the nodes; one that takes too long
// is given up.
//   const auto answers = AskAll<v1::TopReply>(nodes.connected(), 3s, [&](Node& node, auto* context, auto* reply, auto
//   done) {
//     node.stub().async()->Top(context, &request, reply, done);
//   });
#pragma once

#include <condition_variable>
#include <vector>

#include "api/grpc_status.h"
#include "ctrl/relay/node.h"

namespace sluice::cluster {

template <typename Reply>
struct NodeAnswer {
  NodePtr node;
  StatusOr<Reply> reply;
};

// `ask` begins the call; what it takes by reference must outlive AskAll only.
template <typename Reply, typename Ask>
std::vector<NodeAnswer<Reply>> AskAll(const std::vector<NodePtr>& nodes, std::chrono::milliseconds patience,
                                      const Ask& ask) {
  struct Call {
    grpc::ClientContext context;
    Reply reply;
    grpc::Status status;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t under_way = nodes.size();  // by mutex
  std::vector<Call> calls(nodes.size());
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    Call& call = calls[i];
    call.context.set_deadline(std::chrono::system_clock::now() + patience);
    ask(*nodes[i], &call.context, &call.reply, [&](grpc::Status status) {
      const std::lock_guard lock(mutex);
      call.status = std::move(status);
      --under_way;
      changed.notify_all();
    });
  }
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return under_way == 0; });
  std::vector<NodeAnswer<Reply>> answers;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (calls[i].status.ok()) {
      answers.push_back({nodes[i], std::move(calls[i].reply)});
    } else {
      answers.push_back({nodes[i], api::FromGrpc(calls[i].status)});
    }
  }
  return answers;
}

}  // namespace sluice::cluster
