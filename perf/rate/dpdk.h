// Runs sluice-traffic, which is built only with SLUICE_DPDK, as a child. Its generator is in generator.h.
#pragma once

#include <string>

#include "testbed/command.h"

namespace sluice::perf {

bool HasDpdk();

// Receives all packets of an interface in user space, on the CPU that is not measured, and drops them.
class DpdkSink {
 public:
  struct Taken {
    std::uint64_t packets = 0;
    double seconds = 0;  // from the first packet to the last
  };
  // Uses net_af_xdp, in the calling thread's namespace. Returns when it is receiving.
  static StatusOr<DpdkSink> Start(const std::string& interface);
  StatusOr<Taken> Finish();

 private:
  explicit DpdkSink(test::ChildProcess child) : child_(std::move(child)) {}
  test::ChildProcess child_;
};

}  // namespace sluice::perf
