// Keeps the packet path as it should be: compares attachments and maps in the kernel with what the agent put there, and
// repairs, counts and reports changes by others. It reads the kernel's state, not the pins.
//
// Attachments, pins, the generation, the settings, interfaces and quarantine are checked every second. Tables are
// checked every five seconds, or less often if that would use more than 4% of a CPU. Owns its thread.
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
  // `steps` are called from one thread, in their order. What they use must outlive the keeper.
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
  bool stopping_ = false;  // guarded by mutex_, as integrity_
  Integrity integrity_;
  std::vector<std::string> problems_;  // of each step, at its last run; used by the thread only
  std::thread thread_;
};

}  // namespace sluice::datapath
