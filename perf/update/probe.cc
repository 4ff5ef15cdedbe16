#include "perf/update/probe.h"

#include "perf/cpu.h"

namespace sluice::perf {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kPatience = std::chrono::minutes(1);

}  // namespace

Probe::Probe(ProbePacket packet, std::uint32_t before, std::uint32_t after)
    : packet_(std::move(packet)), before_(before), after_(after), thread_(&Probe::Run, this) {
  started_.wait(false);
}

Probe::~Probe() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

StatusOr<Clock::time_point> Probe::Changed() {
  thread_.join();
  SL_RETURN_IF_ERROR(status_);
  return changed_;
}

StatusOr<std::uint32_t> Probe::Evaluate() const {
  SL_ASSIGN_OR_RETURN(const bpf::TestRunOutput output, bpf::TestRunTc(packet_.program_fd, packet_.input));
  return output.verdict;
}

void Probe::Run() {
  const Clock::time_point give_up = Clock::now() + kPatience;
  const auto run = [&]() -> Status {
    SL_ASSIGN_OR_RETURN(const int cpu, MeasuredCpu());
    SL_RETURN_IF_ERROR(StayOn(cpu));
    SL_ASSIGN_OR_RETURN(std::uint32_t verdict, Evaluate());
    if (verdict != before_)
      return MakeError(absl::StatusCode::kInternal, "the packet met {} before the change, expected {}", verdict,
                       before_);
    started_ = true;
    started_.notify_all();
    while (!stopping_) {
      SL_ASSIGN_OR_RETURN(verdict, Evaluate());
      const Clock::time_point now = Clock::now();  // read after the test run: the thread may have waited for its CPU
      if (verdict == after_) {
        changed_ = now;
        return OkStatus();
      }
      if (verdict != before_)
        return MakeError(absl::StatusCode::kInternal, "the packet met {}, expected {} or {}", verdict, before_, after_);
      if (now > give_up)
        return MakeError(absl::StatusCode::kDeadlineExceeded, "the packet still meets {} after a minute", verdict);
    }
    return MakeError(absl::StatusCode::kCancelled, "the change failed");
  };
  status_ = run();
  started_ = true;
  started_.notify_all();
}

}  // namespace sluice::perf
