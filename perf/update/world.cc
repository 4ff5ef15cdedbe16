#include "perf/update/world.h"

#include <fmt/format.h>

namespace sluice::perf {
namespace {

constexpr int kReplicas = 20;  // pods with the same labels

std::string RemoteAddress(int number) {
  return fmt::format("10.{}.{}.{}", 1 + (number >> 16), number >> 8 & 255, number & 255);
}

}  // namespace

std::string LocalInterface(int number) { return fmt::format("v{}", number); }

std::string WorkloadsYaml(const UpdateSizes& sizes, int wave) {
  std::string yaml;
  auto out = std::back_inserter(yaml);
  for (int i = 0; i < sizes.local; ++i)
    fmt::format_to(
        out,
        "---\n{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: local-{0}, namespace: "
        "bench, labels: {{app: local-{0}, wave: w{1}}}}}, spec: {{hostInterface: {2}, ips: [10.0.{3}.{4}]}}}}\n",
        i, wave, LocalInterface(i), (i + 1) / 256, (i + 1) % 256);
  for (int i = 0; i < sizes.remote; ++i)
    fmt::format_to(out,
                   "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: pod-{0}, namespace: bench, labels: {{app: "
                   "remote-{1}, wave: w{2}}}}}, status: {{phase: Running, podIPs: [{{ip: {3}}}]}}}}\n",
                   i, i / kReplicas, wave, RemoteAddress(i));
  return yaml;
}

std::string NewWorkloadYaml() {
  return fmt::format(
      "{{apiVersion: sluice.dev/v1alpha1, kind: Workload, metadata: {{name: new, namespace: bench, labels: {{app: "
      "new}}}}, spec: {{hostInterface: {}, ips: [{}]}}}}\n",
      kNewInterface, kNewPod);
}

std::string NamespaceYaml(const std::string& tier) {
  return fmt::format("{{apiVersion: v1, kind: Namespace, metadata: {{name: bench, labels: {{tier: {}}}}}}}\n", tier);
}

std::string PoliciesYaml(const UpdateSizes& sizes, int port) {
  std::string yaml;
  const int apps = (sizes.remote + kReplicas - 1) / kReplicas;
  for (int i = 0; i < sizes.policies - 1; ++i)
    fmt::format_to(
        std::back_inserter(yaml),
        "---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: policy-{0}, namespace: "
        "bench}}, spec: {{podSelector: {{matchLabels: {{app: local-{1}}}}}, ingress: [{{from: [{{podSelector: "
        "{{matchLabels: {{app: remote-{2}}}}}}}], ports: [{{port: {3}}}, {{port: {4}}}]}}]}}}}\n",
        i, i % sizes.local, i % apps, port, 8000 + i % 100);
  return yaml;
}

std::string ProbeYaml(const std::string& from) {
  const std::string rules = from.empty() ? "" : fmt::format("{{from: [{}], ports: [{{port: {}}}]}}", from, kProbePort);
  return fmt::format(
      "{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: probe, namespace: bench}}, spec: "
      "{{podSelector: {{matchLabels: {{app: local-0}}}}, ingress: [{}]}}}}\n",
      rules);
}

}  // namespace sluice::perf
