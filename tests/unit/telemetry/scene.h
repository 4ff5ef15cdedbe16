// Inputs of telemetry without a kernel: the policy tests' sample cluster, a fake datapath, a fake clock, and flows as
// the packet path would leave them.
//   Scene scene;
//   scene.world.Apply(PolicyYaml("shop", "db", "podSelector: {matchLabels: {app: db}}"));
//   scene.datapath.AddFlow(scene.Record("shop/web", "shop/db", "5432/TCP"));
#pragma once

#include <arpa/inet.h>
#include <gmock/gmock.h>

#include "telemetry/flow/flow_assembler.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_datapath.h"
#include "tests/unit/policy/world.h"

namespace sluice::telemetry {

using datapath::FlowRecord;
using datapath::FlowState;
using test::FakeClock;

inline constexpr std::uint16_t kClientPort = 40112;

class Scene {
 public:
  Scene() {
    for (const policy::Endpoint& endpoint : world.snapshot().endpoints) {
      if (endpoint.ifindex == 0) continue;
      EXPECT_TRUE(datapath.AttachPod({endpoint.ifindex, InterfaceName(endpoint.name), {}}).ok());
    }
  }

  static std::string InterfaceName(const policy::ObjectName& name) { return "v-" + name.ns + "-" + name.name; }

  PolicySource policy() {
    return {.compiled = [this] { return std::make_shared<const policy::CompiledPolicy>(world.compiled()); },
            .decision = [this](std::uint32_t number) -> std::shared_ptr<const policy::Decision> {
              const auto found = world.compiled().decisions.find(number);
              if (found == world.compiled().decisions.end()) return nullptr;
              return found->second;
            }};
  }
  FlowAssembler Assembler() { return FlowAssembler("node-1", &datapath, policy(), clock.reader()); }

  // A first packet evaluated at the source's interface, or at the destination's when the source is not local. Ends and
  // service as in World::FlowOf.
  FlowRecord Record(const std::string& from, const std::string& to, const std::string& service) const {
    const policy::Flow flow = world.FlowOf(from, to, service);
    const test::TableVerdict verdict = test::LookUp(world.compiled().tables, flow);
    FlowRecord record;
    const bool hi = flow.destination < flow.source;
    const bool ports = flow.port != 0;
    record.key.lo = (hi ? flow.destination : flow.source).abi();
    record.key.hi = (hi ? flow.source : flow.destination).abi();
    record.key.lo_port = htons(hi ? flow.port : ports ? kClientPort : 0);
    record.key.hi_port = htons(hi ? (ports ? kClientPort : 0) : flow.port);
    record.key.protocol = flow.protocol;

    sl_flow_entry& entry = record.entry;
    entry.created_ns = entry.last_seen_ns = clock.now();
    entry.forward_packets = 1;
    entry.forward_bytes = 60;
    entry.initiator = End(flow.source);
    entry.responder = End(flow.destination);
    entry.egress_decision = verdict.egress_decision;
    entry.ingress_decision = verdict.ingress_decision;
    entry.flags = (hi ? static_cast<std::uint32_t>(SL_CT_INITIATOR_HI) : 0U) |
                  (verdict.audit_denied ? static_cast<std::uint32_t>(SL_CT_AUDIT) : 0U);
    entry.reason = verdict.allowed ? SL_DROP_NONE : SL_DROP_POLICY_DENIED;
    entry.hook = entry.initiator.ifindex != 0 ? SL_HOOK_TC_FROM_POD : SL_HOOK_TC_TO_POD;
    if (flow.protocol == policy::kTcp) entry.tcp_flags = 0x02;
    record.state = verdict.allowed ? FlowState::kPending : FlowState::kDenied;
    return record;
  }
  FlowRecord Answered(const std::string& from, const std::string& to, const std::string& service) const {
    FlowRecord record = Record(from, to, service);
    record.state = FlowState::kEstablished;
    record.entry.flags |= SL_CT_SEEN_REPLY | SL_CT_ESTABLISHED;
    record.entry.reply_packets = 1;
    record.entry.reply_bytes = 44;
    return record;
  }
  sl_flow_event Event(const FlowRecord& record, sl_flow_event_type type) const {
    sl_flow_event event{};
    event.time_ns = clock.now();
    event.key = record.key;
    event.entry = record.entry;
    event.ifindex =
        record.entry.hook == SL_HOOK_TC_FROM_POD ? record.entry.initiator.ifindex : record.entry.responder.ifindex;
    event.type = static_cast<std::uint8_t>(type);
    return event;
  }

  policy::World world;
  test::FakeDatapath datapath;
  FakeClock clock;

 private:
  sl_flow_end End(const policy::Address& address) const {
    const auto& addresses = world.compiled().tables.addresses;
    if (const auto known = addresses.find(address); known != addresses.end()) {
      const sl_address_value& value = known->second;
      return {value.identity, value.workload, value.endpoint, value.ifindex};
    }
    const std::uint32_t kind = address.is_v4() ? SL_KIND_WORLD4 : SL_KIND_WORLD6;
    return {kind << SL_IDENTITY_KIND_SHIFT | SL_IDENTITY_PLAIN, 0, 0, 0};
  }
};

}  // namespace sluice::telemetry
