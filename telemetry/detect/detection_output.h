// Sends detections to one receiver, in a thread of its own: a slow receiver delays nothing else. What does not fit the
// queue is counted by rule and workload (DetectionQueue says whose). While the receiver fails, the oldest one waits,
// and the pauses between attempts double.
//   DetectionOutput output({.name = "http"}, std::make_unique<...>());
//   output.Offer(detection);   // returns at once
// Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "base/status.h"
#include "telemetry/detect/detection_queue.h"
#include "telemetry/detect/rule_losses.h"

namespace sluice::telemetry {

class DetectionSender {
 public:
  enum class Sent {
    kDone,
    kRefused,  // the receiver does not take this one: it is not sent again
    kLater,    // to be sent again
  };
  struct Result {
    Sent sent = Sent::kDone;
    std::string problem;                         // if not kDone
    std::chrono::milliseconds at_earliest = {};  // kLater: the receiver asks for so long a pause
  };
  virtual ~DetectionSender() = default;
  // May block for a bounded time. Called from the output's thread only.
  virtual Result Send(const v1::Event& detection) = 0;
  // Ends a Send that blocks. From any thread.
  virtual void Interrupt() {}
};

class DetectionOutput {
 public:
  struct Options {
    std::string name;  // in logs, metrics and status: "http"
    DetectionQueue::Limits queue;
    std::chrono::milliseconds first_pause{100};  // after a failure
    std::chrono::milliseconds longest_pause{30'000};
    std::chrono::milliseconds at_end{1000};  // for what is queued when this ends
  };
  DetectionOutput(Options options, std::unique_ptr<DetectionSender> sender);
  // Sends what is queued, for at most `at_end`; the rest is counted and logged.
  ~DetectionOutput();
  DetectionOutput(const DetectionOutput&) = delete;
  DetectionOutput& operator=(const DetectionOutput&) = delete;

  void Offer(EventPtr detection);

  DetectionOutputNumbers Numbers() const;
  // Adds what was given up to `losses`, as `unsent`.
  void AddLosses(RuleLosses* losses) const;

 private:
  void Run();
  void SendOne(const EventPtr& detection);
  void CountLost(const v1::Event& event);  // by mutex_

  const Options options_;
  const std::unique_ptr<DetectionSender> sender_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  DetectionQueue queue_;  // this and the next ones: by mutex_
  RuleLosses losses_;
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;
  std::uint64_t failures_ = 0;
  std::string problem_;
  bool sending_ = false;
  bool stopping_ = false;
  std::chrono::steady_clock::time_point end_at_;  // once stopping_
  std::thread thread_;
};

}  // namespace sluice::telemetry
