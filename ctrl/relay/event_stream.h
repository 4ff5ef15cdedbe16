// The events of one node for one reader of the relay: an Observe call to its agent, without a thread of its own. What
// comes goes to an Inbox, which all nodes of the reader share. When a node's part of the inbox is full, nothing more is
// read: then the agent counts what it cannot send, and says so in the stream.
#pragma once

#include <grpcpp/support/client_callback.h>

#include <condition_variable>
#include <deque>
#include <mutex>

#include "ctrl/relay/event_merge.h"
#include "ctrl/relay/node.h"

namespace sluice::cluster {

// Of a system clock: event times are compared with it.
std::int64_t NowNs();

class EventStream;

// What a reader's thread shares with the streams. All members by `mutex`.
struct Inbox {
  explicit Inbox(EventMerge::Options options) : merge(options) {}
  std::mutex mutex;
  std::condition_variable changed;
  EventMerge merge;
};

class EventStream final : public grpc::ClientReadReactor<v1::Event> {
 public:
  struct Limits {
    std::size_t events = 1024;  // that wait
    std::size_t bytes = 1U << 20;
    std::uint64_t most = 0;  // of the whole stream; 0: no limit. Beyond it, the stream is ended with an error
  };
  // Begins the call. `source`: the number of this stream in the inbox. Cancel it before it is given up.
  static std::shared_ptr<EventStream> Start(NodePtr node, const v1::ObserveRequest& request, EventMerge::Source source,
                                            const Limits& limits, std::shared_ptr<Inbox> inbox);

  const NodePtr& node() const { return node_; }
  EventMerge::Source source() const { return source_; }
  // These with the inbox's mutex held.
  bool has_begun() const { return begun_; }  // the agent collects events for it
  bool has_ended() const { return ended_; }
  const grpc::Status& end() const { return end_; }
  // After events were taken: reads on, if that was stopped.
  void Resume();
  void Cancel();

 private:
  EventStream(NodePtr node, v1::ObserveRequest request, EventMerge::Source source, Limits limits,
              std::shared_ptr<Inbox> inbox)
      : node_(std::move(node)),
        request_(std::move(request)),
        source_(source),
        limits_(limits),
        inbox_(std::move(inbox)) {}
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  bool HasRoom() const;

  const NodePtr node_;
  const v1::ObserveRequest request_;
  const EventMerge::Source source_;
  const Limits limits_;
  const std::shared_ptr<Inbox> inbox_;
  grpc::ClientContext context_;
  v1::Event incoming_;
  std::shared_ptr<EventStream> self_;  // until the call has ended
  std::uint64_t received_ = 0;
  // By the inbox's mutex.
  bool begun_ = false;
  bool paused_ = false;
  bool ended_ = false;
  bool excessive_ = false;
  bool cancelled_ = false;
  grpc::Status end_;
};

}  // namespace sluice::cluster
