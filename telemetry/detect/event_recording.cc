#include "telemetry/detect/event_recording.h"

#include <algorithm>
#include <utility>

#include "policy/rules/event_record.h"

namespace sluice::telemetry {
namespace {

constexpr std::size_t kBatchBytes = 256U << 10U;

}  // namespace

EventRecording::~EventRecording() {
  const std::lock_guard lock(all_->mutex_);
  all_->recordings_.erase(this);
}

EventRecording::Batch EventRecording::Next(std::chrono::milliseconds timeout) {
  std::unique_lock lock(all_->mutex_);
  all_->changed_.wait_for(lock, timeout, [this] { return !records_.empty() || lost_ != 0 || all_->closed_; });
  Batch batch{.records = {}, .lost = std::exchange(lost_, 0)};
  for (std::size_t bytes = 0; !records_.empty() && bytes < kBatchBytes; records_.pop_front()) {
    bytes += records_.front().size();
    bytes_ -= records_.front().size();
    batch.records.push_back(std::move(records_.front()));
  }
  return batch;
}

StatusOr<std::unique_ptr<EventRecording>> EventRecordings::Begin(RecordingFilter filter) {
  const std::lock_guard lock(mutex_);
  if (closed_) return MakeError(absl::StatusCode::kUnavailable, "the agent stops");
  if (recordings_.size() >= options_.max_recordings)
    return MakeError(absl::StatusCode::kResourceExhausted, "{} recordings run already", recordings_.size());
  std::unique_ptr<EventRecording> recording(new EventRecording(this, std::move(filter)));
  recordings_.insert(recording.get());
  return recording;
}

void EventRecordings::OnEvent(const policy::rules::Event& event, const policy::ObjectName& workload) {
  const std::lock_guard lock(mutex_);
  std::string record;  // made once, for the first that takes it
  for (EventRecording* const one : recordings_) {
    if (!one->filter_.Takes(event.type, workload)) continue;
    if (one->bytes_ >= options_.queue_bytes) {
      one->lost_++;
      continue;
    }
    if (record.empty()) record = policy::rules::EventRecord(event);
    one->bytes_ += record.size();
    one->records_.push_back(record);
    changed_.notify_all();
  }
}

void EventRecordings::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  changed_.notify_all();
}

bool EventRecordings::closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

}  // namespace sluice::telemetry
