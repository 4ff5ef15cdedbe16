// Events for the relay's tests: flows of a node with a time, told apart by their ids.
#pragma once

#include <string>

#include "api/sluice.pb.h"

namespace sluice::cluster {

inline v1::Event FlowAt(std::int64_t ns, const std::string& id, const std::string& node = "node-1") {
  v1::Event event;
  v1::Flow& flow = *event.mutable_flow();
  flow.mutable_time()->set_seconds(ns / 1'000'000'000);
  flow.mutable_time()->set_nanos(static_cast<std::int32_t>(ns % 1'000'000'000));
  flow.set_node(node);
  flow.set_type("flow");
  flow.set_event(v1::Flow::NEW);
  flow.set_verdict(v1::Flow::FORWARDED);
  flow.set_flow_id(id);
  return event;
}

}  // namespace sluice::cluster
