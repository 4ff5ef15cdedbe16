#include "telemetry/process/process_sensor.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/log.h"

namespace sluice::telemetry {
namespace {

// While all processes are read, events wait. So readings use at most a tenth (or a hundredth) of the time.
constexpr int kPauses = 9, kPausesOfShare = 99;
constexpr int kHealIntervalsOfShare = 10;

// One share for each workload, one for the node, and one for processes in unknown network namespaces.
ProcessTree::Options WithOwner(ProcessTree::Options tree, const WorkloadResolver& workload) {
  struct stat own {};
  const bool known = stat("/proc/self/ns/net", &own) == 0;
  tree.owner = [workload, node = known ? own.st_ino : 0](const ProcessInstance& instance) {
    if (const auto name = workload ? workload(instance) : std::nullopt) return *name;
    return policy::ObjectName{.ns = "", .name = instance.namespaces.net == node ? "node" : ""};
  };
  return tree;
}

}  // namespace

ProcessSensor::ProcessSensor(Options options, EventHub* hub, History* history)
    : options_(std::move(options)),
      hub_(hub),
      history_(history),
      tree_(WithOwner(options_.tree, options_.names.workload)),
      events_(options_.node, &tree_, options_.names, options_.boot_clock) {}

StatusOr<std::unique_ptr<ProcessSensor>> ProcessSensor::Start(Options options, EventHub* hub, History* history) {
  std::unique_ptr<ProcessSensor> sensor(new ProcessSensor(std::move(options), hub, history));
  ProcessSensor* const self = sensor.get();
  SL_ASSIGN_OR_RETURN(sensor->probes_,
                      bpf::ProcessProbes::Start(self->options_.probes, [self](const void* record, std::size_t size) {
                        self->Consume({static_cast<const char*>(record), size});
                      }));
  SL_RETURN_IF_ERROR(sensor->Seed());
  if (!self->options_.probes.pin_root.empty()) {
    auto sockets = bpf::SocketProbes::Start({.pin_root = self->options_.probes.pin_root,
                                             .back_end = self->options_.socket_back_end,
                                             .admin_calls = self->options_.probes.admin_calls});
    if (sockets.ok()) {
      sensor->sockets_ = *std::move(sockets);
    } else {
      LogWarn("flows are without processes: {}", Message(sockets.status()));
    }
  }
  sensor->thread_ = std::thread(&ProcessSensor::Run, self);
  return sensor;
}

ProcessSensor::~ProcessSensor() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  caught_up_.notify_all();
  refreshed_.notify_all();
  if (!thread_.joinable()) return;
  probes_->Wake();
  thread_.join();
}

void ProcessSensor::Run() {
  while (!stopping_) {
    probes_->Wait(options_.poll_interval);
    Drain();
    AnnounceLosses();
    if (damage_ != Damage::kNone) Heal();
    RefreshIfWanted();
    tree_.Expire(events_.Now());
  }
}

void ProcessSensor::Drain() {
  std::uint64_t asked = 0;
  {
    const std::lock_guard lock(mutex_);
    asked = asked_;
  }
  if (const auto drained = probes_->Drain(); !drained.ok()) LogWarn("process events: {}", Message(drained.status()));
  {
    const std::lock_guard lock(mutex_);
    drained_ = asked;
  }
  caught_up_.notify_all();
}

void ProcessSensor::CatchUp(std::chrono::milliseconds timeout) {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++asked_;
  probes_->Wake();
  caught_up_.wait_for(lock, timeout, [&] { return drained_ >= mine || stopping_; });
}

void ProcessSensor::Consume(std::string_view bytes) {
  auto record = DecodeProcessRecord(bytes);
  if (!record.ok()) {
    const std::lock_guard lock(mutex_);
    counters_.malformed++;
    return;
  }
  if (options_.redaction != nullptr) options_.redaction->Apply(&record->argument0, &record->arguments);
  const auto instance = tree_.Apply(*record);
  if (!instance) return;
  {
    const std::lock_guard lock(mutex_);
    if (record->event() == SL_PROCESS_EVENT_EXEC) counters_.execs++;
    if (record->event() == SL_PROCESS_EVENT_FORK) counters_.forks++;
    if (record->event() == SL_PROCESS_EVENT_EXIT) counters_.exits++;
  }
  Publish(*instance, record->event());
}

// Exec and exit events go to the history; forks only to followers.
void ProcessSensor::Publish(const ProcessInstance& instance, sl_process_event kind) {
  const bool watched = hub_->watched();
  v1::Event event;
  if (kind == SL_PROCESS_EVENT_EXEC && (watched || history_ != nullptr)) {
    event = events_.MakeExec(instance);
  } else if (kind == SL_PROCESS_EVENT_EXIT && (watched || history_ != nullptr)) {
    event = events_.MakeExit(instance);
  } else if (kind == SL_PROCESS_EVENT_FORK && watched) {
    event = events_.MakeFork(instance);
  } else {
    return;
  }
  if (kind != SL_PROCESS_EVENT_FORK && hub_->wants_parents()) events_.AddParent(instance, &event);
  const EventPtr made = std::make_shared<const v1::Event>(std::move(event));
  if (history_ != nullptr && kind != SL_PROCESS_EVENT_FORK) history_->Push(made);
  if (watched) hub_->Publish(made);
}

std::uint64_t ProcessSensor::AnnounceLosses() {
  const auto losses = probes_->TakeLosses();
  if (!losses.ok()) {
    LogWarn("reading counts of lost process events: {}", Message(losses.status()));
    return 1;
  }
  std::uint64_t seeds = 0;
  for (const bpf::ProcessLoss& loss : *losses) {
    if (loss.key.cause != SL_PROCESS_LOSS_TABLE_FULL)  // that one affects only the kernel's table
      damage_ = std::max(damage_, loss.key.cause == SL_PROCESS_LOSS_SHARE ? Damage::kOfShare : Damage::kAny);
    if (loss.key.event == SL_PROCESS_EVENT_SEED) seeds += loss.count;
    if (hub_->watched()) hub_->Publish(std::make_shared<const v1::Event>(events_.MakeLost(loss.key, loss.count)));
    const std::lock_guard lock(mutex_);
    if (loss.key.cause < SL_PROCESS_LOSS_COUNT) counters_.lost[loss.key.cause] += loss.count;
  }
  return seeds;
}

Status ProcessSensor::Seed() {
  damage_ = Damage::kNone;
  const auto begin = std::chrono::steady_clock::now();
  tree_.BeginSeed(options_.boot_clock().monotonic_ns);
  Status seeded = probes_->Seed();
  if (!seeded.ok()) damage_ = Damage::kAny;
  const bool complete = seeded.ok() && AnnounceLosses() == 0;
  tree_.EndSeed(options_.boot_clock().monotonic_ns, complete);
  if (const auto first = probes_->Find(1); first.ok() && *first) tree_.SetFirst((*first)->id);
  seeded_ = std::chrono::steady_clock::now();
  seeding_ = seeded_ - begin;
  return seeded;
}

bool ProcessSensor::HasPaused(int pauses) const {
  return std::chrono::steady_clock::now() - seeded_ >= pauses * seeding_;
}

void ProcessSensor::Heal() {
  const bool of_share = damage_ == Damage::kOfShare;
  if (std::chrono::steady_clock::now() - seeded_ < (of_share ? kHealIntervalsOfShare : 1) * options_.heal_interval ||
      !HasPaused(of_share ? kPausesOfShare : kPauses))
    return;
  if (const Status status = Seed(); !status.ok()) {
    LogWarn("resync of the process tree: {}", Message(status));
    return;
  }
  const std::lock_guard lock(mutex_);
  counters_.healings++;
}

void ProcessSensor::Refresh() {
  std::unique_lock lock(mutex_);
  const std::uint64_t mine = ++refreshes_wanted_;
  probes_->Wake();
  refreshed_.wait_for(lock, std::chrono::seconds(2), [&] { return refreshes_done_ >= mine || stopping_; });
}

void ProcessSensor::RefreshIfWanted() {
  std::unique_lock lock(mutex_);
  const std::uint64_t wanted = refreshes_wanted_;
  if (wanted == refreshes_done_ || !HasPaused(kPauses)) return;
  lock.unlock();
  if (const Status status = Seed(); !status.ok()) LogWarn("reading the processes: {}", Message(status));
  lock.lock();
  refreshes_done_ = wanted;
  refreshed_.notify_all();
}

ProcessSensor::Counters ProcessSensor::counters() const {
  const std::lock_guard lock(mutex_);
  return counters_;
}

}  // namespace sluice::telemetry
