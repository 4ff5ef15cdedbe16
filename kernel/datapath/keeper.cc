#include "kernel/datapath/keeper.h"

#include <time.h>

#include <algorithm>

#include "base/log.h"

namespace sluice::datapath {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kInterval = 1s;
constexpr auto kTablesInterval = 5s;
constexpr int kShare = 25;  // the tables may use 1/25 of a CPU's time

std::chrono::nanoseconds ThreadTime() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

Keeper::Keeper(std::vector<Step> steps)
    : steps_(std::move(steps)), problems_(steps_.size()), thread_(&Keeper::Run, this) {}

Keeper::~Keeper() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

Integrity Keeper::integrity() const {
  const std::lock_guard lock(mutex_);
  return integrity_;
}

void Keeper::Run() {
  Clock::time_point tables_at = Clock::now() + kTablesInterval;
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kInterval, [this] { return stopping_; })) {
    lock.unlock();
    const auto begin = ThreadTime();
    const bool tables = Clock::now() >= tables_at;
    Check(tables);
    if (tables) tables_at = Clock::now() + std::max<Clock::duration>(kTablesInterval, kShare * (ThreadTime() - begin));
    lock.lock();
  }
}

void Keeper::Check(bool tables) {
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    if (steps_[i].reads_tables && !tables) continue;
    const StatusOr<int> repaired = steps_[i].repair();
    const std::string problem = repaired.ok() ? "" : Message(repaired.status());
    if (problem != problems_[i] && !repaired.ok()) LogError("keeping enforcement in place: {}", problem);
    problems_[i] = problem;
    const std::lock_guard lock(mutex_);
    if (repaired.ok()) integrity_.repairs[static_cast<std::size_t>(steps_[i].what)] += *repaired;
    integrity_.problem.clear();
    for (const std::string& one : problems_)
      if (!one.empty()) integrity_.problem += (integrity_.problem.empty() ? "" : "; ") + one;
  }
}

}  // namespace sluice::datapath
