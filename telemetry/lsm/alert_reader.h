// Records of the LSM programs -> alerts for followers, the history and files. One thread reads the ring:
//   AlertReader reader({.describe = ..., .catch_up = ...}, &tree, &events, &hub, &history);
//   reader.Consume(record, size);  // for each record
//   reader.Tick();                 // after each reading
// Only `counters` may be called from other threads. Records wait for the sensors' record of their process until the
// next Tick, at most max_batch of them.
#pragma once

#include <atomic>
#include <vector>

#include "telemetry/event/event_hub.h"
#include "telemetry/lsm/alert_description.h"
#include "telemetry/process/process_events.h"

namespace sluice::telemetry {

class AlertReader {
 public:
  struct Options {
    AlertDescriber describe;
    // The workload of an sl_lsm_event.subject; nothing: it is the host, or not known. May be empty.
    std::function<std::optional<policy::ObjectName>(std::uint32_t subject)> subject;
    std::function<policy::Labels(const policy::ObjectName& workload)> labels;  // may be empty
    std::function<void()> catch_up;                                            // ProcessSensor::CatchUp; may be empty
    std::size_t max_batch = 1024;  // records that wait for the next Tick, at most about 10 KiB each
  };
  struct Counters {  // since the start
    std::uint64_t alerts = 0;
    std::uint64_t malformed = 0;      // records that could not be decoded
    std::uint64_t unknown_rules = 0;  // records of rules that are known no more
  };

  // `history` may be null. All must outlive the reader.
  AlertReader(Options options, const ProcessTree* tree, const ProcessEvents* processes, EventHub* hub,
              History* history);

  void Consume(const void* record, std::size_t size);
  void Tick();
  // Reports `count` records that the kernel could not send, to followers.
  void TellLost(std::uint64_t count);

  Counters counters() const;

 private:
  v1::Event Begin(const AlertRecord& record) const;
  void Publish(const AlertRecord& record);

  const Options options_;
  const ProcessTree* const tree_;
  const ProcessEvents* const processes_;
  EventHub* const hub_;
  History* const history_;
  std::vector<AlertRecord> batch_;
  std::uint64_t unknown_told_ = 0;
  std::atomic<std::uint64_t> alerts_ = 0;
  std::atomic<std::uint64_t> malformed_ = 0;
  std::atomic<std::uint64_t> unknown_rules_ = 0;
};

}  // namespace sluice::telemetry
