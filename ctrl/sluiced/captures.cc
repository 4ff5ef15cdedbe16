#include "ctrl/sluiced/captures.h"

#include <algorithm>
#include <chrono>

#include "base/log.h"

namespace sluice {
namespace {

using namespace std::chrono_literals;

// How long a read of packets waits for their processes to be known.
constexpr auto kCatchUpPackets = 200ms;
constexpr std::size_t kWorkloadsNamed = 100;

}  // namespace

Status Captures::Check(const Options& options) {
  return Annotate(telemetry::CaptureFiles::Open(options.recorder.files).status(), "--capture-dir");
}

StatusOr<std::unique_ptr<Captures>> Captures::Start(const Options& options, datapath::BpfDatapath* datapath,
                                                    telemetry::Telemetry* telemetry) {
  std::unique_ptr<Captures> captures(new Captures(options));
  SL_ASSIGN_OR_RETURN(captures->rings_, capture::CaptureRings::Open(datapath->object(), {.bytes = options.max_bytes},
                                                                    [datapath](const auto& captured) {
                                                                      return datapath->SetCaptured(captured);
                                                                    }));
  telemetry::PacketCapture::Options packets{.ring = options.ring};
  for (const std::string& text : options.workloads) {
    SL_ASSIGN_OR_RETURN(const auto pattern, telemetry::WorkloadPattern::Parse(text));
    packets.workloads.push_back(pattern);
  }
  captures->packets_ = std::make_unique<telemetry::PacketCapture>(std::move(packets), captures->rings_.get(),
                                                                  &telemetry->assembler(), [telemetry] {
                                                                    if (telemetry->processes() != nullptr)
                                                                      telemetry->processes()->CatchUp(kCatchUpPackets);
                                                                  });
  SL_ASSIGN_OR_RETURN(captures->recorder_, telemetry::Recorder::Start(options.recorder, captures->packets_.get()));
  v1::ObserveRequest::Filter filter;
  bool denied = false;
  for (const std::string& trigger : options.on) {
    if (trigger == "denied")
      denied = true;
    else
      filter.add_types(trigger);
  }
  if (filter.types_size() != 0) {
    SL_ASSIGN_OR_RETURN(auto events, telemetry::EventFilter::Make(filter));
    SL_RETURN_IF_ERROR(captures->recorder_->FollowEvents(&telemetry->hub(), std::move(events)));
  }
  telemetry::PacketCapture::OnDenied on_denied;
  if (denied) {
    on_denied = [recorder = captures->recorder_.get()](const policy::ObjectName& workload,
                                                       const v1::CapturedFlow& first) {
      const auto written = recorder->Write(workload, {.kind = "denied", .text = pcapng::CommentOf(first)});
      if (!written.ok() && !absl::IsResourceExhausted(written.status()))
        LogWarn("packets of {}: {}", workload.ToString(), Message(written.status()));
    };
  }
  captures->packets_->Start(std::move(on_denied));
  return captures;
}

void Captures::Stop() {
  packets_->Stop();
  recorder_.reset();
  packets_.reset();
  rings_.reset();
}

v1::AgentStatus::Captures Captures::Numbers() const {
  v1::AgentStatus::Captures numbers;
  const auto workloads = packets_->captured();
  for (std::size_t i = 0; i < std::min(workloads.size(), kWorkloadsNamed); ++i)
    numbers.add_workloads(workloads[i].ToString());
  const auto usage = packets_->usage();
  numbers.set_count(workloads.size());
  numbers.set_bytes(usage.bytes);
  numbers.set_max_bytes(usage.limit);
  numbers.set_lost(usage.lost);
  const auto recorded = recorder_->numbers();
  numbers.set_directory(options_.recorder.files.directory);
  numbers.set_files(recorded.files.files);
  numbers.set_file_bytes(recorded.files.bytes);
  numbers.set_max_file_bytes(options_.recorder.files.max_bytes);
  numbers.set_suppressed(recorded.suppressed);
  return numbers;
}

telemetry::CaptureNumbers Captures::MetricNumbers() const {
  const auto usage = packets_->usage();
  const auto recorded = recorder_->numbers();
  return {.workloads = usage.workloads,
          .memory_bytes = usage.bytes,
          .memory_limit = usage.limit,
          .contended = usage.lost,
          .overwritten = packets_->overwritten(),
          .written = recorded.written,
          .written_bytes = recorded.written_bytes,
          .suppressed = recorded.suppressed,
          .failed = recorded.failed,
          .removed = recorded.files.removed,
          .files = recorded.files.files,
          .file_bytes = recorded.files.bytes,
          .file_limit = options_.recorder.files.max_bytes};
}

}  // namespace sluice
