// SIGINT and SIGTERM end a run at its next sample and not at once, so that what it made is taken back: interfaces,
// pins, directories, agents.
//   const OrderlyEnd end;                          // main
//   SL_RETURN_IF_ERROR(OrderlyEnd::Check());       // a suite, before each sample and whatever else takes seconds
#pragma once

#include <csignal>
#include <iterator>

#include "base/status.h"

namespace sluice::perf {

// As long as it lives, the signals wait for Check. One at a time.
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
