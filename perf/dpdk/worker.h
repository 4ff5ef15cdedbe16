// A function on DPDK's worker thread, which Eal put on its second CPU.
#pragma once

#include <functional>

namespace sluice::perf {

class Worker {
 public:
  explicit Worker(std::function<void()> run);
  ~Worker();  // waits until it has returned
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

 private:
  const std::function<void()> run_;
};

}  // namespace sluice::perf
