// The process sensors at work: their events into the tree, and from there to the followers. A thread of its own reads
// them every few milliseconds, or when the ring fills up; nothing that a follower does delays it.
//
//   auto sensor = ProcessSensor::Start({.node = node, .probes = {.pin_root = root}}, &hub);   // the tree is complete
//   now
//   (*sensor)->events().ToProto(process_id, flow.mutable_source()->mutable_process());
//
// Where maps are pinned, it also keeps the socket probes, by which the packet path knows the process behind a flow.
// After a loss the tree heals itself: the iterator tells of every living process again. That takes a tenth of the time
// at most; a hundredth where one workload had more to tell than its share, which is to cost nobody else. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "kernel/bpf/process_probes.h"
#include "kernel/bpf/socket_probes.h"
#include "telemetry/event/event_hub.h"
#include "telemetry/process/process_events.h"
#include "telemetry/process/redaction.h"

namespace sluice::telemetry {

class ProcessSensor {
 public:
  struct Options {
    std::string node;
    bpf::ProcessProbeOptions probes;
    bpf::SocketBackEnd socket_back_end = bpf::SocketBackEnd::kAuto;
    ProcessTree::Options tree;
    WorkloadResolver workload;
    std::chrono::milliseconds poll_interval{20};
    std::chrono::milliseconds heal_interval{1000};  // at most one healing in this time; of one share's loss, in ten
    Clock boot_clock = ReadBootClock;
    std::shared_ptr<const Redaction> redaction;  // null: arguments are kept as they are
  };
  struct Counters {  // since the start
    std::uint64_t execs = 0;
    std::uint64_t forks = 0;
    std::uint64_t exits = 0;
    std::uint64_t malformed = 0;  // records that no sensor of this version sends
    std::uint64_t healings = 0;
    std::uint64_t lost[SL_PROCESS_LOSS_COUNT] = {};
  };

  // Errors: as ProcessProbes::Start and Seed. `hub` and `history` (null: none; gets exec and exit) outlive the sensor.
  static StatusOr<std::unique_ptr<ProcessSensor>> Start(Options options, EventHub* hub, History* history = nullptr);
  ~ProcessSensor();
  ProcessSensor(const ProcessSensor&) = delete;
  ProcessSensor& operator=(const ProcessSensor&) = delete;

  // Has every living process told of again, for what changes without an event: credentials, namespaces, cgroup. The
  // readings take a tenth of the time at most: those who call while it pauses share the next one. Returns when it is
  // done, or after two seconds without.
  void Refresh();

  const ProcessTree& tree() const { return tree_; }
  const ProcessEvents& events() const { return events_; }
  Counters counters() const;
  // Returns when all is known that the sensors told before the call, or after `timeout`.
  void CatchUp(std::chrono::milliseconds timeout);
  bpf::ProcessBackEnd back_end() const { return probes_->back_end(); }
  bpf::Feature feature() const { return probes_->feature(); }
  // Null: nothing is pinned, so no packet path could read it; or the kernel refused the probes, which the log says.
  const bpf::SocketProbes* sockets() const { return sockets_.get(); }
  int map_fd(const std::string& name) const { return probes_->map_fd(name); }
  StatusOr<bpf::MapFill> ReadFill() const { return probes_->ReadFill(); }

 private:
  ProcessSensor(Options options, EventHub* hub, History* history);
  void Run();
  void Consume(std::string_view bytes);
  void Publish(const ProcessInstance& instance, sl_process_event event);
  // Tells of losses; returns how many records of the iterator were among them, or a guess of 1 when it cannot be known.
  std::uint64_t AnnounceLosses();
  Status Seed();
  void Heal();
  // Since the last reading of all processes it has been `pauses` times as long as that took.
  bool HasPaused(int pauses) const;
  void RefreshIfWanted();

  const Options options_;
  EventHub* const hub_;
  History* const history_;
  ProcessTree tree_;
  const ProcessEvents events_;
  std::unique_ptr<bpf::ProcessProbes> probes_;
  std::unique_ptr<bpf::SocketProbes> sockets_;
  void Drain();

  mutable std::mutex mutex_;  // of counters_ and of:
  Counters counters_;
  std::condition_variable caught_up_;
  std::uint64_t asked_ = 0;  // calls of CatchUp, and how many of them were there before the last reading:
  std::uint64_t drained_ = 0;
  std::condition_variable refreshed_;
  std::uint64_t refreshes_wanted_ = 0;  // calls of Refresh, and how many of them are answered:
  std::uint64_t refreshes_done_ = 0;
  enum class Damage { kNone, kOfShare, kAny };
  Damage damage_ = Damage::kNone;                  // of the reading thread, as are:
  std::chrono::steady_clock::time_point seeded_;   // the end of the last reading of all processes
  std::chrono::steady_clock::duration seeding_{};  // how long it took
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
