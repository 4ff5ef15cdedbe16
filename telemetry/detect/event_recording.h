// Records of the sensors' events for `sluice record`, each recording with its own bounded queue: one that is not read
// in time loses events, and says how many. Thread-safe. All recordings end before EventRecordings does.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "base/status.h"
#include "policy/resource/model.h"
#include "policy/rules/event.h"

namespace sluice::telemetry {

class EventRecordings;

// Which events are recorded.
struct RecordingFilter {
  policy::rules::EventSet types;
  policy::ObjectName workload;  // empty: of all workloads, and of the host

  bool Takes(policy::rules::EventType type, const policy::ObjectName& of) const {
    return types.test(type) && (workload.name.empty() || of == workload);
  }
};

class EventRecording {
 public:
  ~EventRecording();
  EventRecording(const EventRecording&) = delete;
  EventRecording& operator=(const EventRecording&) = delete;

  struct Batch {
    std::vector<std::string> records;  // policy::rules::EventRecord; oldest first
    std::uint64_t lost = 0;            // since the batch before, as the queue was full
  };
  // What is there, at most about 256 KiB; waits for the first. Empty: nothing came in time, or it is closed.
  Batch Next(std::chrono::milliseconds timeout);

 private:
  friend class EventRecordings;
  EventRecording(EventRecordings* all, RecordingFilter filter) : all_(all), filter_(std::move(filter)) {}

  EventRecordings* const all_;
  const RecordingFilter filter_;
  std::deque<std::string> records_;  // this and the next ones: by EventRecordings::mutex_
  std::size_t bytes_ = 0;
  std::uint64_t lost_ = 0;
};

class EventRecordings {
 public:
  struct Options {
    std::size_t max_recordings = 4;
    std::size_t queue_bytes = 16U << 20U;  // of one recording
  };
  EventRecordings() : EventRecordings(Options()) {}
  explicit EventRecordings(Options options) : options_(options) {}

  // ResourceExhausted: there are too many already. Unavailable: closed.
  StatusOr<std::unique_ptr<EventRecording>> Begin(RecordingFilter filter);
  void OnEvent(const policy::rules::Event& event, const policy::ObjectName& workload);
  // Ends every Next; there are no new ones afterwards.
  void Close();
  bool closed() const;

 private:
  friend class EventRecording;
  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::set<EventRecording*> recordings_;
  bool closed_ = false;
};

}  // namespace sluice::telemetry
