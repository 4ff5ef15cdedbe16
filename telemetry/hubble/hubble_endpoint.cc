#include "telemetry/hubble/hubble_endpoint.h"

#include <fmt/format.h>

#include <algorithm>

#include "telemetry/hubble/hubble_identity.h"

namespace sluice::telemetry {
namespace {

void SetReserved(std::uint32_t identity, const char* name, flow::Endpoint* out) {
  out->set_identity(identity);
  out->add_labels(std::string("reserved:") + name);
}

// Sorted by whole text, as Hubble has them.
void AddKubernetesLabels(const std::string& ns, const SortedLabels& labels, flow::Endpoint* out) {
  for (const auto& [key, value] : labels) out->add_labels(fmt::format("k8s:{}={}", key, value));
  out->add_labels("k8s:io.kubernetes.pod.namespace=" + ns);
  std::sort(out->mutable_labels()->begin(), out->mutable_labels()->end());
}

}  // namespace

flow::Endpoint ToHubbleEndpoint(const v1::Peer& peer, const std::string& cluster) {
  flow::Endpoint out;
  out.set_cluster_name(cluster);
  if (peer.workload().empty()) {
    if (peer.entity() == "node") {
      SetReserved(kHubbleHost, "host", &out);
    } else if (peer.entity() == "world") {
      SetReserved(kHubbleWorld, "world", &out);
    } else {
      SetReserved(kHubbleUnknown, "unknown", &out);
    }
    return out;
  }
  SortedLabels labels(peer.labels().begin(), peer.labels().end());
  std::sort(labels.begin(), labels.end());
  out.set_identity(HubbleIdentity(peer.namespace_(), labels));
  out.set_namespace_(peer.namespace_());
  out.set_pod_name(peer.workload());
  AddKubernetesLabels(peer.namespace_(), labels, &out);
  if (peer.has_owner()) {
    flow::Workload& workload = *out.add_workloads();
    workload.set_kind(peer.owner().kind());
    workload.set_name(peer.owner().name());
  }
  return out;
}

}  // namespace sluice::telemetry
