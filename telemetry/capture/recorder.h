// Writes the packets around an alert to a file: those that are kept of the workload from before, and those that come in
// the seconds after. One thread does the work; callers return at once. Thread-safe.
//
//   StatusOr<std::string> file = recorder.Write({"shop", "web-0"}, {.kind = "response", .text = "rule Shell in pod"});
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/status.h"
#include "policy/resource/model.h"
#include "telemetry/capture/capture_files.h"
#include "telemetry/capture/packet_capture.h"
#include "telemetry/event/event_hub.h"
#include "telemetry/pcapng/capture_writer.h"

namespace sluice::telemetry {

// Why packets are written.
struct CaptureCause {
  // Of a closed set, lower case, for names and metrics: "denied", "hook", "alert", "detection", "response".
  std::string kind;
  std::string text;  // for people, in the file
};

class Recorder {
 public:
  struct Options {
    CaptureFiles::Options files;
    std::string node;
    std::string application;          // "Sluice 1.0", in the files
    std::chrono::seconds before{30};  // of the packets that are kept
    std::chrono::seconds after{5};
    std::chrono::seconds interval{30};  // between the beginnings of two files of one workload
    std::uint64_t max_file_bytes = 16U << 20;
    std::size_t max_open = 16;            // files that are written at one time
    std::chrono::milliseconds poll{100};  // between two looks at the rings
  };
  struct Numbers {
    std::map<std::string, std::uint64_t> written;  // finished files by kind of cause
    std::uint64_t written_bytes = 0;               // of these files
    std::uint64_t suppressed = 0;                  // by `interval` and `max_open`
    std::uint64_t failed = 0;
    CaptureFiles::Usage files;
  };

  // `capture` must outlive it. As CaptureFiles::Open.
  static StatusOr<std::unique_ptr<Recorder>> Start(Options options, PacketCapture* capture);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // Begins a file of the workload's packets, and returns its path; the file is complete, and has that name, when the
  // seconds after are over. A workload that is not captured is, until then: its file has no packets from before.
  // ResourceExhausted: the last file of the workload is too young, too many are being written, or no memory is left for
  // captures. NotFound: no local workload has this name.
  StatusOr<std::string> Write(const policy::ObjectName& workload, const CaptureCause& cause);

  // From now on, writes for each event that passes `filter` and belongs to a workload: `kind` is the cause's. The hub
  // must outlive it.
  Status FollowEvents(EventHub* hub, EventFilter filter);

  Numbers numbers() const;

 private:
  struct Job;
  Recorder(Options options, PacketCapture* capture, CaptureFiles files);
  void Run();
  void ReadEvents();
  bool Continue(Job* job, std::chrono::steady_clock::time_point now);
  void Finish(Job* job);
  Status Admit(const policy::ObjectName& workload, std::chrono::steady_clock::time_point now);

  const Options options_;
  PacketCapture* const capture_;
  CaptureFiles files_;        // for its thread, except numbers_.files
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::unique_ptr<Job>> begun_;  // for the thread to take
  std::map<policy::ObjectName, std::chrono::steady_clock::time_point> last_;
  std::size_t open_ = 0;
  Numbers numbers_;
  bool stopping_ = false;
  std::thread thread_;
  EventHub* hub_ = nullptr;  // these three: of FollowEvents
  std::unique_ptr<Subscription> events_;
  std::thread events_thread_;
};

}  // namespace sluice::telemetry
