#include "telemetry/event/event_owner.h"

namespace sluice::telemetry {

policy::ObjectName OwnerOf(const v1::Event& event) {
  const auto name_of = [](const auto& message) { return policy::ObjectName{message.namespace_(), message.workload()}; };
  switch (event.event_case()) {
    case v1::Event::kFlow:
      return name_of(event.flow().source().workload().empty() ? event.flow().destination() : event.flow().source());
    case v1::Event::kLost:
      return name_of(event.lost());
    case v1::Event::kExec:
      return name_of(event.exec());
    case v1::Event::kFork:
      return name_of(event.fork());
    case v1::Event::kExit:
      return name_of(event.exit());
    case v1::Event::kHook:
      return name_of(event.hook());
    case v1::Event::kAlert:
      return name_of(event.alert());
    case v1::Event::kDetection:
      return name_of(event.detection());
    case v1::Event::kResponse:
      return name_of(event.response());
    case v1::Event::kChange:
    case v1::Event::EVENT_NOT_SET:
      break;
  }
  return {};
}

const v1::Process* ProcessOf(const v1::Event& event) {
  switch (event.event_case()) {
    case v1::Event::kExec:
      return &event.exec().process();
    case v1::Event::kExit:
      return &event.exit().process();
    case v1::Event::kHook:
      return &event.hook().process();
    case v1::Event::kAlert:
      return &event.alert().process();
    case v1::Event::kDetection:
      return &event.detection().process();
    case v1::Event::kResponse:
      return &event.response().process();
    default:
      return nullptr;
  }
}

}  // namespace sluice::telemetry
