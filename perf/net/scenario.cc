#include "perf/net/scenario.h"

#include <algorithm>
#include <csignal>
#include <set>

#include "ctrl/base/log.h"

namespace sluice::perf {
namespace {

volatile std::sig_atomic_t interrupted = 0;

// While it lives, SIGINT and SIGTERM end the run at the next sample, so that what was made is taken back.
class OrderlyEnd {
 public:
  OrderlyEnd() {
    interrupted = 0;
    struct sigaction action {};
    action.sa_handler = [](int /*signal*/) { interrupted = 1; };
    action.sa_flags = SA_RESTART;
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &action, &before_[i]);
  }
  ~OrderlyEnd() {
    for (std::size_t i = 0; i < std::size(kSignals); ++i) sigaction(kSignals[i], &before_[i], nullptr);
  }
  OrderlyEnd(const OrderlyEnd&) = delete;
  OrderlyEnd& operator=(const OrderlyEnd&) = delete;

  static Status Check() { return interrupted != 0 ? Status(absl::StatusCode::kCancelled, "interrupted") : OkStatus(); }

 private:
  static constexpr int kSignals[] = {SIGINT, SIGTERM};
  struct sigaction before_[std::size(kSignals)] = {};
};

}  // namespace

void Select(const RunOptions& options, std::vector<Scenario>* scenarios) {
  std::set<std::string> units;  // of what is wanted
  const auto wanted = [&](const Scenario& one) {
    return std::any_of(one.rows.begin(), one.rows.end(), [&](const Row& row) { return IsSelected(options, row.name); });
  };
  for (const Scenario& one : *scenarios)
    if (wanted(one))
      for (const Row& row : one.rows) units.insert(row.against.begin(), row.against.end());
  const auto unit = [&](const Row& row) { return units.contains(row.name); };
  std::erase_if(*scenarios, [&](const Scenario& one) {
    return !wanted(one) && !(one.floor && std::any_of(one.rows.begin(), one.rows.end(), unit));
  });
}

Status RunScenarios(int rounds, std::vector<Scenario>* scenarios) {
  const OrderlyEnd end;
  LogInfo("preparing {} measurements", scenarios->size());
  for (const Scenario& one : *scenarios) {
    SL_RETURN_IF_ERROR(end.Check());
    SL_RETURN_IF_ERROR(Annotate(one.prepare(), one.rows.front().name));
  }
  for (int round = 0; round < rounds; ++round) {
    LogInfo("round {} of {}: {} measurements", round + 1, rounds, scenarios->size());
    for (Scenario& one : *scenarios) {
      SL_RETURN_IF_ERROR(end.Check());
      const StatusOr<std::vector<double>> samples = one.measure();
      if (!samples.ok()) return Annotate(samples.status(), one.rows.front().name);
      for (std::size_t i = 0; i < one.rows.size(); ++i) one.rows[i].samples.push_back(samples->at(i));
    }
  }
  return OkStatus();
}

}  // namespace sluice::perf
