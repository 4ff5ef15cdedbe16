#include "perf/exec/kernel_time.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "kernel/bpf/object.h"
#include "kernel/bpf/process_probes.h"
#include "perf/cpu.h"

namespace sluice::perf {
namespace {

using namespace std::chrono_literals;

constexpr auto kPoll = 20ms;  // the same as in telemetry::ProcessSensor

// Reads the ring like the agent's sensor, and discards the records.
class Reader {
 public:
  explicit Reader(bpf::ProcessProbes* probes) : probes_(*probes), thread_(&Reader::Run, this) {}
  ~Reader() {
    stopping_ = true;
    probes_.Wake();
    thread_.join();
  }

 private:
  void Run() {
    while (!stopping_) {
      probes_.Wait(kPoll);
      (void)probes_.Drain().ok();
    }
  }

  bpf::ProcessProbes& probes_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace

StatusOr<Fd> CountRuns() {
  union bpf_attr attr {};
  attr.enable_stats.type = BPF_STATS_RUN_TIME;
  Fd counting(static_cast<int>(syscall(SYS_bpf, BPF_ENABLE_STATS, &attr, sizeof(attr))));
  if (!counting.valid()) return ErrnoError(errno, "have the kernel count program runs (needs CAP_SYS_ADMIN)");
  return counting;
}

StatusOr<KernelTime> MeasureKernelTime(const Spawner& spawner, int instances) {
  SL_ASSIGN_OR_RETURN(const int measured, MeasuredCpu());
  SL_ASSIGN_OR_RETURN(const int other, OtherCpu());
  SL_RETURN_IF_ERROR(StayOn(other));
  SL_ASSIGN_OR_RETURN(const auto probes, bpf::ProcessProbes::Start({}, [](const void*, std::size_t) {}));
  SL_RETURN_IF_ERROR(probes->Seed());
  {
    const Reader reader(probes.get());
    SL_RETURN_IF_ERROR(StayOn(measured));
    SL_ASSIGN_OR_RETURN(const Fd counting, CountRuns());
    SL_RETURN_IF_ERROR(spawner.Run(instances).status());
  }
  KernelTime time;
  bpf::ProgramRuns all;
  const std::string prefix = probes->back_end() == bpf::ProcessBackEnd::kKprobe ? "kp_" : "tp_";
  for (const char* const event : {"exec", "fork", "exit"}) {
    SL_ASSIGN_OR_RETURN(const bpf::ProgramRuns runs, bpf::ReadProgramRuns(probes->program_fd(prefix + event)));
    if (runs.count < static_cast<std::uint64_t>(instances))
      return MakeError(absl::StatusCode::kInternal, "{}{} ran {} times in {} instances", prefix, event, runs.count,
                       instances);
    time.each[event] = static_cast<double>(runs.nanoseconds) / static_cast<double>(runs.count);
    all.count += runs.count;
    all.nanoseconds += runs.nanoseconds;
  }
  time.mean = static_cast<double>(all.nanoseconds) / static_cast<double>(all.count);
  return time;
}

}  // namespace sluice::perf
