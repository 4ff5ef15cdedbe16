// One reader of the cluster's events: the streams of all nodes, merged by time, until they end or the reader has gone.
// Nodes come and go meanwhile: each change is told in its place. Blocks; for one thread.
//
//   ClusterObserve observe(&nodes, request, {}, "relay", {.consume = write, .tell = write_state, .is_over =
//   cancelled}); SL_RETURN_IF_ERROR(observe.Run());
#pragma once

#include <functional>

#include "ctrl/relay/event_stream.h"
#include "ctrl/relay/nodes.h"

namespace sluice::cluster {

struct ObserveLimits {
  std::chrono::milliseconds hold{500};      // how long an event waits for older ones of other nodes
  std::chrono::milliseconds opening{2000};  // a follower's past events are over after this time
  std::chrono::milliseconds stall{5000};    // past events: a node that sends nothing for so long is not waited for
  std::size_t past_events = 100'000;        // that are held while the newest ones are looked for
  std::size_t past_bytes = 32U << 20;
  std::size_t inbox_bytes = 16U << 20;  // of all nodes together
  std::uint64_t most_of_one = 200'000;  // past events of one node, where the request says no number
};

class ClusterObserve {
 public:
  struct Reader {
    std::function<bool(const v1::Event&)> consume;  // false: the reader has gone
    std::function<bool(const NodeState&)> tell;     // likewise
    std::function<bool()> is_over;
  };

  // `nodes` outlives this. `name`: the relay's, of events about its own losses.
  ClusterObserve(const Nodes* nodes, v1::ObserveRequest request, const ObserveLimits& limits, std::string name,
                 Reader reader);
  ~ClusterObserve();
  ClusterObserve(const ClusterObserve&) = delete;
  ClusterObserve& operator=(const ClusterObserve&) = delete;

  // OK also when the reader has gone. Without `follow`, nodes that did not answer are reported and left out.
  Status Run();

 private:
  using Clock = std::chrono::steady_clock;
  struct Heard {
    NodePtr node;
    EventStreamPtr stream;    // null: none is open
    bool missing = false;     // the reader knows
    bool done = false;        // it has sent all that was asked for
    Clock::time_point again;  // not before that
    std::chrono::milliseconds pause{0};
  };

  void FollowNodes();
  void FreeStreams();
  void Open(Heard& heard, bool again);
  bool FollowStreams();
  void EndStream(Heard& heard, const grpc::Status& status);
  // Passes on what is ready. False: there was nothing.
  bool PassOn();
  bool TakeReady(std::vector<EventMerge::Merged>* ready);
  void Deliver(const EventMerge::Merged& merged);
  void HoldBack(v1::Event event);
  void EndPast();
  bool IsDone();
  void Wait();
  void Tell(const Node& node, NodeState::State state, const std::string& problem);
  void Consume(const v1::Event& event);

  const Nodes* const nodes_;
  const v1::ObserveRequest request_;
  const ObserveLimits limits_;
  const std::string name_;
  const Reader reader_;
  const std::int64_t begun_ns_ = NowNs();
  const Clock::time_point begun_ = Clock::now();
  const std::unique_ptr<Inbox> inbox_;
  std::map<NodeAddress, Heard> heard_;
  std::map<EventMerge::Source, EventStreamPtr> sources_;
  EventMerge::Source last_source_ = 0;
  std::uint64_t nodes_seen_ = 0;
  bool gone_ = false;       // the reader
  bool trims_ = false;      // only the newest past events are wanted
  bool past_over_ = false;  // held events have been passed on
  std::deque<v1::Event> held_;
  std::size_t held_bytes_ = 0;
  std::uint64_t held_lost_ = 0;
};

}  // namespace sluice::cluster
