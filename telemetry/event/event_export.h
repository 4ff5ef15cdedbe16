// Writes events into a file, one JSON object a line. Follows the hub in a thread of its own. Events that cannot be
// written, or exceed the rate or their workload's share, are counted and reported in the file as `lost` events.
// Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <thread>

#include "telemetry/event/event_hub.h"
#include "telemetry/event/export_shares.h"
#include "telemetry/event/json.h"
#include "telemetry/event/rotating_file.h"

namespace sluice::telemetry {

// Limits events per second; bursts of one second's worth may pass. A reserve of half of that is only for workloads that
// took less than 1/16 in this second, so that a flood of one workload leaves room for the others. 0: no limit. Not
// thread-safe.
class RateLimit {
 public:
  explicit RateLimit(std::uint32_t per_second)
      : per_second_(per_second), reserve_(per_second_ / 2), room_(per_second_ + reserve_) {}
  bool Take(const policy::ObjectName& owner, std::uint64_t monotonic_ns);

 private:
  const double per_second_;
  const double reserve_;  // of room_
  double room_;
  std::uint64_t last_ns_ = 0;
  std::uint64_t second_ = 0;
  std::map<policy::ObjectName, std::uint32_t> taken_;  // in that second
};

class EventExport {
 public:
  struct Options {
    std::string node;
    RotatingFile::Options file;
    std::uint32_t rate = 0;          // events a second; 0: no limit; see RateLimit
    std::chrono::seconds span{600};  // the files cover at least this time, whatever one workload does: ExportShares
    Clock clock = ReadClocks;
    // Of an event; empty: it is left out.
    std::function<StatusOr<std::string>(const v1::Event&)> to_line = EventToJson;
    std::vector<std::string> types = {};  // of exported events; empty: all
    bool with_parents = false;            // events have v1::Event.parent
  };

  // Forks are only exported if `types` names them. Error: as RotatingFile::Open and EventHub::Subscribe. `hub` must
  // outlive the export; closing it ends the thread.
  static StatusOr<std::unique_ptr<EventExport>> Start(Options options, EventHub* hub);
  ~EventExport();
  EventExport(const EventExport&) = delete;
  EventExport& operator=(const EventExport&) = delete;

  std::uint64_t written() const { return written_; }
  std::uint64_t lost_by_rate() const { return lost_by_rate_; }
  std::uint64_t lost_by_share() const { return lost_by_share_; }
  std::uint64_t lost_by_errors() const { return lost_by_errors_; }
  // How often another program moved, removed or truncated the file.
  std::uint64_t moved() const { return moved_; }

 private:
  EventExport(Options options, EventHub* hub, RotatingFile file);
  void Run();
  void Export(const v1::Event& event);
  bool Write(const v1::Event& event);
  bool Write(const StatusOr<std::string>& json);
  void TellLosses(bool now);

  const Options options_;
  EventHub* const hub_;
  WallClock clock_;
  RotatingFile file_;  // this and the next six: used by the thread only
  RateLimit rate_;
  ExportShares shares_;
  std::map<std::pair<const char*, policy::ObjectName>, std::uint64_t> untold_;  // by cause and workload
  std::uint64_t next_telling_ns_ = 0;
  bool failing_ = false;  // the failure is logged already
  std::unique_ptr<Subscription> following_;
  std::atomic<std::uint64_t> written_ = 0;
  std::atomic<std::uint64_t> lost_by_rate_ = 0;
  std::atomic<std::uint64_t> lost_by_share_ = 0;
  std::atomic<std::uint64_t> lost_by_errors_ = 0;
  std::atomic<std::uint64_t> moved_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::telemetry
