#include "perf/exec/watch.h"

namespace sluice::perf {
namespace {

using namespace std::chrono_literals;

constexpr char kNode[] = "bench";
constexpr auto kSlowPoll = 200ms;
constexpr auto kSlowFollower = 10ms;
constexpr auto kPatience = 10s;

}  // namespace

const char* ToString(Sensing sensing) {
  switch (sensing) {
    case Sensing::kOff:
      return "off";
    case Sensing::kOn:
      return "on";
    case Sensing::kSlowReader:
      return "slow-reader";
    case Sensing::kSlowFollower:
      return "slow-follower";
  }
  return "?";
}

Watch::Watch() : hub_({.node = kNode}, [](bool) {}) {}

StatusOr<std::unique_ptr<Watch>> Watch::Start(Sensing sensing, const std::string& program) {
  std::unique_ptr<Watch> watch(new Watch);
  v1::ObserveRequest::Filter execs;
  execs.set_type("exec");
  execs.set_process(program);
  SL_ASSIGN_OR_RETURN(telemetry::EventFilter filter, telemetry::EventFilter::Make(execs));
  SL_ASSIGN_OR_RETURN(watch->counting_, watch->hub_.Subscribe(std::move(filter)));
  if (sensing == Sensing::kSlowFollower) {
    SL_ASSIGN_OR_RETURN(watch->dawdling_, watch->hub_.Subscribe({}));
  }
  telemetry::ProcessSensor::Options options{.node = kNode};
  if (sensing == Sensing::kSlowReader) options.poll_interval = kSlowPoll;
  SL_ASSIGN_OR_RETURN(watch->sensor_,
                      telemetry::ProcessSensor::Start(std::move(options), &watch->hub_, &watch->history_));
  watch->counter_ = std::thread(&Watch::Count, watch.get(), program);
  if (watch->dawdling_ != nullptr) watch->dawdler_ = std::thread(&Watch::Dawdle, watch.get());
  return watch;
}

Watch::~Watch() {
  sensor_.reset();
  hub_.Close();
  if (counter_.joinable()) counter_.join();
  if (dawdler_.joinable()) dawdler_.join();
}

void Watch::Count(const std::string& program) {
  while (!hub_.closed()) {
    const telemetry::EventPtr event = counting_->Next(1s);
    if (event == nullptr || !event->has_exec() || event->exec().process().binary() != program) continue;
    const std::lock_guard lock(mutex_);
    ++delivered_;
    changed_.notify_all();
  }
}

void Watch::Dawdle() {
  while (!hub_.closed()) {
    if (dawdling_->Next(1s) != nullptr) std::this_thread::sleep_for(kSlowFollower);
  }
}

std::uint64_t Watch::Lost() const {
  std::uint64_t lost = 0;
  for (const std::uint64_t one : sensor_->counters().lost) lost += one;
  return lost;
}

Watch::Outcome Watch::Await(std::uint64_t instances) {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [&] { return delivered_ + Lost() >= instances; });
  return {delivered_, Lost(), hub_.lost()};
}

}  // namespace sluice::perf
