#include "telemetry/detect/detection_output.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

using SteadyClock = std::chrono::steady_clock;

DetectionOutput::DetectionOutput(Options options, std::unique_ptr<DetectionSender> sender)
    : options_(std::move(options)),
      sender_(std::move(sender)),
      queue_(options_.queue),
      thread_(&DetectionOutput::Run, this) {}

DetectionOutput::~DetectionOutput() {
  {
    std::unique_lock lock(mutex_);
    stopping_ = true;
    end_at_ = SteadyClock::now() + options_.at_end;
    changed_.notify_all();
    changed_.wait_until(lock, end_at_, [this] { return queue_.empty() && !sending_; });
  }
  sender_->Interrupt();
  thread_.join();
  if (!queue_.empty()) LogWarn("{}: {} detections are not sent: the agent ends", options_.name, queue_.size());
}

void DetectionOutput::Offer(EventPtr detection) {
  const std::lock_guard lock(mutex_);
  for (const EventPtr& gone : queue_.Push(std::move(detection))) CountLost(*gone);
  changed_.notify_all();
}

void DetectionOutput::CountLost(const v1::Event& event) {
  lost_++;
  losses_.Of(event.detection().rule(), OwnerOf(event)).unsent++;
}

void DetectionOutput::Run() {
  while (true) {
    EventPtr next;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (queue_.empty() || (stopping_ && SteadyClock::now() >= end_at_)) return;
      next = queue_.Pop();
      sending_ = true;
    }
    SendOne(next);
    const std::lock_guard lock(mutex_);
    sending_ = false;
    changed_.notify_all();
  }
}

// Until it is sent or refused, or this ends.
void DetectionOutput::SendOne(const EventPtr& detection) {
  auto pause = options_.first_pause;
  while (true) {
    const DetectionSender::Result result = sender_->Send(*detection);
    std::unique_lock lock(mutex_);
    const bool was_well = problem_.empty();
    problem_ = result.problem;
    if (result.sent == DetectionSender::Sent::kDone) {
      if (!was_well) LogInfo("{}: detections are sent again", options_.name);
      sent_++;
      return;
    }
    failures_++;
    if (was_well) LogWarn("{}: a detection is not sent: {}", options_.name, problem_);
    if (result.sent == DetectionSender::Sent::kRefused) return CountLost(*detection);
    const auto wait = std::clamp(result.at_earliest, pause, options_.longest_pause);
    pause = std::min(pause * 2, options_.longest_pause);
    if (changed_.wait_for(lock, wait, [this] { return stopping_; }) && SteadyClock::now() >= end_at_)
      return CountLost(*detection);
    if (!stopping_) continue;
    // At the end there is not time for long pauses.
    changed_.wait_until(lock, std::min(end_at_, SteadyClock::now() + options_.first_pause));
  }
}

DetectionOutputNumbers DetectionOutput::Numbers() const {
  const std::lock_guard lock(mutex_);
  return {.name = options_.name,
          .sent = sent_,
          .lost = lost_,
          .failures = failures_,
          .queued = queue_.size(),
          .problem = problem_};
}

void DetectionOutput::AddLosses(RuleLosses* losses) const {
  const std::lock_guard lock(mutex_);
  for (const RuleLoss& loss : losses_.All()) losses->Of(loss.rule, loss.workload).unsent += loss.unsent;
}

}  // namespace sluice::telemetry
