#include "telemetry/event_export.h"

#include <algorithm>

#include "ctrl/base/log.h"
#include "telemetry/event_owner.h"
#include "telemetry/json.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

// How often losses are told and the end is noticed when nothing happens.
constexpr auto kLook = 200ms;

v1::Event MakeLost(const std::string& node, const google::protobuf::Timestamp& now, const char* cause,
                   const policy::ObjectName& workload, std::uint64_t count) {
  v1::Event event;
  v1::Lost& lost = *event.mutable_lost();
  *lost.mutable_time() = now;
  lost.set_node(node);
  lost.set_type("lost");
  lost.set_cause(cause);
  lost.set_count(count);
  lost.set_namespace_(workload.ns);
  lost.set_workload(workload.name);
  return event;
}

}  // namespace

bool RateLimit::Take(std::uint64_t monotonic_ns) {
  if (per_second_ == 0) return true;
  if (last_ns_ != 0 && monotonic_ns > last_ns_) {
    room_ = std::min(per_second_, room_ + static_cast<double>(monotonic_ns - last_ns_) / 1e9 * per_second_);
  }
  last_ns_ = std::max(last_ns_, monotonic_ns);
  if (room_ < 1) return false;
  room_ -= 1;
  return true;
}

EventExport::EventExport(Options options, EventHub* hub, RotatingFile file)
    : options_(std::move(options)),
      hub_(hub),
      clock_(options_.clock),
      file_(std::move(file)),
      rate_(options_.rate),
      shares_(options_.file.max_bytes * options_.file.max_files, options_.span) {}

StatusOr<std::unique_ptr<EventExport>> EventExport::Start(Options options, EventHub* hub) {
  SL_ASSIGN_OR_RETURN(RotatingFile file, RotatingFile::Open(options.file));
  std::unique_ptr<EventExport> self(new EventExport(std::move(options), hub, std::move(file)));
  v1::ObserveRequest::Filter filter;
  filter.set_without_forks(true);
  SL_ASSIGN_OR_RETURN(self->following_, hub->Subscribe(filter));
  self->thread_ = std::thread(&EventExport::Run, self.get());
  return self;
}

EventExport::~EventExport() {
  stopping_ = true;
  if (thread_.joinable()) thread_.join();
}

void EventExport::Run() {
  while (true) {
    const EventPtr event = following_->Next(kLook);
    if (event != nullptr) Export(*event);
    if (event == nullptr) TellLosses();
    if (event == nullptr && (stopping_ || hub_->closed())) break;
  }
  following_.reset();
}

void EventExport::Export(const v1::Event& event) {
  // A loss is told in any case: there are few of them.
  const std::uint64_t now_ns = clock_.Now();
  if (!event.has_lost() && !rate_.Take(now_ns)) {
    lost_by_rate_++;
    return;
  }
  const auto json = EventToJson(event);
  const policy::ObjectName owner = OwnerOf(event);
  if (!event.has_lost() && json.ok() && !shares_.Take(owner, json->size() + 1, now_ns)) {
    lost_by_share_++;
    untold_by_share_[owner]++;
    return;
  }
  TellLosses();
  if (Write(json)) {
    written_++;
  } else {
    lost_by_errors_ += event.has_lost() ? event.lost().count() : 1;
  }
}

// Before the next event that is written, in the place of those that were not.
void EventExport::TellLosses() {
  const auto tell = [&](const char* cause, std::uint64_t now, std::uint64_t& told) {
    if (now != told && Write(MakeLost(options_.node, clock_.AtNow(), cause, {}, now - told))) told = now;
  };
  tell("EXPORT_RATE", lost_by_rate_, told_by_rate_);
  tell("EXPORT_WRITE", lost_by_errors_, told_by_errors_);
  std::erase_if(untold_by_share_, [&](const auto& one) {
    return Write(MakeLost(options_.node, clock_.AtNow(), "EXPORT_SHARE", one.first, one.second));
  });
}

bool EventExport::Write(const v1::Event& event) { return Write(EventToJson(event)); }

bool EventExport::Write(const StatusOr<std::string>& json) {
  const Status status = json.ok() ? file_.Write(*json) : json.status();
  moved_ = file_.moved();
  if (!status.ok() && !failing_) LogError("exporting events: {}", Message(status));
  failing_ = !status.ok();
  return status.ok();
}

}  // namespace sluice::telemetry
