#include "telemetry/hook/hook_event_reader.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "telemetry/process/recorded_process.h"

namespace sluice::telemetry {
namespace {

constexpr char kType[] = "hook";

RecordedProcess ProcessOfRecord(const sl_hook_event& event) {
  return {.id = event.process, .birth_ns = event.birth_ns, .cgroup = event.cgroup, .pid = event.pid};
}

}  // namespace

HookEventReader::HookEventReader(Options options, const ProcessTree* tree, const ProcessEvents* processes,
                                 EventHub* hub, History* history)
    : options_(std::move(options)),
      tree_(tree),
      processes_(processes),
      hub_(hub),
      history_(history),
      calls_(options_.calls),
      now_ns_(processes->Now()) {}

void HookEventReader::Consume(const void* record, std::size_t size) {
  auto decoded = DecodeHookRecord({static_cast<const char*>(record), size});
  if (!decoded.ok()) {
    malformed_++;
    return;
  }
  cut_arguments_ += decoded->cut_arguments;
  calls_.Push(*std::move(decoded), now_ns_);
  if (calls_.ready() >= options_.max_batch) Flush();
}

void HookEventReader::Tick(std::uint64_t now_ns) {
  now_ns_ = now_ns;
  Flush();
  if (const std::uint64_t unknown = unknown_hooks_; unknown != unknown_told_ && hub_->watched()) {
    hub_->PublishLoss("HOOK_POLICY_GONE", {}, kType, unknown - unknown_told_);
    unknown_told_ = unknown;
  }
}

void HookEventReader::Flush() {
  std::vector<HookCall> batch;
  while (auto call = calls_.Pop(now_ns_)) batch.push_back(*std::move(call));
  calls_alone_ = calls_.counters().calls_alone;
  returns_alone_ = calls_.counters().returns_alone;
  pushed_out_ = calls_.counters().pushed_out;
  const bool wanted = hub_->watched() || history_ != nullptr;
  if (!wanted || batch.empty()) return;
  const bool awaited = std::any_of(batch.begin(), batch.end(), [&](const HookCall& call) {
    return IsAwaited(*tree_, ProcessOfRecord(call.record.event));
  });
  if (awaited && options_.catch_up) options_.catch_up();
  for (const HookCall& call : batch) Publish(call);
}

// An event with its process and workload, as far as they are known.
v1::Event HookEventReader::Begin(const sl_hook_event& event) const {
  const auto found = FindRecorded(*tree_, ProcessOfRecord(event));
  v1::Event out = processes_->MakeHook(found ? *found : UnknownInstance(ProcessOfRecord(event)), event.time_ns);
  out.mutable_hook()->mutable_process()->set_tid(event.tid);
  if (found && hub_->wants_parents()) processes_->AddParent(*found, &out);
  if (!out.hook().workload().empty() || !options_.subject) return out;
  if (const auto workload = options_.subject(event.subject)) {
    out.mutable_hook()->set_namespace_(workload->ns);
    out.mutable_hook()->set_workload(workload->name);
  }
  return out;
}

void HookEventReader::Publish(const HookCall& call) {
  const sl_hook_event& event = call.record.event;
  const auto description = options_.describe(event.hook, event.life);
  if (!description) {
    unknown_hooks_++;
    return;
  }
  v1::Event made = Begin(event);
  FillHook(call, *description, made.mutable_hook());
  if (options_.stacks != nullptr) options_.stacks->Fill(event, made.mutable_hook());
  const EventPtr shared = std::make_shared<const v1::Event>(std::move(made));
  events_++;
  if (history_ != nullptr) history_->Push(shared);
  if (hub_->watched()) hub_->Publish(shared);
}

void HookEventReader::TellLost(std::uint64_t count) {
  if (count != 0 && hub_->watched()) hub_->PublishLoss("HOOK_RING_FULL", {}, kType, count);
}

HookEventReader::Counters HookEventReader::counters() const {
  return {.events = events_,
          .malformed = malformed_,
          .cut_arguments = cut_arguments_,
          .unknown_hooks = unknown_hooks_,
          .calls_alone = calls_alone_,
          .returns_alone = returns_alone_,
          .pushed_out = pushed_out_};
}

}  // namespace sluice::telemetry
