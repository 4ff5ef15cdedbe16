#include "ctrl/kubearmor/log_service.h"

#include <absl/time/time.h>

#include <algorithm>

#include "api/grpc_status.h"
#include "telemetry/event/change_text.h"
#include "telemetry/kubearmor/kubearmor_event.h"

namespace sluice::kubearmor {
namespace {

using api::ToGrpc;
using namespace std::chrono_literals;

// How often a follower's thread looks whether its client has gone.
constexpr auto kCancelCheck = 200ms;

Status CheckFilter(const feeder::RequestMessage& request, std::string_view other) {
  if (request.filter().empty() || request.filter() == "all" || request.filter() == other) return OkStatus();
  return InvalidError("Filter {}: expected all or {}", request.filter(), other);
}

std::optional<feeder::Message> ToMessage(const v1::Event& event) {
  if (!event.has_change()) return std::nullopt;
  const v1::Change& change = event.change();
  feeder::Message out;
  out.set_timestamp(change.time().seconds());
  const absl::Time at = absl::FromUnixSeconds(change.time().seconds()) + absl::Nanoseconds(change.time().nanos());
  out.set_updatedtime(absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", at, absl::UTCTimeZone()));
  out.set_hostname(change.node());
  out.set_type("Log");
  out.set_level(change.problem().empty() ? "INFO" : "ERROR");
  out.set_message(telemetry::ChangeText(change));
  return out;
}

}  // namespace

api::Served LogService::served() {
  return {.services = {this}, .admit = [this](api::Calls* calls) { calls_ = calls; }, .refused = {}};
}

grpc::Status LogService::HealthCheck(grpc::ServerContext* context, const feeder::NonceMessage* request,
                                     feeder::ReplyMessage* reply) {
  const StatusOr<api::Call> call = calls_->Begin(context, api::CallKind::kAnswer);
  if (!call.ok()) return ToGrpc(call.status());
  reply->set_retval(request->nonce());
  return grpc::Status::OK;
}

template <typename Message, typename Convert>
grpc::Status LogService::Watch(grpc::ServerContext* context, const std::vector<std::string>& types,
                               const Convert& convert, grpc::ServerWriter<Message>* writer) {
  const StatusOr<api::Call> call = calls_->Begin(context, api::CallKind::kFollow);
  if (!call.ok()) return ToGrpc(call.status());
  v1::ObserveRequest::Filter wanted;
  wanted.set_without_forks(true);
  *wanted.mutable_types() = {types.begin(), types.end()};
  auto filter = telemetry::EventFilter::Make(wanted);
  if (!filter.ok()) return ToGrpc(filter.status());
  const auto following = hub_->Subscribe(*std::move(filter), /*with_parents=*/true);
  if (!following.ok()) return ToGrpc(following.status());
  writer->SendInitialMetadata();
  while (!context->IsCancelled()) {
    const telemetry::EventPtr event = (*following)->Next(kCancelCheck);
    if (event == nullptr && hub_->closed()) return {grpc::StatusCode::UNAVAILABLE, "the agent stops"};
    if (event == nullptr) continue;
    const std::optional<Message> message = convert(*event);
    if (message && !call->Write(writer, *message)) break;
  }
  return grpc::Status::OK;
}

grpc::Status LogService::WatchAlerts(grpc::ServerContext* context, const feeder::RequestMessage* request,
                                     grpc::ServerWriter<feeder::Alert>* writer) {
  if (const Status right = CheckFilter(*request, "policy"); !right.ok()) return ToGrpc(right);
  const bool only_policies = request->filter() == "policy";
  const auto convert = [only_policies](const v1::Event& event) -> std::optional<feeder::Alert> {
    if (only_policies && !event.has_alert()) return std::nullopt;
    return telemetry::ToKubeArmorAlert(event);
  };
  return Watch(context, {"alert"}, convert, writer);
}

grpc::Status LogService::WatchLogs(grpc::ServerContext* context, const feeder::RequestMessage* request,
                                   grpc::ServerWriter<feeder::Log>* writer) {
  if (const Status right = CheckFilter(*request, "system"); !right.ok()) return ToGrpc(right);
  return Watch(context, {"exec", "flow"}, telemetry::ToKubeArmorLog, writer);
}

grpc::Status LogService::WatchMessages(grpc::ServerContext* context, const feeder::RequestMessage*,
                                       grpc::ServerWriter<feeder::Message>* writer) {
  return Watch(context, {"change"}, ToMessage, writer);
}

}  // namespace sluice::kubearmor
