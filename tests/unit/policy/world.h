// A small sample cluster in YAML for the policy tests. The reference evaluator and the compiled tables evaluate every
// question, and must agree.
//   World world;
//   world.Apply(R"(...)");
//   EXPECT_TRUE(world.Allows("shop/web", "10.0.0.2", "5432/TCP"));
// Every Workload is bound, with the addresses of its spec.
#pragma once

#include <gtest/gtest.h>

#include "policy/network/compiler.h"
#include "policy/resource/parser.h"
#include "tests/support/table_lookup.h"

namespace sluice::policy {

// shop/web and shop/db, bank/web and bank/vault are local; bank/far is a Pod elsewhere, known by its addresses.
inline constexpr char kBaseScenario[] = R"(
{apiVersion: v1, kind: Namespace, metadata: {name: shop, labels: {team: retail}}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: bank, labels: {team: money}}}
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web, namespace: shop, labels: {app: web, tier: front}}
spec:
  netns: /run/netns/shop-web
  ips: [10.0.0.1, "fd00::1"]
  ports: [{name: http, port: 80}, {name: dns, port: 53, protocol: UDP}]
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {netns: /run/netns/shop-db, ips: [10.0.0.2, "fd00::2"], ports: [{name: sql, port: 5432}]}
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web, namespace: bank, labels: {app: web}}
spec: {netns: /run/netns/bank-web, ips: [10.0.1.1, "fd00::1:1"], ports: [{name: http, port: 8080}]}
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: vault, namespace: bank, labels: {app: vault, tier: front}}
spec: {netns: /run/netns/bank-vault, ips: [10.0.1.2, "fd00::1:2"]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: bank, uid: u-1, labels: {app: far}}
spec: {containers: [{name: c, ports: [{name: http, containerPort: 81}]}]}
status: {phase: Running, podIPs: [{ip: 10.0.9.9}, {ip: "fd00::9:9"}]}
)";
inline constexpr char kNode4[] = "10.0.0.254";
inline constexpr char kNode6[] = "fd00::fe";
inline constexpr char kOutside4[] = "203.0.113.7";
inline constexpr char kOutside6[] = "2001:db8::7";

class World {
 public:
  explicit World(const std::string& yaml = kBaseScenario) { Apply(yaml); }

  // Creates or replaces; invalid text fails the test.
  void Apply(const std::string& yaml) {
    StatusOr<std::vector<Resource>> parsed = ParseResources("test", yaml);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    for (Resource& resource : *parsed) resources_.insert_or_assign(resource.id, std::move(resource));
    Rebuild();
  }

  // For what no document can say.
  void Put(Resource resource) {
    const ResourceId id = resource.id;
    resources_.insert_or_assign(id, std::move(resource));
    Rebuild();
  }

  void Delete(Kind kind, const ObjectName& name) {
    ASSERT_EQ(resources_.erase({kind, name}), 1U) << name.ToString();
    Rebuild();
  }

  // Ends: "namespace/name" (its IPv4 address) or an address. Service: "80/TCP", or "1" for a bare protocol number.
  Flow FlowOf(const std::string& from, const std::string& to, const std::string& service) const {
    Flow flow;
    flow.source = AddressOf(from);
    flow.destination = AddressOf(to);
    const auto slash = service.find('/');
    const std::string protocol = slash == std::string::npos ? service : service.substr(slash + 1);
    flow.protocol = protocol == "TCP"    ? kTcp
                    : protocol == "UDP"  ? kUdp
                    : protocol == "SCTP" ? kSctp
                                         : static_cast<std::uint8_t>(std::stoi(protocol));
    if (slash != std::string::npos) flow.port = static_cast<std::uint16_t>(std::stoi(service.substr(0, slash)));
    return flow;
  }

  Evaluation Evaluate(const Flow& flow) const {
    const Evaluation answer = policy::Evaluate(*snapshot_, flow, Scope::kLocal);
    const test::TableVerdict table = test::LookUp(compiled_.tables, flow);
    EXPECT_EQ(table.allowed, answer.allowed);
    EXPECT_EQ(table.audit_denied, answer.audit_denied);
    EXPECT_EQ(Meaning(table.egress_decision), answer.egress.value_or(Decision{}));
    EXPECT_EQ(Meaning(table.ingress_decision), answer.ingress.value_or(Decision{}));
    return answer;
  }
  Evaluation Evaluate(const std::string& from, const std::string& to, const std::string& service) const {
    return Evaluate(FlowOf(from, to, service));
  }
  bool Allows(const std::string& from, const std::string& to, const std::string& service = "80/TCP") const {
    return Evaluate(from, to, service).allowed;
  }

  const Snapshot& snapshot() const { return *snapshot_; }
  const CompiledPolicy& compiled() const { return compiled_; }
  const ResourceMap& resources() const { return resources_; }

 private:
  void Rebuild() {
    std::map<ObjectName, Binding> bindings;
    for (const auto& [id, resource] : resources_) {
      const auto number = static_cast<std::uint32_t>(bindings.size() + 1);
      if (resource.workload) bindings[id.name] = {100 + number, number, resource.workload->ips};
    }
    auto snapshot =
        Snapshot::Build(resources_, bindings, {*Address::Parse(kNode4), *Address::Parse(kNode6)}, snapshot_.get());
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    snapshot_ = *snapshot;
    auto compiled = compiler_.Compile(snapshot_);
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    compiled_ = std::move(*compiled);
  }

  Address AddressOf(const std::string& end) const {
    if (const StatusOr<Address> address = Address::Parse(end); address.ok()) return *address;
    const auto slash = end.find('/');
    const Endpoint* endpoint = snapshot_->FindByName({end.substr(0, slash), end.substr(slash + 1)});
    EXPECT_TRUE(endpoint && !endpoint->ips.empty()) << end;
    return endpoint && !endpoint->ips.empty() ? endpoint->ips.front() : Address();
  }

  Decision Meaning(std::uint32_t number) const {
    if (number == 0) return {};
    const auto found = compiled_.decisions.find(number);
    EXPECT_NE(found, compiled_.decisions.end()) << number;
    return found == compiled_.decisions.end() ? Decision{} : *found->second;
  }

  ResourceMap resources_;
  Compiler compiler_;
  std::shared_ptr<const Snapshot> snapshot_;
  CompiledPolicy compiled_;
};

// `spec` in flow style: "podSelector: {}, ingress: []".
inline std::string PolicyYaml(const std::string& ns, const std::string& name, const std::string& spec) {
  return fmt::format(
      "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: {}, namespace: {}}}, "
      "spec: {{{}}}}}\n",
      name, ns, spec);
}
inline std::string SluicePolicyYaml(const std::string& ns, const std::string& name, const std::string& spec) {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: NetworkPolicy, metadata: {{name: {}, namespace: {}}}, "
      "spec: {{{}}}}}\n",
      name, ns, spec);
}

inline std::string ClusterPolicyYaml(const std::string& name, const std::string& spec) {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: ClusterNetworkPolicy, metadata: {{name: {}}}, spec: {{{}}}}}\n", name,
      spec);
}

inline World With(const std::string& policies) {
  World world;
  world.Apply(policies);
  return world;
}

inline constexpr char kSelectDb[] = "podSelector: {matchLabels: {app: db}}";

inline std::string ParseError(const std::string& yaml) {
  const auto parsed = ParseResources("test", yaml);
  EXPECT_FALSE(parsed.ok()) << yaml;
  return parsed.ok() ? "" : Message(parsed.status());
}

}  // namespace sluice::policy
