// Events into a file, one JSON object a line, by a follower of the hub with a thread of its own. What it cannot write,
// what exceeds the rate, or its workload's share, is counted and told in the file as a `lost` event. Thread-safe.
#pragma once

#include <atomic>
#include <thread>

#include "telemetry/event/event_hub.h"
#include "telemetry/event/export_shares.h"
#include "telemetry/event/rotating_file.h"

namespace sluice::telemetry {

// How many events a second may pass: up to a second's worth at once, and beside it half of that for those who took less
// than a sixteenth in this second, so that a flood of one workload's leaves others their places. 0: any number. Not
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
    std::chrono::seconds span{600};  // for which the files reach back whatever one workload does: see ExportShares
    Clock clock = ReadClocks;
  };

  // Forks are left out. Error: as RotatingFile::Open and EventHub::Subscribe. `hub` outlives the export; closing it
  // ends the thread.
  static StatusOr<std::unique_ptr<EventExport>> Start(Options options, EventHub* hub);
  ~EventExport();
  EventExport(const EventExport&) = delete;
  EventExport& operator=(const EventExport&) = delete;

  std::uint64_t written() const { return written_; }
  std::uint64_t lost_by_rate() const { return lost_by_rate_; }
  std::uint64_t lost_by_share() const { return lost_by_share_; }
  std::uint64_t lost_by_errors() const { return lost_by_errors_; }
  // How often others moved, removed or truncated the file.
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
  RotatingFile file_;  // of the thread, as are the next seven
  RateLimit rate_;
  ExportShares shares_;
  std::map<std::pair<const char*, policy::ObjectName>, std::uint64_t> untold_;  // by cause and workload
  std::uint64_t next_telling_ns_ = 0;
  bool failing_ = false;  // logged already
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
