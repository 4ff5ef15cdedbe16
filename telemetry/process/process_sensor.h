// Runs the process sensors: passes their events into the tree, and from there to the followers. A separate thread reads
// them every few milliseconds, or when the ring fills up; followers never delay it.
//
//   // The tree is complete when Start returns.
//   auto sensor = ProcessSensor::Start({.node = node, .probes = {.pin_root = root}}, &hub);
//   (*sensor)->events().ToProto(process_id, flow.mutable_source()->mutable_process());
//
// If maps are pinned, it also runs the socket probes, which tell the packet path the process behind a flow. After a
// loss the tree is resynced: the iterator reports every living process again. That uses at most a tenth of the time;
// only a hundredth if the loss was one workload exceeding its share, so that others do not pay for it. Thread-safe.
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
    ProcessNames names;
    std::chrono::milliseconds poll_interval{20};
    std::chrono::milliseconds heal_interval{1000};  // between two resyncs; ten times as long after a share's loss
    Clock boot_clock = ReadBootClock;
    std::shared_ptr<const Redaction> redaction;  // null: arguments are kept as they are
  };
  struct Counters {  // since the start
    std::uint64_t execs = 0;
    std::uint64_t forks = 0;
    std::uint64_t exits = 0;
    std::uint64_t malformed = 0;  // records that could not be decoded
    std::uint64_t healings = 0;   // resyncs
    std::uint64_t lost[SL_PROCESS_LOSS_COUNT] = {};
  };

  // Errors: as ProcessProbes::Start and Seed. `hub` and `history` must outlive the sensor. `history` gets exec and exit
  // events; null: none.
  static StatusOr<std::unique_ptr<ProcessSensor>> Start(Options options, EventHub* hub, History* history = nullptr);
  ~ProcessSensor();
  ProcessSensor(const ProcessSensor&) = delete;
  ProcessSensor& operator=(const ProcessSensor&) = delete;

  // Reads every living process again, to update facts that change without an event: credentials, namespaces, cgroup.
  // Readings use at most a tenth of the time: calls during a pause share the next reading. Returns when it is done, or
  // after two seconds.
  void Refresh();

  const ProcessTree& tree() const { return tree_; }
  const ProcessEvents& events() const { return events_; }
  Counters counters() const;
  // Returns when everything that the sensors sent before the call is processed, or after `timeout`.
  void CatchUp(std::chrono::milliseconds timeout);
  bpf::ProcessBackEnd back_end() const { return probes_->back_end(); }
  bpf::Feature feature() const { return probes_->feature(); }
  // Null: nothing is pinned, so no packet path could use them; or the kernel refused the probes (see the log).
  const bpf::SocketProbes* sockets() const { return sockets_.get(); }
  int map_fd(const std::string& name) const { return probes_->map_fd(name); }
  StatusOr<bpf::MapFill> ReadFill() const { return probes_->ReadFill(); }

 private:
  ProcessSensor(Options options, EventHub* hub, History* history);
  void Run();
  void Consume(std::string_view bytes);
  void Publish(const ProcessInstance& instance, sl_process_event kind);
  // Reports losses. Returns how many records of the iterator were lost, or 1 if that cannot be read.
  std::uint64_t AnnounceLosses();
  Status Seed();
  void Heal();
  // Whether the time since the last reading of all processes is at least `pauses` times what it took.
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

  mutable std::mutex mutex_;  // guards counters_ and the four numbers below
  Counters counters_;
  std::condition_variable caught_up_;
  std::uint64_t asked_ = 0;    // calls of CatchUp
  std::uint64_t drained_ = 0;  // calls of CatchUp before the last reading
  std::condition_variable refreshed_;
  std::uint64_t refreshes_wanted_ = 0;  // calls of Refresh
  std::uint64_t refreshes_done_ = 0;    // calls of Refresh that are answered
  enum class Damage { kNone, kOfShare, kAny };
  Damage damage_ = Damage::kNone;                  // this and the next two: used by the reading thread only
  std::chrono::steady_clock::time_point seeded_;   // the end of the last reading of all processes
  std::chrono::steady_clock::duration seeding_{};  // how long it took
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
