// A small sample cluster for the API's tests: shop/web-0 and shop/db-0 on this node, a known peer ops/job, one policy
// of each kind.
#pragma once

#include "ctrl/reconcile/controller.h"
#include "policy/resource/parser.h"

namespace sluice::api {

inline constexpr const char* kWorld = R"(
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: web-0, namespace: shop, labels: {app: web}}
spec: {hostInterface: v-web, ips: [10.1.0.2, "fd00::2"]}
---
apiVersion: sluice.dev/v1alpha1
kind: Workload
metadata: {name: db-0, namespace: shop, labels: {app: db}}
spec: {hostInterface: v-db, ips: [10.1.0.3]}
---
apiVersion: v1
kind: Pod
metadata: {name: job, namespace: ops, labels: {app: job}}
status: {podIPs: [{ip: 10.2.0.9}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 5432}]
---
apiVersion: sluice.dev/v1alpha1
kind: NetworkPolicy
metadata: {name: trial, namespace: shop}
spec:
  mode: Audit
  podSelector: {matchLabels: {app: web}}
  policyTypes: [Egress]
  egress:
  - action: Deny
    ports: [{port: 5432}]
)";

// The controller's view of it, with web-0 behind interface 11, and db-0 without an interface.
inline reconcile::View MakeView() {
  reconcile::View view;
  view.revision = 5;
  const auto parsed = policy::ParseResources("world.yaml", kWorld);
  for (const policy::Resource& resource : *parsed) view.resources[resource.id] = resource;
  view.desired = reconcile::Desired(view.resources);
  const auto& web = view.resources.at({policy::Kind::kWorkload, {"shop", "web-0"}}).workload;
  const std::map<policy::ObjectName, policy::Binding> bindings = {
      {web->name, {.ifindex = 11, .endpoint = 1, .ips = web->ips}}};
  view.unbound[{"shop", "db-0"}] = "Workload shop/db-0: spec.hostInterface: no interface v-db";
  view.compiled =
      *policy::Compile(*policy::Snapshot::Build(view.resources, bindings, {*policy::Address::Parse("10.1.0.1")}));
  return view;
}

}  // namespace sluice::api
