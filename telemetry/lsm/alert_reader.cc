#include "telemetry/lsm/alert_reader.h"

#include <algorithm>
#include <utility>

#include "telemetry/process/recorded_process.h"

namespace sluice::telemetry {
namespace {

constexpr char kAlertType[] = "alert";

RecordedProcess ProcessOfAlert(const sl_lsm_event& event) {
  return {.id = event.process, .birth_ns = event.birth_ns, .cgroup = event.cgroup, .pid = event.pid};
}

}  // namespace

AlertReader::AlertReader(Options options, const ProcessTree* tree, const ProcessEvents* processes, EventHub* hub,
                         History* history)
    : options_(std::move(options)), tree_(tree), processes_(processes), hub_(hub), history_(history) {}

void AlertReader::Consume(const void* record, std::size_t size) {
  auto decoded = DecodeAlertRecord({static_cast<const char*>(record), size});
  if (!decoded.ok()) {
    malformed_++;
    return;
  }
  batch_.push_back(*std::move(decoded));
  if (batch_.size() >= options_.max_batch) Tick();
}

void AlertReader::Tick() {
  const std::vector<AlertRecord> batch = std::exchange(batch_, {});
  const bool wanted = hub_->watched() || history_ != nullptr;
  if (wanted && !batch.empty()) {
    const bool awaited = std::any_of(batch.begin(), batch.end(), [&](const AlertRecord& record) {
      return IsAwaited(*tree_, ProcessOfAlert(record.event));
    });
    if (awaited && options_.catch_up) options_.catch_up();
    for (const AlertRecord& record : batch) Publish(record);
  }
  if (const std::uint64_t unknown = unknown_rules_; unknown != unknown_told_ && hub_->watched()) {
    hub_->PublishLoss("ALERT_POLICY_GONE", {}, kAlertType, unknown - unknown_told_);
    unknown_told_ = unknown;
  }
}

// An alert with its process and workload, as far as they are known.
v1::Event AlertReader::Begin(const AlertRecord& record) const {
  const sl_lsm_event& event = record.event;
  const auto found = FindRecorded(*tree_, ProcessOfAlert(event));
  v1::Event out = processes_->MakeAlert(found ? *found : UnknownInstance(ProcessOfAlert(event)), event.time_ns);
  v1::Alert& alert = *out.mutable_alert();
  alert.mutable_process()->set_tid(event.tid);
  if (!alert.process().has_effective_uid()) alert.mutable_process()->set_effective_uid(event.uid);
  if (found && hub_->wants_parents()) processes_->AddParent(*found, &out);
  if (alert.workload().empty() && options_.subject) {
    if (const auto workload = options_.subject(event.subject)) {
      alert.set_namespace_(workload->ns);
      alert.set_workload(workload->name);
    }
  }
  if (options_.labels && !alert.workload().empty()) {
    const policy::Labels labels = options_.labels({alert.namespace_(), alert.workload()});
    alert.mutable_labels()->insert(labels.begin(), labels.end());
  }
  return out;
}

void AlertReader::Publish(const AlertRecord& record) {
  const auto description = options_.describe(record.event.generation, record.event.rule);
  if (!description) {
    unknown_rules_++;
    return;
  }
  v1::Event made = Begin(record);
  FillAlert(record, *description, made.mutable_alert());
  const EventPtr shared = std::make_shared<const v1::Event>(std::move(made));
  alerts_++;
  if (history_ != nullptr) history_->Push(shared);
  if (hub_->watched()) hub_->Publish(shared);
}

void AlertReader::TellLost(std::uint64_t count) {
  if (count != 0 && hub_->watched()) hub_->PublishLoss("ALERT_RING_FULL", {}, kAlertType, count);
}

AlertReader::Counters AlertReader::counters() const {
  return {.alerts = alerts_, .malformed = malformed_, .unknown_rules = unknown_rules_};
}

}  // namespace sluice::telemetry
