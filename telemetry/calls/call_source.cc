#include "telemetry/calls/call_source.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "base/log.h"
#include "kernel/calls/call_kinds.h"
#include "telemetry/calls/call_arguments.h"
#include "telemetry/calls/call_descriptor.h"
#include "telemetry/calls/call_owners.h"
#include "telemetry/calls/call_processes.h"
#include "telemetry/calls/call_record.h"

namespace sluice::telemetry {
namespace {

using policy::rules::Event;

constexpr std::chrono::milliseconds kTellAgain{100};
constexpr std::size_t kMostAbsent = 4096;

}  // namespace

class CallSource::Impl {
 public:
  Impl(Options options, calls::CallStore* store, const ProcessTree* tree, OnEvent on_event)
      : options_(std::move(options)),
        store_(store),
        on_event_(std::move(on_event)),
        clock_(options_.clock),
        processes_(tree, &clock_, options_.max_processes),
        owners_(options_.owner, options_.cgroup_path, store) {}

  void Consume(const void* bytes, std::size_t size) {
    auto record = DecodeCallRecord({static_cast<const char*>(bytes), size});
    if (!record.ok()) {
      malformed_++;
      LogDebug("a record of a system call: {}", Message(record.status()));
      return;
    }
    batch_.push_back(*std::move(record));
    if (batch_.size() >= options_.max_batch) Flush();
  }

  void Tick() {
    clock_.Now();
    Flush();
    const auto now = std::chrono::steady_clock::now();
    if (now - told_ < kTellAgain) return;
    told_ = now;
    owners_.Tick();
  }

  std::vector<Loss> TakeLosses() {
    std::vector<Loss> losses;
    if (store_ == nullptr) return losses;
    for (const calls::CallLoss& loss : store_->TakeLosses())
      losses.push_back({.type = loss.type, .workload = owners_.WorkloadOf(loss.share), .count = loss.count});
    return losses;
  }

  Counters counters() const {
    return {.events = events_,
            .malformed = malformed_,
            .unknown_processes = unknown_processes_,
            .texts_lost = texts_lost_,
            .texts_cut = texts_cut_};
  }

 private:
  // The process sensors have sent the record of an instance before its first call, but perhaps it was not read yet. One
  // that is not there even then (its record was lost, or had no room) is not waited for again.
  void Flush() {
    const auto is_awaited = [&](const CallRecord& record) {
      return !absent_.contains(record.event.process) && !processes_.IsThere(record.event);
    };
    if (options_.catch_up && std::ranges::any_of(batch_, is_awaited)) {
      options_.catch_up();
      if (absent_.size() > kMostAbsent) absent_.clear();
      for (const CallRecord& record : batch_) {
        if (is_awaited(record)) absent_.insert(record.event.process);
      }
    }
    for (const CallRecord& record : batch_) Publish(record);
    batch_.clear();
  }

  void Publish(const CallRecord& record) {
    const sl_call_event& from = record.event;
    const auto known = processes_.Find(record);
    ProcessInstance* const instance = known->instance ? &*known->instance : nullptr;
    if (instance == nullptr)
      unknown_processes_++;
    else
      owners_.Follow(from, instance);
    if ((from.flags & SL_CALL_TEXT_LOST) != 0) texts_lost_++;
    if ((from.flags & SL_CALL_TEXT_CUT) != 0) texts_cut_++;
    const CallOwner owner = owners_.Find(from, instance);
    const bool in_container = owner.container != nullptr && owner.container->id != policy::rules::HostContainer().id;
    processes_.Update(record, in_container, known.get());
    const auto descriptor = DescribeDescriptor(record, options_.names);
    Event event;
    event.type = calls::TypeOf(record.kind());
    event.number = ++events_;
    const auto time = clock_.At(from.time_ns);
    event.time_ns =
        static_cast<std::uint64_t>(time.seconds()) * 1'000'000'000 + static_cast<std::uint64_t>(time.nanos());
    event.result = from.result;
    event.thread = from.tid;
    event.cpu = static_cast<std::int32_t>(from.cpu);
    event.process = &known->process;
    event.container = owner.container.get();
    if (descriptor) {
      event.descriptor = &descriptor->descriptor;
      event.descriptor_number = descriptor->number;
      event.descriptor_renamed = descriptor->renamed;
    }
    event.open = OpenModeOf(record);
    event.buffer = record.text(SL_CALL_TEXT_DATA);
    event.host = options_.node;
    event.arguments =
        arguments_.Fill(record, descriptor ? &*descriptor : nullptr, known->process, [&](std::uint32_t uid) {
          if (in_container) return uid == 0 ? std::string("root") : std::string();
          return processes_.HostUserName(uid);
        });
    on_event_(event, instance, owner);
  }

  const Options options_;
  calls::CallStore* const store_;
  const OnEvent on_event_;
  WallClock clock_;
  CallProcesses processes_;
  CallOwners owners_;
  CallArguments arguments_;
  std::vector<CallRecord> batch_;
  std::unordered_set<sl_process_id> absent_;  // not in the tree when they were looked for
  std::chrono::steady_clock::time_point told_;
  std::atomic<std::uint64_t> events_ = 0;
  std::atomic<std::uint64_t> malformed_ = 0;
  std::atomic<std::uint64_t> unknown_processes_ = 0;
  std::atomic<std::uint64_t> texts_lost_ = 0;
  std::atomic<std::uint64_t> texts_cut_ = 0;
};

CallSource::CallSource(Options options, calls::CallStore* store, const ProcessTree* tree, OnEvent on_event)
    : impl_(std::make_unique<Impl>(std::move(options), store, tree, std::move(on_event))) {}
CallSource::~CallSource() = default;

void CallSource::Consume(const void* record, std::size_t size) { impl_->Consume(record, size); }
void CallSource::Tick() { impl_->Tick(); }
std::vector<CallSource::Loss> CallSource::TakeLosses() { return impl_->TakeLosses(); }
CallSource::Counters CallSource::counters() const { return impl_->counters(); }

}  // namespace sluice::telemetry
