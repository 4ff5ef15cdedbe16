// Events for tests of OTLP.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "telemetry/event/fair_queue.h"

namespace sluice::test {

inline bool Eventually(const std::function<bool()>& holds) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!holds()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// web-0's psql is denied at db-0.
inline telemetry::EventPtr DeniedFlow() {
  auto event = std::make_shared<v1::Event>();
  v1::Flow& flow = *event->mutable_flow();
  flow.mutable_time()->set_seconds(1'772'600'767);
  flow.mutable_time()->set_nanos(123'456'789);
  flow.set_node("node-1");
  flow.set_type("flow");
  flow.set_event(v1::Flow::NEW);
  flow.set_verdict(v1::Flow::DROPPED);
  flow.set_drop_reason("POLICY_DENIED");
  flow.set_direction(v1::Flow::EGRESS);
  flow.set_interface("veth1");
  flow.set_reply(false);
  flow.set_flow_id("f-1");
  flow.mutable_ip()->set_version(4);
  flow.mutable_ip()->set_source("10.1.0.2");
  flow.mutable_ip()->set_destination("10.1.0.3");
  flow.mutable_l4()->set_protocol("TCP");
  flow.mutable_l4()->set_source_port(40112);
  flow.mutable_l4()->set_destination_port(5432);
  flow.mutable_forward()->set_packets(1);
  flow.mutable_forward()->set_bytes(60);
  v1::Peer& web = *flow.mutable_source();
  web.set_namespace_("shop");
  web.set_workload("web-0");
  web.mutable_owner()->set_kind("Deployment");
  web.mutable_owner()->set_name("web");
  v1::Process& psql = *web.mutable_process();
  psql.set_exec_id("node-1:4242:7");
  psql.set_pid(4242);
  psql.set_binary("/usr/bin/psql");
  psql.add_arguments("-h");
  psql.add_arguments("db");
  psql.set_uid(1000);
  psql.set_effective_uid(1001);
  psql.set_container_id("c0ffee");
  psql.set_container_name("app");
  psql.mutable_start_time()->set_seconds(1'772'600'000);
  psql.add_ancestors("/usr/bin/bash");
  flow.mutable_destination()->set_namespace_("bank");
  flow.mutable_destination()->set_workload("db-0");
  v1::PolicyRef& policy = *flow.add_policies();
  policy.set_kind("NetworkPolicy");
  policy.set_namespace_("bank");
  policy.set_name("db");
  policy.set_rule("ingress[0]");
  policy.set_effect(v1::PolicyRef::DENY);
  policy.set_direction(v1::Flow::INGRESS);
  return event;
}

inline telemetry::EventPtr ExecOf(const std::string& workload, const std::string& binary) {
  auto event = std::make_shared<v1::Event>();
  v1::Exec& exec = *event->mutable_exec();
  exec.set_type("exec");
  exec.set_namespace_("shop");
  exec.set_workload(workload);
  exec.mutable_process()->set_binary(binary);
  return event;
}

}  // namespace sluice::test
