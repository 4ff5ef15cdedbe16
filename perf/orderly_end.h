// SIGINT and SIGTERM end a run at its next sample, not at once, so that interfaces, pins, directories and agents are
// removed.
//   const OrderlyEnd end;                          // main
//   SL_RETURN_IF_ERROR(OrderlyEnd::Check());       // a suite, before each sample and whatever else takes seconds
#pragma once

#include <csignal>
#include <iterator>

#include "base/status.h"

namespace sluice::perf {

// While it lives, the signals are deferred until Check. One instance at a time.
class OrderlyEnd {
 public:
  OrderlyEnd();
  ~OrderlyEnd();
  OrderlyEnd(const OrderlyEnd&) = delete;
  OrderlyEnd& operator=(const OrderlyEnd&) = delete;

  static Status Check();  // Cancelled: one of them came. Thread-safe

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM};
  struct sigaction before_[std::size(kSignals)] = {};
};

}  // namespace sluice::perf
