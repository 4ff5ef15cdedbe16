// Flow events with all that the agent knows of both ends, as they come in a cluster.
#pragma once

#include <fmt/format.h>

#include <memory>

#include "telemetry/event/fair_queue.h"

namespace sluice::test {

inline void FillPeer(const std::string& workload, int process, v1::Peer* peer) {
  peer->set_namespace_("shop");
  peer->set_workload(workload);
  peer->set_identity(259);
  (*peer->mutable_labels())["app"] = "web";
  (*peer->mutable_labels())["app.kubernetes.io/part-of"] = "shop";
  (*peer->mutable_labels())["pod-template-hash"] = "5d78c9869d";
  peer->mutable_owner()->set_kind("Deployment");
  peer->mutable_owner()->set_name("web");
  v1::Process& of = *peer->mutable_process();
  of.set_exec_id(fmt::format("node-1:{}:8812345678901", process));
  of.set_pid(static_cast<std::uint32_t>(process));
  of.set_tid(static_cast<std::uint32_t>(process));
  of.set_namespace_pid(17);
  of.set_binary("/opt/app/bin/server");
  of.set_argument0("server");
  of.add_arguments("--config");
  of.add_arguments("/etc/app/config.yaml");
  of.set_name("server");
  of.set_uid(1000);
  of.set_gid(1000);
  of.set_effective_uid(1000);
  of.mutable_start_time()->set_seconds(1'772'600'000);
  of.mutable_start_time()->set_nanos(process);
  of.set_parent_exec_id("node-1:4242:8811345678901");
  of.add_ancestors("/bin/sh");
  of.add_ancestors("/usr/bin/containerd-shim-runc-v2");
  of.set_working_directory("/opt/app");
  of.mutable_namespaces()->set_net(4026532281);
  of.mutable_namespaces()->set_mnt(4026532282);
  of.mutable_namespaces()->set_pid(4026532283);
  of.set_cgroup_id(10293);
  of.set_cgroup_path(
      "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1b2c3d4e_5f60_7182_93a4_b5c6d7e8f901.slice/"
      "cri-containerd-3f1a4c5e6d7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f.scope");
  of.set_container_id("3f1a4c5e6d7b8c9d0e1f2a3b4c5d6e7f8091a2b3c4d5e6f708192a3b4c5d6e7f");
  of.set_container_name("server");
}

// The `number`th of many: `ends` is how many different pairs of ends there are.
inline telemetry::EventPtr FullFlow(int number, int ends) {
  auto event = std::make_shared<v1::Event>();
  v1::Flow& flow = *event->mutable_flow();
  const int pair = number % ends;
  flow.mutable_time()->set_seconds(1'772'600'767 + number / 1000);
  flow.mutable_time()->set_nanos(number % 1000 * 1'000'000);
  flow.set_node("node-1.eu-central-1.example.internal");
  flow.set_type("flow");
  flow.set_event(v1::Flow::END);
  flow.set_verdict(v1::Flow::FORWARDED);
  flow.set_direction(v1::Flow::EGRESS);
  flow.set_hook(v1::Flow::TC);
  flow.set_interface(fmt::format("veth{:08x}", pair));
  flow.set_reply(false);
  flow.mutable_ip()->set_version(4);
  flow.mutable_ip()->set_source(fmt::format("10.1.{}.{}", pair / 256, pair % 256));
  flow.mutable_ip()->set_destination("10.2.17.211");
  flow.mutable_l4()->set_protocol("TCP");
  flow.mutable_l4()->set_source_port(static_cast<std::uint32_t>(32768 + number % 28000));
  flow.mutable_l4()->set_destination_port(5432);
  flow.mutable_l4()->add_tcp_flags("SYN");
  FillPeer(fmt::format("web-{}", pair), 10000 + pair, flow.mutable_source());
  FillPeer("db-0", 500, flow.mutable_destination());
  for (const char* name : {"default-deny", "web-to-db"}) {
    v1::PolicyRef& policy = *flow.add_policies();
    policy.set_kind("NetworkPolicy");
    policy.set_api_version("networking.k8s.io/v1");
    policy.set_namespace_("shop");
    policy.set_name(name);
    policy.set_rule("egress[0]");
    policy.set_effect(v1::PolicyRef::ALLOW);
    policy.set_direction(v1::Flow::EGRESS);
  }
  flow.mutable_forward()->set_packets(static_cast<std::uint64_t>(12 + number % 100));
  flow.mutable_forward()->set_bytes(static_cast<std::uint64_t>(3456 + number));
  flow.mutable_backward()->set_packets(10);
  flow.mutable_backward()->set_bytes(static_cast<std::uint64_t>(2345 + number));
  flow.mutable_start_time()->set_seconds(1'772'600'700 + number / 1000);
  flow.mutable_start_time()->set_nanos(number % 997 * 1'000'003);
  flow.set_flow_id(fmt::format("{:016x}", 0x5f3759df00000000ULL + static_cast<std::uint64_t>(number)));
  return event;
}

}  // namespace sluice::test
