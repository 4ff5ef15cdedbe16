#include "perf/dpdk/worker.h"

#include <rte_launch.h>

namespace sluice::perf {
namespace {

constexpr unsigned kLcore = 1;

int RunIt(void* function) {
  (*static_cast<const std::function<void()>*>(function))();
  return 0;
}

}  // namespace

Worker::Worker(std::function<void()> run) : run_(std::move(run)) {
  // Cannot fail: this is the lcore's only user, so it is idle.
  (void)rte_eal_remote_launch(RunIt, const_cast<std::function<void()>*>(&run_), kLcore);
}

Worker::~Worker() { rte_eal_wait_lcore(kLcore); }

}  // namespace sluice::perf
