#include "telemetry/event/event_export.h"

#include <algorithm>

#include "base/log.h"
#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {
namespace {

using namespace std::chrono_literals;

// Without events, losses and the end are checked this often.
constexpr auto kLook = 200ms;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;
constexpr char kRate[] = "EXPORT_RATE";
constexpr char kShare[] = "EXPORT_SHARE";
constexpr char kWrite[] = "EXPORT_WRITE";

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

bool RateLimit::Take(const policy::ObjectName& owner, std::uint64_t monotonic_ns) {
  if (per_second_ == 0) return true;
  if (last_ns_ != 0 && monotonic_ns > last_ns_) {
    const double seconds = static_cast<double>(monotonic_ns - last_ns_) / kNanosecondsPerSecond;
    room_ = std::min(per_second_ + reserve_, room_ + seconds * per_second_);
  }
  last_ns_ = std::max(last_ns_, monotonic_ns);
  if (const std::uint64_t second = last_ns_ / kNanosecondsPerSecond; second != second_) {
    second_ = second;
    taken_.clear();
  }
  if (room_ < 1) return false;
  std::uint32_t& taken = taken_[owner];
  if (room_ - 1 < reserve_ && taken >= per_second_ / 16) return false;
  taken++;
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
  v1::ObserveRequest::Filter wanted;
  wanted.set_without_forks(true);
  *wanted.mutable_types() = {self->options_.types.begin(), self->options_.types.end()};
  SL_ASSIGN_OR_RETURN(EventFilter filter, EventFilter::Make(wanted));
  SL_ASSIGN_OR_RETURN(self->following_, hub->Subscribe(std::move(filter), self->options_.with_parents));
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
    const bool ends = event == nullptr && (stopping_ || hub_->closed());
    if (event == nullptr) TellLosses(ends);
    if (ends) break;
  }
  following_.reset();
}

void EventExport::Export(const v1::Event& event) {
  // Loss events are never limited: there are few of them.
  const std::uint64_t now_ns = clock_.Now();
  const policy::ObjectName owner = OwnerOf(event);
  if (!event.has_lost() && !rate_.Take(owner, now_ns)) {
    lost_by_rate_++;
    untold_[{kRate, owner}]++;
    return;
  }
  const auto json = options_.to_line(event);
  if (json.ok() && json->empty()) return;
  if (!event.has_lost() && json.ok() && !shares_.Take(owner, json->size() + 1, now_ns)) {
    lost_by_share_++;
    untold_[{kShare, owner}]++;
    return;
  }
  TellLosses(false);
  if (Write(json)) {
    written_++;
    return;
  }
  const std::uint64_t count = event.has_lost() ? event.lost().count() : 1;
  lost_by_errors_ += count;
  untold_[{kWrite, {}}] += count;
}

// Reports losses before the next event that is written, in the place of the lost ones. At most once a second, because
// these lines take space too.
void EventExport::TellLosses(bool now) {
  const std::uint64_t now_ns = clock_.Now();
  if (!now && now_ns < next_telling_ns_) return;
  next_telling_ns_ = now_ns + kNanosecondsPerSecond;
  std::erase_if(untold_, [&](const auto& one) {
    const auto& [cause, workload] = one.first;
    return Write(MakeLost(options_.node, clock_.AtNow(), cause, workload, one.second));
  });
}

bool EventExport::Write(const v1::Event& event) { return Write(options_.to_line(event)); }

bool EventExport::Write(const StatusOr<std::string>& json) {
  const Status status = json.ok() ? file_.Write(*json) : json.status();
  moved_ = file_.moved();
  if (!status.ok() && !failing_) LogError("exporting events: {}", Message(status));
  failing_ = !status.ok();
  return status.ok();
}

}  // namespace sluice::telemetry
