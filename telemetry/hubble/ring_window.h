// Which entries of a ring a Hubble client asks for, and reading them. As Hubble does it:
//   - `since` goes before `number`: then `number` counts from there on. So it does with `first`.
//   - Otherwise reading begins with the last `number` entries that match; 0: with the oldest one.
//   - With `follow`, `number` says only where reading begins; 0 without `since`: with what comes from now on.
// Entries are in order of time but for a second, so no entry is taken for the first or the last one by its time.
#pragma once

#include <google/protobuf/timestamp.pb.h>
#include <google/protobuf/util/time_util.h>

#include <functional>
#include <optional>

#include "base/status.h"
#include "telemetry/event/event_ring.h"

namespace sluice::telemetry {

struct RingWindow {
  std::uint64_t number = 0;
  bool first = false;
  bool follow = false;
  std::optional<google::protobuf::Timestamp> since;
  std::optional<google::protobuf::Timestamp> until;

  // InvalidArgument: `first` with `follow`, or a time that is none.
  template <typename Request>
  static StatusOr<RingWindow> Make(const Request& request) {
    RingWindow window{
        .number = request.number(), .first = request.first(), .follow = request.follow(), .since = {}, .until = {}};
    if (window.first && window.follow) return InvalidError("first cannot be specified with follow");
    if (request.has_since()) window.since = request.since();
    if (request.has_until()) window.until = request.until();
    SL_RETURN_IF_ERROR(Check("since", window.since));
    SL_RETURN_IF_ERROR(Check("until", window.until));
    return window;
  }

 private:
  // From year 1 to year 9999, as protobuf says.
  static Status Check(const char* field, const std::optional<google::protobuf::Timestamp>& time) {
    using google::protobuf::util::TimeUtil;
    const bool ok = !time || (time->seconds() >= TimeUtil::kTimestampMinSeconds &&
                              time->seconds() <= TimeUtil::kTimestampMaxSeconds && time->nanos() >= 0 &&
                              time->nanos() <= 999'999'999);
    if (ok) return OkStatus();
    return InvalidError("{}: {} seconds and {} nanoseconds are no time", field, time->seconds(), time->nanos());
  }
};

enum class Delivery { kSkipped, kSent, kReaderGone };

// How RingReader handles the entries of one ring. Called by one thread.
template <typename Entry>
struct RingDelivery {
  std::function<const google::protobuf::Timestamp&(const Entry&)> time_of;
  std::function<bool(const Entry&)> is_counted;  // by `number`; a report of a loss is not
  std::function<bool(const Entry&, std::uint64_t number)> matches;
  std::function<Delivery(const Entry&, std::uint64_t number)> deliver;  // kSkipped: it does not match
  // Entries that the reader has missed, in this time.
  std::function<Delivery(std::uint64_t count, const google::protobuf::Timestamp& first,
                         const google::protobuf::Timestamp& last)>
      deliver_loss;
  std::function<bool()> is_cancelled;
};

// Reads until the window is over, the reader has gone, or the ring is closed. Blocks.
template <typename Entry>
class RingReader {
 public:
  RingReader(const EventRing<Entry>* ring, RingWindow window, RingDelivery<Entry> delivery)
      : ring_(ring), window_(std::move(window)), delivery_(std::move(delivery)) {}

  void Run() {
    past_end_ = ring_->end();
    next_ = Begin();
    past_left_ = ring_->Count(next_, past_end_);
    const std::uint64_t end = window_.follow ? UINT64_MAX : past_end_;
    while (!delivery_.is_cancelled() && !IsOver()) {
      const auto batch = ring_->Read(next_, kBatch, end);
      NoteLoss(batch);
      next_ = batch.next;
      if (!DeliverAll(batch) || !TellLoss(batch.entries.empty())) return;
      if (!batch.entries.empty()) continue;
      if (!window_.follow || ring_->closed()) return;
      ring_->Wait(next_, kCancelCheck);
    }
  }

 private:
  using Timestamp = google::protobuf::Timestamp;
  using TimeUtil = google::protobuf::util::TimeUtil;
  static constexpr std::size_t kBatch = 256;
  static constexpr std::chrono::milliseconds kCancelCheck{200};
  static constexpr std::chrono::seconds kTellLossAgain{1};
  static constexpr std::int64_t kDisorderSeconds = 1;

  std::uint64_t Begin() const {
    if (window_.since || window_.first) return 0;
    if (window_.number == 0) return window_.follow ? past_end_ : 0;
    std::uint64_t counted = 0;
    for (std::uint64_t end = past_end_;;) {
      const auto entries = ring_->ReadBack(end, kBatch);
      if (entries.empty()) return 0;
      for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
        if (!delivery_.is_counted(entry->second) || !delivery_.matches(entry->second, entry->first)) continue;
        if (++counted == window_.number) return entry->first;
      }
      end = entries.front().first;
    }
  }

  bool DeliverAll(const typename EventRing<Entry>::Batch& batch) {
    for (const auto& [number, entry] : batch.entries) {
      if (!IsInTime(delivery_.time_of(entry))) continue;
      const Delivery done = delivery_.deliver(entry, number);
      if (done == Delivery::kReaderGone) return false;
      if (done == Delivery::kSent && delivery_.is_counted(entry)) ++sent_;
      if (!window_.follow && window_.number != 0 && sent_ == window_.number) return false;
    }
    return true;
  }

  bool IsInTime(const Timestamp& time) const {
    return !(window_.since && time < *window_.since) && !(window_.until && time > *window_.until);
  }

  bool IsOver() const {
    if (!window_.follow || !window_.until) return false;
    return TimeUtil::GetCurrentTime() > *window_.until + TimeUtil::SecondsToDuration(kDisorderSeconds);
  }

  // Of what was there when reading began, what has gone meanwhile. Of what came since, each number that is missing.
  void NoteLoss(const typename EventRing<Entry>::Batch& batch) {
    std::uint64_t lost = 0;
    std::uint64_t expected = std::max(next_, past_end_);
    for (const auto& [number, entry] : batch.entries) {
      if (number < past_end_) {
        --past_left_;
      } else {
        lost += number - expected;
        expected = number + 1;
      }
    }
    if (batch.next > expected) lost += batch.next - expected;
    if (batch.next >= past_end_) lost += std::exchange(past_left_, 0);
    if (lost == 0) return;
    const Timestamp now = TimeUtil::GetCurrentTime();
    if (lost_ == 0) lost_from_ = now;
    lost_to_ = now;
    lost_ += lost;
  }

  // Losses come in numbers, so they are told together. False: the reader has gone.
  bool TellLoss(bool is_idle) {
    const auto now = std::chrono::steady_clock::now();
    if (lost_ == 0 || (!is_idle && now - told_ < kTellLossAgain)) return true;
    told_ = now;
    return delivery_.deliver_loss(std::exchange(lost_, 0), lost_from_, lost_to_) != Delivery::kReaderGone;
  }

  const EventRing<Entry>* const ring_;
  const RingWindow window_;
  const RingDelivery<Entry> delivery_;
  std::uint64_t next_ = 0;
  std::uint64_t past_end_ = 0;   // what has a lower number was there when reading began
  std::uint64_t past_left_ = 0;  // entries of these that are not read yet
  std::uint64_t sent_ = 0;
  std::uint64_t lost_ = 0;  // not told yet
  Timestamp lost_from_;
  Timestamp lost_to_;
  std::chrono::steady_clock::time_point told_{};
};

}  // namespace sluice::telemetry
