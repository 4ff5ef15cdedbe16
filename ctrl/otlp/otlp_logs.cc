#include "ctrl/otlp/otlp_logs.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "telemetry/otlp/otlp_log.h"

namespace sluice::otlp {
namespace {

using namespace std::chrono_literals;
using opentelemetry::proto::collector::logs::v1::ExportLogsServiceRequest;
using opentelemetry::proto::collector::logs::v1::LogRecord;
using opentelemetry::proto::collector::logs::v1::ScopeLogs;

// Without events, a batch's age and the end are looked at this often.
constexpr auto kLook = 100ms;
constexpr char kDenied[] = "denied";
constexpr char kFlow[] = "flow";
constexpr char kQueueFull[] = "SUBSCRIBER_QUEUE_FULL";  // of losses in this follower's own queue

}  // namespace

// The records of one request.
class OtlpLogs::Batch {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Batch(const telemetry::OtlpResource& resource) : resource_(resource) { Begin(); }

  void Add(const v1::Event& event) {
    if (empty()) since_ = Clock::now();
    LogRecord& record = *records_->add_log_records();
    telemetry::FillLogRecord(event, telemetry::ReadClocks().realtime_ns, &record);
    bytes_ += record.ByteSizeLong();
  }
  bool empty() const { return size() == 0; }
  std::size_t size() const { return static_cast<std::size_t>(records_->log_records_size()); }
  bool IsDue(const Options& options) const {
    return size() >= options.max_records || bytes_ >= options.max_bytes ||
           (!empty() && Clock::now() - since_ >= options.max_wait);
  }
  const ExportLogsServiceRequest& request() const { return request_; }
  void Begin() {
    request_.Clear();
    auto& resource = *request_.add_resource_logs();
    telemetry::FillResource(resource_, resource.mutable_resource());
    records_ = resource.add_scope_logs();
    telemetry::FillScope(resource_, records_->mutable_scope());
    bytes_ = 0;
  }

 private:
  const telemetry::OtlpResource& resource_;
  ExportLogsServiceRequest request_;
  ScopeLogs* records_ = nullptr;  // in request_
  std::size_t bytes_ = 0;
  Clock::time_point since_;
};

const std::vector<std::string>& LogKinds() {
  static const std::vector<std::string> kinds = {kDenied, kFlow,   "exec",      "exit",     "fork",
                                                 "hook",  "alert", "detection", "response", "change"};
  return kinds;
}

StatusOr<telemetry::EventFilter> FilterOf(const std::vector<std::string>& kinds) {
  const auto has = [&](const char* kind) { return std::find(kinds.begin(), kinds.end(), kind) != kinds.end(); };
  v1::ObserveRequest request;
  for (const std::string& kind : kinds) {
    if (std::find(LogKinds().begin(), LogKinds().end(), kind) == LogKinds().end())
      return InvalidError("{}: expected {}", kind, fmt::join(LogKinds(), ", "));
    if (kind != kDenied) request.mutable_filter()->add_types(kind);
  }
  if (has(kDenied) && !has(kFlow)) {
    request.mutable_filter()->add_types(kFlow);
    v1::ObserveRequest::Filter& passed = *request.add_except();
    passed.add_types(kFlow);
    passed.add_verdicts(v1::Flow::FORWARDED);
  }
  return telemetry::EventFilter::Make(request);
}

OtlpLogs::OtlpLogs(Options options, std::unique_ptr<OtlpSender> sender, telemetry::EventHub* hub)
    : options_(std::move(options)), hub_(hub), delivery_("logs", options_.pauses, std::move(sender)) {}

StatusOr<std::unique_ptr<OtlpLogs>> OtlpLogs::Start(Options options, std::unique_ptr<OtlpSender> sender,
                                                    telemetry::EventHub* hub) {
  SL_ASSIGN_OR_RETURN(telemetry::EventFilter filter, FilterOf(options.kinds));
  std::unique_ptr<OtlpLogs> logs(new OtlpLogs(std::move(options), std::move(sender), hub));
  SL_ASSIGN_OR_RETURN(logs->following_, hub->Subscribe(std::move(filter)));
  logs->thread_ = std::thread(&OtlpLogs::Run, logs.get());
  return logs;
}

OtlpLogs::~OtlpLogs() {
  if (!thread_.joinable()) return;
  delivery_.Stop(options_.at_end);
  thread_.join();
}

void OtlpLogs::Run() {
  Batch batch(options_.resource);
  while (true) {
    const telemetry::EventPtr event = following_->Next(kLook);
    if (event != nullptr) {
      if (event->has_lost() && event->lost().cause() == kQueueFull) delivery_.CountNoRoom(event->lost().count());
      batch.Add(*event);
    }
    const bool ends = (event == nullptr && (delivery_.stopping() || hub_->closed())) || delivery_.ended();
    if (batch.IsDue(options_) || (ends && !batch.empty())) {
      delivery_.Deliver(batch.size(), [&](OtlpSender* sender) { return sender->Send(batch.request()); });
      batch.Begin();
    }
    if (ends) break;
  }
  following_.reset();
  delivery_.Finish();
}

}  // namespace sluice::otlp
