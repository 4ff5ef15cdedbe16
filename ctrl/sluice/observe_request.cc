#include "ctrl/sluice/observe_request.h"

#include <algorithm>

#include "telemetry/event/event_filter.h"

namespace sluice::client {
namespace {

Status SetVerdict(const std::string& text, v1::ObserveRequest::Filter* filter) {
  std::string upper = text;
  std::transform(upper.begin(), upper.end(), upper.begin(), [](unsigned char c) { return std::toupper(c); });
  v1::Flow::Verdict verdict = v1::Flow::VERDICT_UNSPECIFIED;
  if (!v1::Flow::Verdict_Parse(upper, &verdict) || verdict == v1::Flow::VERDICT_UNSPECIFIED) {
    return InvalidError("--verdict {}: there are FORWARDED, DROPPED and AUDIT", text);
  }
  filter->set_verdict(verdict);
  return OkStatus();
}

Status SetWorkload(const std::string& text, v1::ObserveRequest::Filter* filter) {
  const std::size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return InvalidError("--workload {}: expected namespace/name", text);
  }
  filter->set_namespace_(text.substr(0, slash));
  filter->set_workload(text.substr(slash + 1));
  return OkStatus();
}

}  // namespace

StatusOr<v1::ObserveRequest> ToRequest(const ObserveOptions& options) {
  v1::ObserveRequest request;
  request.set_follow(options.follow);
  request.set_last(options.last);
  v1::ObserveRequest::Filter& filter = *request.mutable_filter();
  if (!options.verdict.empty()) SL_RETURN_IF_ERROR(SetVerdict(options.verdict, &filter));
  if (!options.workload.empty()) SL_RETURN_IF_ERROR(SetWorkload(options.workload, &filter));
  filter.set_process(options.process);
  if (options.type != "all") filter.set_type(options.type);
  filter.set_without_forks(options.type.empty());
  filter.set_port(options.port);
  SL_RETURN_IF_ERROR(telemetry::CheckFilter(filter));
  return request;
}

}  // namespace sluice::client
