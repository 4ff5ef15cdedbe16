#include "ctrl/respond/records.h"

#include <google/protobuf/util/time_util.h>

#include <memory>
#include <utility>

#include "base/log.h"
#include "telemetry/event/response_text.h"

namespace sluice::respond {

using google::protobuf::util::TimeUtil;

v1::Event Records::Begin(const std::string& response, const Noticed& noticed, const v1::Event& event) const {
  v1::Event record;
  v1::Response& out = *record.mutable_response();
  out.set_node(node_);
  out.set_type("response");
  out.set_namespace_(noticed.cause.workload.ns);
  out.set_workload(noticed.cause.workload.name);
  if (noticed.process != nullptr) *out.mutable_process() = *noticed.process;
  if (noticed.owner != nullptr) *out.mutable_owner() = *noticed.owner;
  out.set_response(response);
  *out.mutable_cause() = noticed.told;
  out.mutable_cause()->set_text(TextOf(event));
  return record;
}

void Records::SetTimes(v1::Response* response) {
  *response->mutable_time() = clock_.AtNow();
  // The clock may have been set back in between.
  const auto delay = response->time() - response->cause().time();
  if (delay >= TimeUtil::SecondsToDuration(0)) *response->mutable_delay() = delay;
}

void Records::Publish(v1::Event record) {
  v1::Response& response = *record.mutable_response();
  if (!response.has_time()) SetTimes(&response);
  LogInfo("{}", telemetry::ResponseText(response));
  const telemetry::EventPtr shared = std::make_shared<const v1::Event>(std::move(record));
  if (history_ != nullptr) history_->Push(shared);
  if (hub_->watched()) hub_->Publish(shared);
}

}  // namespace sluice::respond
