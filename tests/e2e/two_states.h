// Two states of a fixture with the pods "client" and "server", and the expected result for single datagrams between
// them in each state.
#pragma once

#include <string>

#include "tests/support/node_fixture.h"

namespace sluice::test {

// Label and policy change together, so that a mixture of both states is detected: old allows port 1001, new 1002, both
// allow 1000, none allows 1003, but the label of one with the policy of the other would.
class TwoStates {
 public:
  explicit TwoStates(const NodeFixture& fixture) : fixture_(fixture) {}
  static constexpr std::uint16_t kPorts[] = {1000, 1001, 1002, 1003};

  static bool Allows(bool b, std::uint16_t port) { return port == 1000 || port == (b ? 1002 : 1001); }

  std::string Yaml(bool b) const {
    return fixture_.WorkloadYaml("client", b ? "{role: b}" : "{role: a}") + fmt::format(R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: server, namespace: shop}}
spec:
  podSelector: {{matchLabels: {{app: server}}}}
  policyTypes: [Ingress]
  ingress:
    - from: [{{podSelector: {{matchLabels: {{role: {}}}}}}}]
      ports: [{{protocol: UDP, port: 1000}}, {{protocol: UDP, port: {}}}]
    - from: [{{podSelector: {{matchLabels: {{role: {}}}}}}}]
      ports: [{{protocol: UDP, port: 1003}}]
)",
                                                                                        b ? "b" : "a", b ? 1002 : 1001,
                                                                                        b ? "a" : "b");
  }

 private:
  const NodeFixture& fixture_;
};

}  // namespace sluice::test
