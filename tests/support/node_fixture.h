// A node with pods, a real agent on it, and the operations that end-to-end tests need.
//   SL_ASSIGN_OR_RETURN(auto fixture, NodeFixture::Create({.pods = {"web", "db"}}));
//   SL_RETURN_IF_ERROR(fixture->agent().Apply(fixture->WorkloadYaml("web", "{app: web}") + kPolicy));
//   EXPECT_EQ(fixture->Udp("web", "db", 1000), ProbeOutcome::kAllowed);
// All workloads are in the namespace "shop". One thread at a time, except agent().Sluice.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "testbed/netns.h"
#include "testbed/tcp_udp_probe.h"
#include "tests/support/agent_process.h"

namespace sluice::test {

// A document that allows db to be reached only at 1000/UDP.
inline constexpr const char* kDbAtUdp1000 = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{ports: [{protocol: UDP, port: 1000}]}]
)";

// A document that allows only web to reach db.
inline constexpr const char* kDbFromWeb = R"(---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}]}]
)";

class NodeFixture {
 public:
  struct Options {
    std::vector<std::string> pods;
    std::vector<std::string> args;  // of the agent
    bool outside = false;
    std::vector<std::string> before;         // AgentProcess::Options
    std::function<void(TestNode&)> prepare;  // runs before the agent starts
  };
  static StatusOr<std::unique_ptr<NodeFixture>> Create(const Options& options);

  TestNode& node() { return *node_; }
  AgentProcess& agent() { return *agent_; }
  int netns_fd(const std::string& pod) const { return node_->netns(node_->pod(pod)).fd(); }
  policy::Address ip4(const std::string& pod) const;

  // A YAML document; `labels` as a flow mapping: "{app: web}".
  std::string WorkloadYaml(const std::string& pod, const std::string& labels) const;

  // Sends real packets. An allowed probe has a long timeout; a denied one must stay silent for a short one.
  ProbeOutcome Udp(const std::string& from, const std::string& to, std::uint16_t port, bool expect_allowed) const;
  ProbeOutcome Tcp(const std::string& from, const std::string& to, std::uint16_t port, bool expect_allowed) const;
  // The answer of `sluice explain`: true for allowed.
  StatusOr<bool> Explain(const std::string& from, const std::string& to, const std::string& port) const;

  // All resources as YAML, and the revision; a refused change must not alter them.
  StatusOr<std::string> Everything() const;

  // Runs a program in the node's namespace until it ends.
  StatusOr<CommandResult> Run(const Arguments& arguments, int seconds = 30) const;
  // Runs `sluiced` with the agent's own directories and `arguments` until it ends.
  StatusOr<CommandResult> Sluiced(const Arguments& arguments, int seconds = 30) const;

 private:
  NodeFixture() = default;
  ProbeOutcome ProbeOnce(std::uint8_t protocol, const std::string& from, const std::string& to, std::uint16_t port,
                         bool expect_allowed) const;

  std::unique_ptr<TestNode> node_;
  std::unique_ptr<AgentProcess> agent_;
};

// Number of programs in the kernel at this interface; 0 also when the interface does not exist.
int TcPrograms(const TestNode& node, std::uint32_t ifindex);
bool HasXdp(const TestNode& node, std::uint32_t ifindex);

// True as soon as `condition` is true; false when it is still false after `patience`.
bool Eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience = std::chrono::seconds(10));

}  // namespace sluice::test
