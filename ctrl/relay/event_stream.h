// The events of one node for one reader of the relay: an Observe call to its agent, without a thread of its own. What
// comes goes to an Inbox, which all nodes of the reader share. When a node's part of the inbox is full, nothing more is
// read: then the agent counts what it cannot send, and says so in the stream.
#pragma once

#include <grpcpp/support/client_callback.h>

#include <condition_variable>
#include <mutex>
#include <set>
#include <vector>

#include "ctrl/relay/event_merge.h"
#include "ctrl/relay/node.h"

namespace sluice::cluster {

// Of a system clock: event times are compared with it.
std::int64_t NowNs();

class EventStream;
using EventStreamPtr = std::shared_ptr<EventStream>;

// What a reader's thread shares with the streams, which it owns for them. All members by `mutex`.
//
// gRPC's callbacks free nothing: whoever frees the last of a channel's users frees the channel, whose end waits for the
// threads that run callbacks.
struct Inbox {
  explicit Inbox(EventMerge::Options options) : merge(options) {}
  std::mutex mutex;
  std::condition_variable changed;
  EventMerge merge;
  std::set<EventStreamPtr> open;       // whose calls have not ended
  std::vector<EventStreamPtr> closed;  // for the reader's thread to free
};

class EventStream final : public grpc::ClientReadReactor<v1::Event>, public std::enable_shared_from_this<EventStream> {
 public:
  struct Limits {
    std::size_t events = 1024;  // that wait
    std::size_t bytes = 1U << 20;
    std::uint64_t most = 0;  // of the whole stream; 0: no limit. Beyond it, the stream is ended with an error
  };
  // Begins the call. `source`: the number of this stream in `inbox`, which outlives Inbox::open.
  static EventStreamPtr Start(NodePtr node, const v1::ObserveRequest& request, EventMerge::Source source,
                              const Limits& limits, Inbox* inbox);

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
  EventStream(NodePtr node, v1::ObserveRequest request, EventMerge::Source source, Limits limits, Inbox* inbox)
      : node_(std::move(node)), request_(std::move(request)), source_(source), limits_(limits), inbox_(inbox) {}
  void OnReadInitialMetadataDone(bool ok) override;
  void OnReadDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;
  bool HasRoom() const;

  const NodePtr node_;
  const v1::ObserveRequest request_;
  const EventMerge::Source source_;
  const Limits limits_;
  Inbox* const inbox_;
  grpc::ClientContext context_;
  v1::Event incoming_;
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
