#include "ctrl/otlp/otlp_metrics.h"

#include <algorithm>
#include <utility>

namespace sluice::otlp {
namespace {

OtlpPauses Within(OtlpPauses pauses, std::chrono::milliseconds interval) {
  pauses.give_up = std::min(pauses.give_up, interval);
  return pauses;
}

}  // namespace

OtlpMetrics::OtlpMetrics(Options options, std::unique_ptr<OtlpSender> sender, Read read)
    : options_(options),
      read_(std::move(read)),
      delivery_("metrics", Within(options_.pauses, options_.interval), std::move(sender)),
      thread_(&OtlpMetrics::Run, this) {}

OtlpMetrics::~OtlpMetrics() {
  delivery_.Stop(std::chrono::milliseconds(0));
  thread_.join();
}

void OtlpMetrics::Run() {
  while (delivery_.Wait(options_.interval)) {
    for (const auto& request : read_(options_.max_points)) {
      delivery_.Deliver(CountItems(request), [&](OtlpSender* sender) { return sender->Send(request); });
    }
  }
  delivery_.Finish();
}

}  // namespace sluice::otlp
