#include "perf/net/scenario.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>

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

// Of the process: a thread may have been put on one of them.
StatusOr<cpu_set_t> AllowedCpus() {
  cpu_set_t allowed;
  if (sched_getaffinity(getpid(), sizeof(allowed), &allowed) != 0) return ErrnoError(errno, "read the allowed CPUs");
  return allowed;
}

}  // namespace

Status Select(const RunOptions& options, std::vector<Scenario>* scenarios) {
  const auto wanted = [&](const Scenario& one) {
    return std::any_of(one.rows.begin(), one.rows.end(), [&](const Row& row) { return IsSelected(options, row.name); });
  };
  if (std::none_of(scenarios->begin(), scenarios->end(), wanted))
    return InvalidError("no row has \"{}\" in its name", fmt::join(options.filters, "\" or \""));
  std::erase_if(*scenarios, [&](const Scenario& one) { return !one.floor && !wanted(one); });
  return OkStatus();
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

StatusOr<int> LastCpu() {
  SL_ASSIGN_OR_RETURN(const cpu_set_t allowed, AllowedCpus());
  int cpu = CPU_SETSIZE - 1;
  while (cpu > 0 && !CPU_ISSET(cpu, &allowed)) --cpu;
  return cpu;
}

int OtherCpu(int cpu) {
  const StatusOr<cpu_set_t> allowed = AllowedCpus();
  if (!allowed.ok()) return -1;
  for (int other = 0; other < CPU_SETSIZE; ++other)
    if (other != cpu && CPU_ISSET(other, &*allowed)) return other;
  return -1;
}

Status StayOnCpu(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(cpu, &one);
  return sched_setaffinity(0, sizeof(one), &one) == 0 ? OkStatus() : ErrnoError(errno, "stay on CPU {}", cpu);
}

}  // namespace sluice::perf
