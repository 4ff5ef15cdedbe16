#include "kernel/bpf/packet_programs.h"

#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <optional>
#include <string_view>

#include "kernel/bpf/system.h"

namespace sluice::bpf {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(10);  // after that, some other thread keeps a CPU

bool IsRealTimeKernel() {
  utsname name{};
  return uname(&name) != 0 || std::string_view(name.version).find("PREEMPT_RT") != std::string_view::npos;
}

// All CPUs that can run programs now; nothing if this process may not run on one of them.
std::optional<cpu_set_t> AllCpus() {
  cpu_set_t cpus;
  if (sched_getaffinity(getpid(), sizeof(cpus), &cpus) != 0 || CPU_COUNT(&cpus) < get_nprocs()) return std::nullopt;
  return cpus;
}

// False: one went offline meanwhile.
bool GoToEach(cpu_set_t cpus) {
  CPU_CLR(sched_getcpu(), &cpus);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof(one), &one) != 0) return false;
  }
  return true;
}

}  // namespace

PacketPrograms::PacketPrograms() : cannot_be_preempted_(!IsRealTimeKernel()), visitor_(&PacketPrograms::Visit, this) {}

PacketPrograms::~PacketPrograms() {
  std::unique_lock lock(mutex_);
  stopping_ = true;
  changed_.notify_all();
  while (!changed_.wait_for(lock, kPatience, [this] { return stopped_; })) {
    // The visitor waits for a CPU that another thread keeps: let it run elsewhere.
    if (const auto cpus = AllCpus()) sched_setaffinity(visitor_id_, sizeof(*cpus), &*cpus);
  }
  lock.unlock();
  visitor_.join();
}

Status PacketPrograms::WaitForRunning() {
  if (!cannot_be_preempted_ || !AllCpus()) return WaitForRunningPrograms();
  std::unique_lock lock(mutex_);
  // A round that has begun may have visited some CPUs already.
  const std::uint64_t round = wanted_ = begun_ + 1;
  changed_.notify_all();
  const bool ended = changed_.wait_for(lock, kPatience, [&] { return ended_ >= round; });
  if (ended && complete_) return OkStatus();
  lock.unlock();
  return WaitForRunningPrograms();
}

void PacketPrograms::Visit() {
  // Runs before all other threads, if that is allowed; it needs only a moment.
  const sched_param highest{.sched_priority = sched_get_priority_max(SCHED_FIFO)};
  (void)sched_setscheduler(0, SCHED_FIFO, &highest);
  std::unique_lock lock(mutex_);
  visitor_id_ = gettid();
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || wanted_ > begun_; });
    if (stopping_) break;
    begun_ = wanted_;
    lock.unlock();
    const auto cpus = AllCpus();
    const bool complete = cpus && GoToEach(*cpus);
    lock.lock();
    ended_ = begun_;
    complete_ = complete;
    changed_.notify_all();
  }
  stopped_ = true;
  changed_.notify_all();
}

}  // namespace sluice::bpf
