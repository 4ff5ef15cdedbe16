// Delivers one signal's requests (logs, or metrics) to a collector: tries again with pauses that double, as OTLP asks,
// and counts what becomes of the records. One thread delivers; Stop and Numbers are for any thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <string>

#include "ctrl/otlp/otlp_sender.h"
#include "telemetry/metrics/otlp_numbers.h"

namespace sluice::otlp {

struct OtlpPauses {
  std::chrono::milliseconds first{1000};  // after a failure; a fifth more or less, so that agents do not come at once
  std::chrono::milliseconds longest{30'000};   // unless the collector asks for more
  std::chrono::milliseconds give_up{300'000};  // after so long a request is given up
};

class OtlpDelivery {
 public:
  OtlpDelivery(std::string signal, OtlpPauses pauses, std::unique_ptr<OtlpSender> sender);

  // Until the request is taken, refused or given up. `items`: records or data points in it.
  void Deliver(std::uint64_t items, const std::function<OtlpResult(OtlpSender* sender)>& send);
  void CountNoRoom(std::uint64_t items);
  // Waits so long, or until Stop. False: Stop was called.
  bool Wait(std::chrono::milliseconds time);

  // What is to be delivered yet has `time`; afterwards Deliver only counts. Returns when Finish was called, or the time
  // is over and what still waits for the collector is interrupted.
  void Stop(std::chrono::milliseconds time);
  bool stopping() const;
  bool ended() const;  // the time is over
  void Finish();       // nothing more is delivered
  telemetry::OtlpNumbers Numbers() const;

 private:
  using Clock = std::chrono::steady_clock;
  void TellProblem(const OtlpResult& result);                             // by mutex_
  std::chrono::milliseconds Jittered(std::chrono::milliseconds pause);    // by mutex_
  bool HasEnded() const { return stopping_ && Clock::now() >= end_at_; }  // by mutex_

  const std::string signal_;
  const OtlpPauses pauses_;
  const std::unique_ptr<OtlpSender> sender_;
  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  telemetry::OtlpNumbers numbers_;
  std::string problem_;  // of the last request; empty: none
  Clock::time_point told_at_;
  std::minstd_rand random_{std::random_device{}()};
  bool stopping_ = false;
  bool finished_ = false;
  Clock::time_point end_at_;  // once stopping_
};

}  // namespace sluice::otlp
