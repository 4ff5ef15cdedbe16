// Keeps the packet path as it should be: compares what is attached and what the maps hold with what the agent put
// there, repairs what somebody else has changed, counts it and says so. The kernel is asked, not the pins.
//
// Attachments, pins, the generation, the settings, interfaces and quarantine are looked at every second; tables every
// five, and where that takes long less often, so that it costs a twenty-fifth of a CPU at most.
// Owns its thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "base/status.h"
#include "kernel/datapath/integrity.h"

namespace sluice::datapath {

class Keeper {
 public:
  struct Step {
    Repaired what;
    std::function<StatusOr<int>()> repair;  // returns how much it repaired
    bool reads_tables = false;
  };
  // `steps` are called from one thread, in their order. What they use outlives the keeper.
  explicit Keeper(std::vector<Step> steps);
  ~Keeper();
  Keeper(const Keeper&) = delete;
  Keeper& operator=(const Keeper&) = delete;

  Integrity integrity() const;

 private:
  void Run();
  void Check(bool tables);

  const std::vector<Step> steps_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;  // by mutex_, as the following
  Integrity integrity_;
  std::vector<std::string> problems_;  // of each step, at its last turn; for the thread only
  std::thread thread_;
};

}  // namespace sluice::datapath
