// Runs the product's process sensors for every exec of this machine, with a follower that counts one program's events.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "telemetry/process/process_sensor.h"

namespace sluice::perf {

enum class Sensing {
  kOff,
  kOn,            // as the agent runs them
  kSlowReader,    // the ring is read ten times less often
  kSlowFollower,  // another follower takes 10 ms for each event
};
const char* ToString(Sensing sensing);

class Watch {
 public:
  struct Outcome {
    std::uint64_t delivered = 0;  // exec events of the program, received by the counting follower
    std::uint64_t lost = 0;       // in the kernel, of any program
    std::uint64_t dropped = 0;    // by the followers' queues
  };

  // No exec is missed after it returns. Its threads are pinned like the calling thread. kOff is not allowed.
  static StatusOr<std::unique_ptr<Watch>> Start(Sensing sensing, const std::string& program);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  // Waits for the events of `instances` execs of the program, or until they are known to be lost.
  Outcome Await(std::uint64_t instances);

 private:
  Watch();
  void Count(const std::string& program);
  void Dawdle();
  std::uint64_t Lost() const;

  telemetry::EventHub hub_;
  telemetry::History history_;
  std::unique_ptr<telemetry::Subscription> counting_;
  std::unique_ptr<telemetry::Subscription> dawdling_;
  std::unique_ptr<telemetry::ProcessSensor> sensor_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t delivered_ = 0;  // guarded by mutex_
  std::thread counter_;
  std::thread dawdler_;
};

}  // namespace sluice::perf
