#include "perf/orderly_end.h"

namespace sluice::perf {
namespace {

volatile std::sig_atomic_t interrupted = 0;

}  // namespace

OrderlyEnd::OrderlyEnd() {
  interrupted = 0;
  struct sigaction action {};
  action.sa_handler = [](int /*signal*/) { interrupted = 1; };
  action.sa_flags = SA_RESTART;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before_[i]);
}

OrderlyEnd::~OrderlyEnd() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
}

Status OrderlyEnd::Check() {
  return interrupted != 0 ? Status(absl::StatusCode::kCancelled, "interrupted") : OkStatus();
}

}  // namespace sluice::perf
