#include "telemetry/telemetry.h"

#include <algorithm>

#include "base/log.h"
#include "base/printable.h"

namespace sluice::telemetry {
namespace {

// Longer than a resync of the process tree takes. A flow whose process is still unknown then is reported without it.
constexpr std::chrono::milliseconds kCatchUp{500};

// The most closed items that /readyz lists.
constexpr std::size_t kClosedNamed = 20;

HttpReply NotYet() { return {.code = 503, .body = "enforcement is not in place yet\n"}; }

}  // namespace

Telemetry::Telemetry(TelemetryOptions options, TelemetrySources sources)
    : options_(std::move(options)),
      sources_(std::move(sources)),
      assembler_(options_.node, sources_.datapath, sources_.policy, options_.clock),
      history_(options_.history),
      hub_({.node = options_.node, .clock = options_.clock},
           [this](bool watched) {
             sources_.send_flow_events(watched);
             if (watched) collector_.Wake();
           }),
      verdicts_(options_.max_policy_series),
      sweeper_(sources_.datapath, &assembler_, &history_, &hub_),
      metrics_({.datapath = sources_.datapath,
                .sweeper = &sweeper_,
                .hub = &hub_,
                .policy = sources_.policy,
                .revision = sources_.revision,
                .unbound_workloads = sources_.unbound_workloads,
                .quarantined_workloads = sources_.quarantined_workloads,
                .ready = sources_.ready,
                .holding = [this] { return Holding(); },
                .processes = [this] { return ReadProcessNumbers(); },
                .traffic = [this] { return traffic_.get(); },
                .verdicts = &verdicts_,
                .exported = [this] { return export_.get(); },
                .api_refused = sources_.api_refused,
                .kubernetes = sources_.kubernetes,
                .kubernetes_writes = sources_.kubernetes_writes,
                .lsm_policies = sources_.lsm_policies,
                .responses = sources_.responses,
                .hook_policies = sources_.hook_policies,
                .hook_records = sources_.hook_records,
                .detection = sources_.detection,
                .otlp = sources_.otlp,
                .captures = sources_.captures,
                .http_dropped =
                    [this] {
                      const HttpServer* const http = serving_;
                      return http != nullptr ? http->dropped() : 0;
                    }},
               {.max_workloads = options_.max_workload_series, .version = options_.version}),
      collector_(options_.collector, sources_.datapath, &assembler_, &history_, &hub_, &sweeper_) {
  sweeper_.CountVerdicts(&verdicts_);
  sweeper_.TellTop(&top_);
  assembler_.NameServices(sources_.services);
  if (sources_.containers != nullptr) {
    history_.CompleteWith([names = sources_.containers](EventPtr event) { return names->Complete(std::move(event)); });
  }
}

StatusOr<v1::TopReply> Telemetry::ReadTop(const v1::TopRequest& request) {
  return top_.Read(sources_.datapath, assembler_.Capture(), request);
}

std::optional<ProcessNumbers> Telemetry::ReadProcessNumbers() const {
  if (processes_ == nullptr) return std::nullopt;
  const auto fill = processes_->ReadFill();
  if (!fill.ok()) LogWarn("metrics: {}", Message(fill.status()));
  return ProcessNumbers{.counters = processes_->counters(),
                        .tree = processes_->tree().stats(),
                        .fill = fill.ok() ? std::optional(*fill) : std::nullopt};
}

std::string Telemetry::Holding() const { return sources_.holding ? sources_.holding() : std::string(); }

// A workload whose interface is not found yet must not take the node out of service: none of its packets pass, and all
// other workloads are enforced on.
HttpReply Telemetry::Ready() const {
  if (!sources_.ready()) return NotYet();
  if (const std::string holding = Holding(); !holding.empty())
    return {.code = 503, .body = "holding: " + holding + "\n"};
  if (const std::string problem = sources_.datapath->integrity().problem; !problem.empty())
    return {.code = 503, .body = "enforcement is damaged: " + problem + "\n"};
  std::string body = "ready\n";
  const std::vector<std::string> closed = sources_.closed ? sources_.closed() : std::vector<std::string>();
  for (std::size_t i = 0; i < std::min(closed.size(), kClosedNamed); ++i) body += "closed: " + closed[i] + "\n";
  if (closed.size() > kClosedNamed) body += fmt::format("and {} more are closed\n", closed.size() - kClosedNamed);
  return {.body = std::move(body)};
}

Status Telemetry::Serve() {
  if (options_.metrics_address.empty()) return OkStatus();
  const HttpServer::Handlers handlers = {
      {"/metrics",
       [this] {
         if (!sources_.ready()) return NotYet();
         return HttpReply{.content_type = "text/plain; version=0.0.4; charset=utf-8", .body = metrics_.Render()};
       }},
      {"/healthz", [] { return HttpReply{.body = "ok\n"}; }},
      {"/readyz", [this] { return Ready(); }},
  };
  SL_ASSIGN_OR_RETURN(http_, HttpServer::Start(options_.metrics_address, handlers));
  serving_ = http_.get();
  return OkStatus();
}

Status Telemetry::StartProcesses(ProcessSensor::Options options) {
  options.names.containers = sources_.containers;
  SL_ASSIGN_OR_RETURN(processes_, ProcessSensor::Start(std::move(options), &hub_, &history_));
  assembler_.NameProcesses([this](sl_process_id id, v1::Process* out) { return processes_->events().ToPeer(id, out); });
  const BinarySource binary = [this](sl_process_id id) {
    const auto life = processes_->tree().Find(id);
    return life && life->image ? Printable(life->image->binary) : std::string();
  };
  traffic_ = std::make_unique<ProcessTraffic>(options_.max_process_series, binary);
  top_.NameProcesses(binary);
  sweeper_.CountPrograms(traffic_.get());
  collector_.NameProcesses([this] { processes_->CatchUp(kCatchUp); });
  return OkStatus();
}

Status Telemetry::StartExport(EventExport::Options options) {
  SL_ASSIGN_OR_RETURN(export_, EventExport::Start(std::move(options), &hub_));
  return OkStatus();
}

Status Telemetry::Start() {
  if (!http_) SL_RETURN_IF_ERROR(Serve());
  collector_.Start();
  return OkStatus();
}

void Telemetry::Stop() {
  hub_.Close();
  collector_.Stop();
  serving_ = nullptr;
  http_.reset();
}

}  // namespace sluice::telemetry
