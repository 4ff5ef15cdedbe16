#include "ctrl/otlp/otlp_result.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "api/otlp_common.pb.h"
#include "base/printable.h"

namespace sluice::otlp {
namespace {

using opentelemetry::proto::common::v1::RefusedCall;
using opentelemetry::proto::common::v1::RetryInfo;

constexpr char kRetryInfo[] = "/google.rpc.RetryInfo";
constexpr std::size_t kLongestText = 256;  // of a collector, in logs

const char* CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return code >= 0 && static_cast<std::size_t>(code) < std::size(kNames) ? kNames[code] : "an unknown code";
}

std::string Shortened(const std::string& text) { return Printable(text.substr(0, kLongestText)); }

// Nothing: there is no RetryInfo in it.
std::optional<std::chrono::milliseconds> PauseAskedFor(const grpc::Status& status) {
  RefusedCall refused;
  if (!refused.ParseFromString(status.error_details())) return std::nullopt;
  for (const google::protobuf::Any& detail : refused.details()) {
    RetryInfo info;
    if (!detail.type_url().ends_with(kRetryInfo) || !info.ParseFromString(detail.value())) continue;
    const std::int64_t seconds =
        std::clamp<std::int64_t>(info.retry_delay().seconds(), 0, kLongestAsked / std::chrono::seconds(1));
    const std::chrono::milliseconds pause(seconds * 1000 + std::max(info.retry_delay().nanos(), 0) / 1'000'000);
    return std::min(pause, kLongestAsked);
  }
  return std::nullopt;
}

}  // namespace

OtlpResult ResultOf(const grpc::Status& status) {
  using What = OtlpResult::What;
  if (status.ok()) return {};
  OtlpResult result{.what = What::kRefused,
                    .problem = fmt::format("{}: {}", CodeName(status.error_code()), Shortened(status.error_message()))};
  const auto pause = PauseAskedFor(status);
  switch (status.error_code()) {
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::ABORTED:
    case grpc::StatusCode::OUT_OF_RANGE:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
      result.what = What::kLater;
      break;
    case grpc::StatusCode::RESOURCE_EXHAUSTED:
      if (pause) result.what = What::kLater;
      break;
    default:
      break;
  }
  if (result.what == What::kLater) result.at_earliest = pause.value_or(std::chrono::milliseconds(0));
  return result;
}

OtlpResult PartialResult(std::int64_t rejected, std::uint64_t items, const std::string& message) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(rejected, 0));
  return {.problem = Shortened(message), .rejected = std::min(count, items)};
}

}  // namespace sluice::otlp
